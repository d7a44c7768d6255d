#include "stacktrace/fault_mask.hpp"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/fatal_signals.hpp"
#include "base/worker_thread.hpp"
#include "codewake/export.hpp"
#include "stacktrace/next_function.hpp"
#include "stacktrace/sanitizers.hpp"

namespace codewake::internal {
namespace {

using MaskFunction = int (*)(int, const sigset_t*, sigset_t*);
using Bits = std::uint64_t;  // as the kernel has them

constexpr Bits bit(int signal) noexcept {
  return Bits{1} << (signal - 1);
}

constexpr Bits kFaultBits = [] {
  Bits bits = 0;
  for (const int fault : kFaultSignals) bits |= bit(fault);
  return bits;
}();

Bits bits_of(const sigset_t& set) noexcept {
  Bits bits = 0;
  std::memcpy(&bits, &set, sizeof bits);
  return bits;
}

void add_faults(sigset_t& set, Bits faults) noexcept {
  for (const int fault : kFaultSignals) {
    if ((faults & bit(fault)) != 0) sigaddset(&set, fault);
  }
}

void remove_faults(sigset_t& set, Bits faults) noexcept {
  for (const int fault : kFaultSignals) {
    if ((faults & bit(fault)) != 0) sigdelset(&set, fault);
  }
}

/// What the program has blocked, and the rest of the mask at that time. The kernel changes masks by itself,
/// where a handler returns or a jump restores one: then the rest differs, and this is no longer true.
struct Belief {
  Bits faults = 0;
  Bits others = 0;
};
constinit thread_local Belief belief __attribute__((tls_model("initial-exec")));

constinit std::atomic<bool> is_watching{false};
constinit std::atomic<MaskFunction> real_mask{nullptr};

Bits believed(const sigset_t& mask) noexcept {
  const bool is_true = belief.others == (bits_of(mask) & ~kFaultBits);
  return (bits_of(mask) & kFaultBits) | (is_true ? belief.faults : 0);
}

// `now`: the kernel's. What is blocked there stays so until the program unblocks it: it is in a handler of
// that signal, or the signal waits. The belief comes first: what waits is delivered before the call returns.
int set_mask(int how, const sigset_t& set, const sigset_t& now) noexcept {
  const Belief before = belief;
  const Bits named = bits_of(set) & kFaultBits;
  const Bits blocked = believed(now);
  sigset_t passed = set;
  belief.faults = how == SIG_BLOCK ? blocked | named : how == SIG_UNBLOCK ? blocked & ~named : named;
  if (how != SIG_UNBLOCK) remove_faults(passed, ~bits_of(now));
  if (const int error = set_real_mask(how, &passed, nullptr)) {
    belief = before;
    return error;
  }
  if (belief.faults != 0) {
    sigset_t set_now;
    set_real_mask(SIG_BLOCK, nullptr, &set_now);
    belief.others = bits_of(set_now) & ~kFaultBits;
  }
  return 0;
}

int set_and_tell(int how, const sigset_t* set, sigset_t* before) noexcept {
  if (!is_watching.load(std::memory_order_relaxed)) return set_real_mask(how, set, before);
  sigset_t now;
  if (const int error = set_real_mask(SIG_BLOCK, nullptr, &now)) return error;
  const Bits blocked = believed(now);
  if (set != nullptr) {
    if (const int error = set_mask(how, *set, now)) return error;
  }
  if (before != nullptr) {
    add_faults(now, blocked);
    *before = now;
  }
  return 0;
}

}  // namespace

int set_real_mask(int how, const sigset_t* set, sigset_t* before) noexcept {
  return next_function(real_mask, "pthread_sigmask")(how, set, before);
}

void keep_faults_unblocked() noexcept {
  if (is_sanitized()) return;
  is_watching.store(true, std::memory_order_relaxed);
  begin_with_faults_unblocked();
}

BlockedFaults::BlockedFaults() noexcept {
  if (!is_watching.load(std::memory_order_relaxed)) return;
  if (set_real_mask(SIG_BLOCK, nullptr, &before_) != 0 || believed(before_) == 0) return;
  sigset_t blocked;
  sigemptyset(&blocked);
  add_faults(blocked, believed(before_));
  blocks_ = set_real_mask(SIG_BLOCK, &blocked, nullptr) == 0;
}

BlockedFaults::~BlockedFaults() {
  if (blocks_) set_real_mask(SIG_SETMASK, &before_, nullptr);
}

void begin_with_faults_unblocked() noexcept {
  sigset_t mask;
  if (!is_watching.load(std::memory_order_relaxed) || set_real_mask(SIG_BLOCK, nullptr, &mask) != 0) return;
  belief = {.faults = bits_of(mask) & kFaultBits, .others = bits_of(mask) & ~kFaultBits};
  if (belief.faults == 0) return;
  sigset_t faults;
  sigemptyset(&faults);
  add_faults(faults, belief.faults);
  set_real_mask(SIG_UNBLOCK, &faults, nullptr);
}

bool is_fault_blocked(int signal, const sigset_t& interrupted) noexcept {
  return (kFaultBits & bit(signal) & (is_worker ? kFaultBits : believed(interrupted))) != 0;
}

}  // namespace codewake::internal

extern "C" {
CODEWAKE_API int codewake_pthread_sigmask(int how, const sigset_t* set, sigset_t* before) noexcept
    CODEWAKE_REPLACES("pthread_sigmask");
CODEWAKE_API int codewake_sigprocmask(int how, const sigset_t* set, sigset_t* before) noexcept
    CODEWAKE_REPLACES("sigprocmask");
}

int codewake_pthread_sigmask(int how, const sigset_t* set, sigset_t* before) noexcept {
  return codewake::internal::set_and_tell(how, set, before);
}

int codewake_sigprocmask(int how, const sigset_t* set, sigset_t* before) noexcept {
  const int error = codewake::internal::set_and_tell(how, set, before);
  if (error == 0) return 0;
  errno = error;
  return -1;
}
