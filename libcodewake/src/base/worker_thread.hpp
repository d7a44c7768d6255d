// Threads of the library's own.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <string>
#include <thread>
#include <utility>

#include "base/fatal_signals.hpp"

namespace codewake::internal {

/// Starts a thread of this name (at most 15 characters) that gets none of the program's signals, but for
/// those of its own faults, and belongs to itself. Throws std::system_error where there can be none.
template <class Work>
void start_worker(const char* name, Work work) {
  sigset_t all, before;
  sigfillset(&all);
  for (const int fault : kFatalSignals) sigdelset(&all, fault);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread thread(std::move(work));
    pthread_setname_np(thread.native_handle(), name);
    thread.detach();
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace codewake::internal
