// A trace for ui.perfetto.dev.
#pragma once

#include "listing.hpp"
#include "trace_tree.hpp"

namespace codewake::cli {

/// In the JSON format of trace viewers: a process for each instance of a service, a thread for each
/// execution, slices for requests, function calls and held locks, arrows from who began an execution to its
/// begin.
Json to_perfetto(const TraceTree& tree);

}  // namespace codewake::cli
