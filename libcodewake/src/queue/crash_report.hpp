// From the page that a dying process wrote to the event that says what happened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/event.hpp"
#include "codewake/stacktrace.hpp"
#include "stacktrace/crash_page.hpp"
#include "stacktrace/loaded_modules.hpp"

namespace codewake::internal {

struct CrashReport {
  Time when = {};
  std::uint16_t process = 0;  ///< its number in the journal
  std::optional<Id> process_id = std::nullopt;
  std::optional<ProcessInfo> process_info = std::nullopt;
  std::vector<Attribute> data = {};
  Stacktrace stack = {};
  std::optional<TraceTie> trace = std::nullopt;  ///< in which it happened
  std::string summary = {};                      ///< `SIGSEGV`, or the type of the exception
};

CrashReport report_of(const CrashPage& page, Stacktrace stack);

/// Of the page's addresses. `noted`: the modules of the run, for where the page has none.
Stacktrace crash_stack(const CrashPage& page, const std::vector<Module>& noted);

}  // namespace codewake::internal
