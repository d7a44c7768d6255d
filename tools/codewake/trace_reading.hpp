// Trace events, read page by page.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "codewake/store.hpp"
#include "codewake/trace_event.hpp"

namespace codewake::cli {

/// What was typed as a trace's id. Throws UsageError where it is none.
TraceId to_trace_id(const std::string& text);

/// Says on stderr that the store has nothing of it.
void complain_of_missing(const TraceId& id);

/// All trace events of a trace, oldest first. Throws StoreError.
std::vector<TraceEventRecord> read_trace_events(Store& store, const TraceId& id);

/// Calls `visit` with each of the trace events, oldest first, keeping no more than a page of them, and shows
/// whoever looks at a terminal how far it is. Throws StoreError.
void for_each_trace_event(Store& store, TraceEventQuery query,
                          const std::function<void(TraceEventRecord&)>& visit);

}  // namespace codewake::cli
