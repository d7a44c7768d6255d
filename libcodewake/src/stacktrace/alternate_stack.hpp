// A stack for signal handlers, for each thread: where a thread's own has overflown nothing else can run.
//
// It stays where the program sets a smaller one: that was made for the program's handlers, and ours come
// before them. `sigaltstack` is replaced, so that the program reads what it has set.
#pragma once

#include <cstdint>

namespace codewake::internal {

/// Gives the calling thread such a stack, unless it has one; it goes when the thread ends. Threads that are
/// made from the library's loading on get theirs as they begin: `pthread_create` is replaced for that.
void provide_alternate_stack() noexcept;

/// Whether the thread was there on its alternate stack, or had overflown it; true where it has none.
/// Async-signal-safe, as what follows.
bool is_on_alternate_stack(std::uintptr_t stack_pointer) noexcept;

/// Whether the thread was there below the stack that it was given.
bool is_alternate_stack_overflown(std::uintptr_t stack_pointer) noexcept;

/// Threads that begin from now on get none.
void stop_providing_alternate_stacks() noexcept;

}  // namespace codewake::internal
