// Events as a Raceway server takes them, checked before anything is sent: one that the server does not
// understand would have it refuse the whole request.
#pragma once

#include <chrono>
#include <limits>
#include <string>
#include <string_view>

#include "codewake/event.hpp"
#include "codewake/trace_event.hpp"
#include "kinds.hpp"
#include "known_process.hpp"

namespace codewake::internal {

/// Reentrant.
class EventWriter {
 public:
  /// Appends the event to `out`; the result is empty, or says what is wrong with it, and then `out` holds a
  /// part of it.
  std::string append(std::string& out, const BatchTraceEvent& event, const KnownProcess& process);

  /// Appends an ordinary event as a Custom event.
  struct Ids {
    TraceEventId event;
    TraceId trace;  ///< where it was logged in none
  };
  void append(std::string& out, const BatchEvent& event, const KnownProcess& process, const Ids& ids);

 private:
  void append_time(std::string& out, Time when);

  std::chrono::sys_seconds second_{std::chrono::seconds::min()};
  std::string second_text_;  ///< `2026-11-22T10:00:00.` of that second
};

}  // namespace codewake::internal
