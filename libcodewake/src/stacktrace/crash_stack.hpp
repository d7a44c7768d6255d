// The stack of a thread that a fatal signal has interrupted, and the modules in it: by what a signal handler
// may do, which is little.
#pragma once

#include <cstdint>

#include "stacktrace/crash_page.hpp"

namespace codewake::internal {

/// Finds out what cannot be found out in a crash, and has the unwinder set up what it sets up at its first
/// use.
void prepare_crash_stack() noexcept;

/// Where the thread was, by the handler's third argument. Async-signal-safe, as what follows.
struct InterruptedAt {
  std::uintptr_t instruction = 0;
  std::uintptr_t stack_pointer = 0;
};
InterruptedAt interrupted_at(const void* context) noexcept;

/// Fills in the frames, one by one: whatever goes wrong, those before are there. `fault_address`: of the
/// signal; where it is that of the instruction the thread has jumped into nowhere, and the stack begins with
/// the jump; `context` is that of the jump's caller then.
void find_frames(void* context, std::uintptr_t fault_address, CrashPage& page) noexcept;

/// Copies what is known as the stack.
void set_frames(const void* const* addresses, std::size_t count, CrashPage& page) noexcept;

/// Fills in the modules of the frames, one by one: those that the dynamic linker knows. It is asked without a
/// lock or a descriptor, also in a sandbox that ends a program for opening a file. False where there may be
/// more to be known.
bool find_linked_modules(CrashPage& page) noexcept;

/// Fills in the others, and paths that are not absolute, from /proc.
void find_mapped_modules(CrashPage& page) noexcept;

}  // namespace codewake::internal
