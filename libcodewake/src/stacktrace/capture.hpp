// Taking the return addresses of the calling thread.
#pragma once

#include <cstddef>
#include <span>

namespace codewake::internal {

/// Finds the unwinder and this library's own code. What comes first does it, but a throw should not have to:
/// it opens a shared object, which may block.
void prepare_capture() noexcept;

/// Writes the caller's return addresses, innermost first, without those in this library; the result is their
/// number. After the thread's first call: no allocation, no lock, no system call. Thread-safe.
std::size_t capture(std::span<void*> addresses) noexcept;

/// Copies return addresses without those in this library, as many as there is room for; the result is their
/// number. Until `prepare_capture` none is left out. Async-signal-safe, thread-safe.
std::size_t copy_without_own_code(std::span<void* const> from, std::span<void*> to) noexcept;

/// Makes the calling thread's first call now: it takes memory that belongs to the thread, and the linker ends
/// a program that has none left by then. For threads that may throw once memory is short.
void prepare_captures_here() noexcept;

/// The same as `capture` without any allocation, ten times as slow: for where memory is what is missing.
std::size_t capture_without_memory(std::span<void*> addresses) noexcept;

/// Around a fork(): no capture is under way in it, and those that come meanwhile take the slow way.
void stop_captures() noexcept;
void let_captures_go_on(bool in_child) noexcept;

}  // namespace codewake::internal
