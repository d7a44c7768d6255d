// A fault whose signal the thread has blocked ends the program before any handler: so those signals are not
// blocked in the kernel where the program blocks them, unless one waits that was sent. `pthread_sigmask` and
// `sigprocmask` are replaced for that, and tell the program what it has set.
#pragma once

#include <signal.h>

namespace codewake::internal {

/// From now on, for the calling thread and those that begin; in others, for what they block from now on.
/// Thread-safe.
void keep_faults_unblocked() noexcept;

/// While a thread is made: it begins with those fault signals really blocked that the program has blocked, so
/// that none that is sent can reach it before it calls begin_with_faults_unblocked().
class BlockedFaults {
 public:
  BlockedFaults() noexcept;
  BlockedFaults(const BlockedFaults&) = delete;
  BlockedFaults& operator=(const BlockedFaults&) = delete;
  ~BlockedFaults();

 private:
  bool blocks_ = false;
  sigset_t before_{};
};
void begin_with_faults_unblocked() noexcept;

/// Whether the program had the signal blocked where the mask was `interrupted`; the library's threads take
/// none that is sent. Async-signal-safe, as what follows.
bool is_fault_blocked(int signal, const sigset_t& interrupted) noexcept;

/// pthread_sigmask as the kernel has it.
int set_real_mask(int how, const sigset_t* set, sigset_t* before) noexcept;

}  // namespace codewake::internal
