#include "stacktrace/signal_hook.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>

#include "codewake/export.hpp"
#include "stacktrace/next_function.hpp"
#include "stacktrace/sanitizers.hpp"

using PlainSignalHandler = void (*)(int);

namespace codewake::internal {
namespace {

using Action = struct sigaction;
using ActionFunction = int (*)(int, const Action*, Action*);
using SignalFunction = PlainSignalHandler (*)(int, PlainSignalHandler);

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
constinit std::atomic<SignalFunction> real_sigset{nullptr};

int call_real_action(int signal, const Action* action, Action* before) noexcept {
  return next_function(real_action, "sigaction")(signal, action, before);
}

constinit std::atomic<SignalHandler> our_handler{nullptr};
constinit std::atomic<bool> awaits_system_call_handler{false};

// Calls of the system go on after ours as they would after the program's; what is ignored interrupts none.
int take_signal(int signal, const Action& wished) noexcept {
  Action ours{};
  ours.sa_sigaction = our_handler.load(std::memory_order_relaxed);
  // Not deferred: what goes wrong in the handler comes to the handler, which knows what to do about it.
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  ours.sa_flags |= wished.sa_handler == SIG_IGN ? SA_RESTART : wished.sa_flags & SA_RESTART;
  sigfillset(&ours.sa_mask);
  for (const int fatal : kFatalSignals) sigdelset(&ours.sa_mask, fatal);
  return call_real_action(signal, &ours, nullptr);
}

void set_wish(int signal, Wish& wish, const Action& action) noexcept {
  wish.set(action);
  take_signal(signal, action);
}

PlainSignalHandler set_plain_handler(int signal, Wish& wish, PlainSignalHandler handler, int flags) noexcept {
  if (handler == SIG_ERR) {
    errno = EINVAL;
    return SIG_ERR;
  }
  const PlainSignalHandler before = wish.current.load(std::memory_order_acquire)->sa_handler;
  Action action{};
  action.sa_handler = handler;
  action.sa_flags = flags;
  set_wish(signal, wish, action);
  return before;
}

// The program is about to set this handler.
void take_if_awaited(int signal, PlainSignalHandler handler) noexcept {
  if (signal != SIGSYS || !awaits_system_call_handler.load(std::memory_order_relaxed) || !is_owner()) return;
  if (handler == SIG_DFL || handler == SIG_IGN || handler == SIG_HOLD || handler == SIG_ERR) return;
  awaits_system_call_handler.store(false, std::memory_order_relaxed);
  Action before{};
  if (call_real_action(signal, nullptr, &before) == 0) wishes[SIGSYS].set(before);
}

}  // namespace

void own_signals_in_child() noexcept {
  if (owner.load(std::memory_order_relaxed) != 0) owner.store(getpid(), std::memory_order_relaxed);
}

void take_fatal_signals(SignalHandler handler, bool system_calls) noexcept {
  owner.store(getpid(), std::memory_order_relaxed);
  our_handler.store(handler, std::memory_order_relaxed);
  awaits_system_call_handler.store(!system_calls, std::memory_order_relaxed);
  for (const int signal : kFatalSignals) {
    if (wish_for(signal) != nullptr) continue;
    Action before{};
    if (call_real_action(signal, nullptr, &before) != 0) continue;
    if (signal == SIGSYS && !system_calls && before.sa_handler == SIG_DFL) continue;
    wishes[static_cast<std::size_t>(signal)].set(before);
    take_signal(signal, before);
  }
}

void return_fatal_signals() noexcept {
  awaits_system_call_handler.store(false, std::memory_order_relaxed);
  for (const int signal : kFatalSignals) {
    Wish* const wish = wish_for(signal);
    if (wish == nullptr) continue;
    const Action* const action = wish->current.exchange(nullptr);
    call_real_action(signal, action, nullptr);
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
                                    struct sigaction* before) noexcept CODEWAKE_REPLACES("sigaction");
CODEWAKE_API PlainSignalHandler codewake_signal(int signal, PlainSignalHandler handler) noexcept
    CODEWAKE_REPLACES("signal");
CODEWAKE_API PlainSignalHandler codewake_bsd_signal(int signal, PlainSignalHandler handler) noexcept
    CODEWAKE_REPLACES("bsd_signal");
CODEWAKE_API PlainSignalHandler codewake_ssignal(int signal, PlainSignalHandler handler) noexcept
    CODEWAKE_REPLACES("ssignal");
CODEWAKE_API PlainSignalHandler codewake_system_v_signal(int signal, PlainSignalHandler handler) noexcept
    CODEWAKE_REPLACES("__sysv_signal");
CODEWAKE_API PlainSignalHandler codewake_sysv_signal(int signal, PlainSignalHandler handler) noexcept
    CODEWAKE_REPLACES("sysv_signal");
CODEWAKE_API PlainSignalHandler codewake_sigset(int signal, PlainSignalHandler handler) noexcept
    CODEWAKE_REPLACES("sigset");
CODEWAKE_API int codewake_sigignore(int signal) noexcept CODEWAKE_REPLACES("sigignore");
}

int codewake_sigaction(int signal, const struct sigaction* action, struct sigaction* before) noexcept {
  using namespace codewake::internal;
  take_if_awaited(signal, action == nullptr ? SIG_DFL : action->sa_handler);
  Wish* const wish = wish_for(signal);
  if (wish == nullptr || !is_owner()) return call_real_action(signal, action, before);
  if (before != nullptr) *before = *wish->current.load(std::memory_order_acquire);
  if (action != nullptr) set_wish(signal, *wish, *action);
  return 0;
}

PlainSignalHandler codewake_signal(int signal, PlainSignalHandler handler) noexcept {
  using namespace codewake::internal;
  take_if_awaited(signal, handler);
  Wish* const wish = wish_for(signal);
  if (wish == nullptr || !is_owner()) return next_function(real_signal, "signal")(signal, handler);
  return set_plain_handler(signal, *wish, handler, SA_RESTART);
}

// Older names of the same.
PlainSignalHandler codewake_bsd_signal(int signal, PlainSignalHandler handler) noexcept {
  return codewake_signal(signal, handler);
}

PlainSignalHandler codewake_ssignal(int signal, PlainSignalHandler handler) noexcept {
  return codewake_signal(signal, handler);
}

// What `signal` is to a program that is compiled by the letter of ISO C.
PlainSignalHandler codewake_system_v_signal(int signal, PlainSignalHandler handler) noexcept {
  using namespace codewake::internal;
  take_if_awaited(signal, handler);
  Wish* const wish = wish_for(signal);
  if (wish == nullptr || !is_owner()) {
    return next_function(real_system_v_signal, "__sysv_signal")(signal, handler);
  }
  return set_plain_handler(signal, *wish, handler, static_cast<int>(SA_RESETHAND | SA_NODEFER));
}

PlainSignalHandler codewake_sysv_signal(int signal, PlainSignalHandler handler) noexcept {
  return codewake_system_v_signal(signal, handler);
}

// Also unblocks the signal, or only blocks it where that is what `handler` says.
PlainSignalHandler codewake_sigset(int signal, PlainSignalHandler handler) noexcept {
  using namespace codewake::internal;
  take_if_awaited(signal, handler);
  Wish* const wish = wish_for(signal);
  if (wish == nullptr || !is_owner()) return next_function(real_sigset, "sigset")(signal, handler);
  sigset_t only;
  sigset_t mask;
  sigemptyset(&only);
  sigaddset(&only, signal);
  const PlainSignalHandler before = handler == SIG_HOLD ? action_of_program(signal).sa_handler
                                                        : set_plain_handler(signal, *wish, handler, 0);
  if (before == SIG_ERR) return SIG_ERR;
  if (const int error = pthread_sigmask(handler == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &only, &mask)) {
    errno = error;
    return SIG_ERR;
  }
  return sigismember(&mask, signal) == 1 ? SIG_HOLD : before;
}

int codewake_sigignore(int signal) noexcept {
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  return codewake_sigaction(signal, &ignore, nullptr);
}
