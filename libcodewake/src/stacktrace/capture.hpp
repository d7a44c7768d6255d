// Taking the return addresses of the calling thread.
#pragma once

#include <cstddef>
#include <span>

namespace codewake::internal {

/// Finds this library's own code. The first capture does it, but a throw should not have to: it takes the
/// dynamic linker's lock. Thread-safe.
void prepare_capture() noexcept;

/// Writes the caller's return addresses, innermost first, without those in this library; the result is their
/// number. Of a frame that a signal has interrupted it is the address one byte behind the instruction. After
/// `prepare_capture`: no allocation, no lock, no descriptor, and async-signal-safe; a system call for each
/// page of the stack that the thread's last capture did not come to. Thread-safe.
std::size_t capture(std::span<void*> addresses) noexcept;

/// The same by the C++ runtime's unwinder, ten times as slow: for where `stacktrace/unwind` does not work. It
/// reads what a damaged stack leads to. Thread-safe.
std::size_t capture_by_runtime(std::span<void*> addresses) noexcept;

/// Copies return addresses without those in this library, as many as there is room for; the result is their
/// number. Until `prepare_capture` none is left out. Async-signal-safe, thread-safe.
std::size_t copy_without_own_code(std::span<void* const> from, std::span<void*> to) noexcept;

}  // namespace codewake::internal
