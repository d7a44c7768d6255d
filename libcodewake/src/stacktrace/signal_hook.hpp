// The fatal signals: ours in the kernel, the program's in a table.
//
// A program that sets or asks for a handler of its own sees what it would see without us, before and after we
// have taken the signal: `sigaction`, `signal` and what else sets handlers are replaced for that, as
// __cxa_throw is.
#pragma once

#include <signal.h>

#include "base/fatal_signals.hpp"

namespace codewake::internal {

using SignalHandler = void (*)(int signal, siginfo_t* info, void* context);

/// Has `handler` called for the fatal signals, on the thread's alternate stack where it has one; the other
/// signals wait meanwhile, the fatal ones do not. Without `system_calls` SIGSYS is left alone until the
/// program sets a handler: a sandbox expects to be the first. Once is enough. Thread-safe.
void take_fatal_signals(SignalHandler handler, bool system_calls) noexcept;

/// The kernel has the program's handlers again. Thread-safe.
void return_fatal_signals() noexcept;

/// In the child of a fork(): the table is its own. A child that only shares its parent's memory leaves it
/// alone.
void own_signals_in_child() noexcept;

/// What the program wants done at this signal. Async-signal-safe, as what follows.
struct sigaction action_of_program(int signal) noexcept;

/// As SA_RESETHAND does it before the handler is called.
void reset_action_of_program(int signal) noexcept;

/// Leaves the signal to the kernel's default for good.
void give_up_signal(int signal) noexcept;

}  // namespace codewake::internal
