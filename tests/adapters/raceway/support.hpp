// Trace events for tests, as the tracer would write them, and batches of them.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/event.hpp"
#include "codewake/store.hpp"
#include "codewake/trace_event.hpp"

namespace codewake::testing {

inline const ProcessInfo kShop{.app_name = "shop", .app_vsn = "1.0", .env_name = "test", .pid = 4242};

/// The id with this number in it.
TraceEventId numbered_id(std::uint64_t number);

/// A state change, complete, of the number; `variable` and the rest are borrowed for as long as the program
/// runs.
BatchTraceEvent numbered_event(std::uint64_t number);

/// Of one process.
BatchResult write_trace_events(Store& store, const std::vector<BatchTraceEvent>& events);

/// The same as an input, for a queue.
TraceEventInput input_of(const BatchTraceEvent& event);

}  // namespace codewake::testing
