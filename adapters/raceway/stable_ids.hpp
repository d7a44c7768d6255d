// Ids that a Raceway server does not give, made of what they name: whoever sends the same again, also after
// the program has died, gives it the same id.
#pragma once

#include <string>
#include <string_view>

#include "codewake/event.hpp"
#include "codewake/records.hpp"
#include "codewake/trace_event.hpp"

namespace codewake::internal {

/// Of a process, in all the world. At least 1.
Id process_id_of(const ProcessInfo& info);

/// Of an app, a version or an environment, by what it is and its name.
Id name_id_of(std::string_view what, std::string_view name);

/// Whose ordinary events the batch has: the run of the journal that it comes from, which is the same for
/// whoever recovers it and may know nothing else of the process; where it comes from none, the process.
std::string origin_of(const Batch& batch, Id process);

/// Of an ordinary event; a version 8 UUID. Of events that come from no journal, two of one origin at the same
/// nanosecond that also say the same have the same id.
TraceEventId event_id_of(std::string_view origin, const BatchEvent& event);

/// The number of an event by which it is asked for again; at least 1.
Id row_id_of(const TraceEventId& id) noexcept;

/// The trace of what was logged outside of traces.
TraceId trace_id_of(std::string_view origin);

}  // namespace codewake::internal
