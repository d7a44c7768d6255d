// Records as JSON: every field, under the names of the API.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "codewake/frame.hpp"
#include "codewake/records.hpp"
#include "codewake/trace_event.hpp"
#include "listing.hpp"

namespace codewake::cli {

/// Null where it is empty.
template <class T>
Json to_json_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json to_json(const Frame& frame);
Json to_json(const ProcessRecord& process);
Json to_json(const ExceptionGroup& group);

/// `process`: of the event; null where the store does not have it.
Json to_json(const EventRecord& event, const std::optional<ProcessRecord>& process);

/// The keys of these, in their order.
std::vector<std::string> event_fields();
std::vector<std::string> process_fields();
std::vector<std::string> exception_fields();

Json to_json(const TraceEventRecord& event);

}  // namespace codewake::cli
