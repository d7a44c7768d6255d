// Threads of the library's own.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <string>
#include <thread>
#include <utility>

#include "base/fatal_signals.hpp"

namespace codewake::internal {

/// Whether the calling thread is one of them.
inline constinit thread_local bool is_worker __attribute__((tls_model("initial-exec"))) = false;

/// Starts a thread of this name (at most 15 characters) that gets none of the program's signals, but for
/// those of its own faults, and belongs to itself. Throws std::system_error where there can be none.
template <class Work>
void start_worker(const char* name, Work work) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread thread([work = std::move(work)]() mutable {
      is_worker = true;
      sigset_t faults;
      sigemptyset(&faults);
      for (const int fault : kFaultSignals) sigaddset(&faults, fault);
      pthread_sigmask(SIG_UNBLOCK, &faults, nullptr);
      work();
    });
    pthread_setname_np(thread.native_handle(), name);
    thread.detach();
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace codewake::internal
