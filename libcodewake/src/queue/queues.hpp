// All queues of the program, for fork().
#pragma once

#include "codewake/store.hpp"

namespace codewake::internal {

/// Called around fork(), by whoever knows when: after the process's own locks are taken, and before they are
/// given back.
void queues_at_fork(ForkPhase phase) noexcept;

}  // namespace codewake::internal
