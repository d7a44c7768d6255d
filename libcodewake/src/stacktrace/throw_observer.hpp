// For whoever wants to know of each throw.
#pragma once

#include <span>
#include <typeinfo>

namespace codewake::internal {

/// Called by the thread that throws, before the exception flies, with the stack of the throw, innermost
/// first.
using ThrowObserver = void (*)(void* object, const std::type_info& type,
                               std::span<void* const> addresses) noexcept;

/// From now on; while throws are recorded (see throw_hook.hpp). Thread-safe.
void observe_throws(ThrowObserver observer) noexcept;

}  // namespace codewake::internal
