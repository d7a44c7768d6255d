// A stack for signal handlers, for each thread: where a thread's own has overflown nothing else can run.
#pragma once

namespace codewake::internal {

/// Gives the calling thread such a stack, unless it has one; it goes when the thread ends. Threads that are
/// made from the library's loading on get theirs as they begin: `pthread_create` is replaced for that.
void provide_alternate_stack() noexcept;

/// Threads that begin from now on get none.
void stop_providing_alternate_stacks() noexcept;

}  // namespace codewake::internal
