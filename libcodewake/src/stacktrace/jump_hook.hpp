// Jumps out of a signal handler: `longjmp` and its kin are replaced, as `sigaction` is.
#pragma once

#include <cstdint>

namespace codewake::internal {

/// Called before the calling thread jumps. `target`: the stack pointer that it will have; 0: not known here.
/// Async-signal-safe.
using JumpObserver = void (*)(std::uintptr_t target) noexcept;

/// Looks up what is replaced: a signal handler must not be the first to do so. Thread-safe.
void find_jumps() noexcept;

/// From now on. Thread-safe.
void observe_jumps(JumpObserver observer) noexcept;

}  // namespace codewake::internal
