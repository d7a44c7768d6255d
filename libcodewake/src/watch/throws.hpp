// Throws of the watched program: their stacks are kept for the case that no handler catches the exception.
#pragma once

#include <cstddef>
#include <span>

#include "stacktrace/throw_observer.hpp"

namespace codewake::internal {

/// From now on. `watches_terminate`: at the first throw, when there is a C++ runtime for certain,
/// std::terminate is taken. Thread-safe.
void keep_throws(bool watches_terminate) noexcept;

/// No more; what is thrown passes through. Thread-safe.
void stop_keeping_throws() noexcept;

/// Called at each throw from now on; null: no more. Thread-safe.
void pass_throws_to(ThrowObserver observer) noexcept;

/// The caller's return addresses, innermost first, without those in this library; their number. Thread-safe.
std::size_t capture_here(std::span<void*> addresses) noexcept;

}  // namespace codewake::internal
