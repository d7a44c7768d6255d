// The hook that remembers where exceptions are thrown.
//
// The library replaces `__cxa_throw` and its relatives, so that every exception of the program, also one that
// the standard library throws, has its stack captured at the throw. The stack stays with the exception object
// until that is destroyed, through copies of std::exception_ptr, rethrows and other threads.
//
// It needs libcodewake ahead of libstdc++ in the program's link order (as `-lcodewake` gives it) and a
// dynamic libstdc++. It is not in force where the library was opened with dlopen, or libstdc++ is linked
// statically.
#pragma once

#include <cstddef>
#include <string>

#include "codewake/export.hpp"

namespace codewake {

/// Whether the hook sees the program's exceptions. Thread-safe.
CODEWAKE_API bool throw_hook_in_force() noexcept;

/// Why it does not and what to do about it, in one sentence; empty when it is in force.
CODEWAKE_API std::string throw_hook_problem();

/// Turns the recording of throw sites on or off for the whole program; off costs next to nothing at a throw.
/// It is on from the moment the library is loaded, with 64 frames, until Process sets it as configured
/// (stacktraces.include.from_exceptions, stacktraces.max_frames), or somebody else does. Thread-safe.
CODEWAKE_API void record_throws(bool on, std::size_t max_frames = 64) noexcept;

}  // namespace codewake
