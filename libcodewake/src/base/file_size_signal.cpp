#include "base/file_size_signal.hpp"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <cerrno>

namespace codewake::internal {
namespace {

sigset_t file_size_signal() noexcept {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGXFSZ);
  return set;
}

}  // namespace

NoFileSizeSignal::NoFileSizeSignal() noexcept {
  const int error = errno;
  const sigset_t set = file_size_signal();
  sigset_t before, pending;
  was_blocked_ = pthread_sigmask(SIG_BLOCK, &set, &before) != 0 || sigismember(&before, SIGXFSZ) != 0;
  was_pending_ = sigpending(&pending) != 0 || sigismember(&pending, SIGXFSZ) != 0;
  errno = error;
}

NoFileSizeSignal::~NoFileSizeSignal() {
  const int error = errno;
  const sigset_t set = file_size_signal();
  const timespec now{};
  while (!was_pending_ && (sigtimedwait(&set, nullptr, &now) == SIGXFSZ || errno == EINTR)) {
  }
  if (!was_blocked_) pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  errno = error;
}

}  // namespace codewake::internal
