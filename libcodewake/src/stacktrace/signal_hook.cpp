#include "stacktrace/signal_hook.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>

#include "codewake/export.hpp"
#include "stacktrace/next_function.hpp"

namespace codewake::internal {
namespace {

using Action = struct sigaction;
using PlainHandler = void (*)(int);
using ActionFunction = int (*)(int, const Action*, Action*);
using SignalFunction = PlainHandler (*)(int, PlainHandler);

/// What the program wants, for a signal that is ours. A reader may be interrupted at any point by a handler
/// that writes: so the one in force is never changed, the next place is taken for a new one.
struct Wish {
  std::array<Action, 16> places;
  std::atomic<std::size_t> next{0};
  std::atomic<const Action*> current{nullptr};  // null: the signal is not ours

  void set(const Action& action) noexcept {
    Action& place = places[next.fetch_add(1, std::memory_order_relaxed) % places.size()];
    place = action;
    current.store(&place, std::memory_order_release);
  }
};

constinit std::array<Wish, 32> wishes{};  // the fatal ones are below

// Whose table it is: a child of vfork() has the parent's memory, and handlers of its own.
constinit std::atomic<pid_t> owner{0};

bool is_owner() noexcept {
  return owner.load(std::memory_order_relaxed) == getpid();
}

Wish* wish_for(int signal) noexcept {
  if (signal <= 0 || static_cast<std::size_t>(signal) >= wishes.size()) return nullptr;
  Wish& wish = wishes[static_cast<std::size_t>(signal)];
  return wish.current.load(std::memory_order_acquire) == nullptr ? nullptr : &wish;
}

constinit std::atomic<ActionFunction> real_action{nullptr};
constinit std::atomic<SignalFunction> real_signal{nullptr};
constinit std::atomic<SignalFunction> real_system_v_signal{nullptr};

int call_real_action(int signal, const Action* action, Action* before) noexcept {
  return next_function(real_action, "sigaction")(signal, action, before);
}

PlainHandler set_plain_handler(Wish& wish, PlainHandler handler, int flags) noexcept {
  const PlainHandler before = wish.current.load(std::memory_order_acquire)->sa_handler;
  Action action{};
  action.sa_handler = handler;
  action.sa_flags = flags;
  wish.set(action);
  return before;
}

}  // namespace

void own_signals_in_child() noexcept {
  if (owner.load(std::memory_order_relaxed) != 0) owner.store(getpid(), std::memory_order_relaxed);
}

void take_fatal_signals(SignalHandler handler) noexcept {
  owner.store(getpid(), std::memory_order_relaxed);
  Action ours{};
  ours.sa_sigaction = handler;
  // Not deferred: what goes wrong in the handler comes to the handler, which knows what to do about it.
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigfillset(&ours.sa_mask);
  for (const int signal : kFatalSignals) sigdelset(&ours.sa_mask, signal);
  for (const int signal : kFatalSignals) {
    if (wish_for(signal) != nullptr) continue;
    Action before{};
    if (call_real_action(signal, nullptr, &before) != 0) continue;
    wishes[static_cast<std::size_t>(signal)].set(before);
    call_real_action(signal, &ours, nullptr);
  }
}

Action action_of_program(int signal) noexcept {
  const Wish* const wish = wish_for(signal);
  if (wish != nullptr) return *wish->current.load(std::memory_order_acquire);
  Action action{};
  action.sa_handler = SIG_DFL;
  return action;
}

void reset_action_of_program(int signal) noexcept {
  Action action{};
  action.sa_handler = SIG_DFL;
  if (Wish* const wish = wish_for(signal)) wish->set(action);
}

void give_up_signal(int signal) noexcept {
  Action action{};
  action.sa_handler = SIG_DFL;
  call_real_action(signal, &action, nullptr);
  if (Wish* const wish = wish_for(signal)) wish->current.store(nullptr, std::memory_order_release);
}

}  // namespace codewake::internal

extern "C" {
CODEWAKE_API int codewake_sigaction(int signal, const struct sigaction* action,
                                    struct sigaction* before) noexcept __asm__("sigaction");
CODEWAKE_API void (*codewake_signal(int signal, void (*handler)(int)) noexcept)(int) __asm__("signal");
CODEWAKE_API void (*codewake_system_v_signal(int signal,
                                             void (*handler)(int)) noexcept)(int) __asm__("__sysv_signal");
}

int codewake_sigaction(int signal, const struct sigaction* action, struct sigaction* before) noexcept {
  using namespace codewake::internal;
  Wish* const wish = wish_for(signal);
  if (wish == nullptr || !is_owner()) return call_real_action(signal, action, before);
  if (before != nullptr) *before = *wish->current.load(std::memory_order_acquire);
  if (action != nullptr) wish->set(*action);
  return 0;
}

void (*codewake_signal(int signal, void (*handler)(int)) noexcept)(int) {
  using namespace codewake::internal;
  Wish* const wish = wish_for(signal);
  if (wish == nullptr || !is_owner()) return next_function(real_signal, "signal")(signal, handler);
  return set_plain_handler(*wish, handler, SA_RESTART);
}

// What `signal` is to a program that is compiled by the letter of ISO C.
void (*codewake_system_v_signal(int signal, void (*handler)(int)) noexcept)(int) {
  using namespace codewake::internal;
  Wish* const wish = wish_for(signal);
  if (wish == nullptr || !is_owner()) {
    return next_function(real_system_v_signal, "__sysv_signal")(signal, handler);
  }
  return set_plain_handler(*wish, handler, static_cast<int>(SA_RESETHAND | SA_NODEFER));
}
