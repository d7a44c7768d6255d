// Trace events as ordinary events, for stores that know no others.
#pragma once

#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/trace_event.hpp"

namespace codewake::internal {

/// The event as attributes `trace.id`, `trace.event`, … ; what it does not have is left out. Reentrant.
std::vector<Attribute> flattened(const BatchTraceEvent& event);

/// What ties an ordinary event to a trace, as attributes: `trace.id` and `trace.span_id`.
std::vector<Attribute> flattened(const TraceTie& tie);

}  // namespace codewake::internal
