// The trace and span of what runs on this thread.
#pragma once

#include "codewake/trace_context.hpp"

namespace codewake::internal {

/// Null outside of traces. Set by tracing; borrowed from the execution that is current. Read with each event,
/// and in signal handlers: therefore in the thread's static storage.
extern constinit thread_local const TraceTie* current_tie __attribute__((tls_model("initial-exec")));

}  // namespace codewake::internal
