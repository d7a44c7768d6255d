// The library that `codewake run` preloads (src/watch), seen from a libcodewake that is loaded into the same
// program later.
#pragma once

#include "stacktrace/throw_observer.hpp"

namespace codewake::internal {

/// Whether it records the crashes of this program. Thread-safe.
bool is_preloaded_watching() noexcept;

/// Has it write the pages of this library, if it does. Thread-safe.
void share_with_preloaded_watch() noexcept;

/// Ends that, if it does: this library will do it. Thread-safe.
void stop_preloaded_watching() noexcept;

/// Has it call `observer` at each throw. Thread-safe.
void observe_preloaded_throws(ThrowObserver observer) noexcept;

}  // namespace codewake::internal
