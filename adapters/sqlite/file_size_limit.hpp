// A write beyond RLIMIT_FSIZE (ulimit -f) is an error, and no signal that ends the program.
#pragma once

#include <signal.h>
#include <sys/resource.h>

#include <cerrno>
#include <ctime>

namespace codewake::internal {

/// While one of these lives, what its thread writes beyond the limit fails with EFBIG alone. SIGXFSZ that the
/// program had pending before stays pending. Thread-bound; costs one system call where there is no limit.
class BlockFileSizeSignal {
 public:
  BlockFileSizeSignal() noexcept {
    rlimit limit{};
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY) return;
    sigset_t before, pending;
    sigemptyset(&signal_);
    sigaddset(&signal_, SIGXFSZ);
    is_active_ = pthread_sigmask(SIG_BLOCK, &signal_, &before) == 0;
    was_blocked_ = is_active_ && sigismember(&before, SIGXFSZ) == 1;
    was_pending_ = was_blocked_ && sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 1;
  }
  BlockFileSizeSignal(const BlockFileSizeSignal&) = delete;
  BlockFileSizeSignal& operator=(const BlockFileSizeSignal&) = delete;
  ~BlockFileSizeSignal() {
    if (!is_active_) return;
    const int error = errno;
    const timespec none{};
    while (!was_pending_ && sigtimedwait(&signal_, nullptr, &none) < 0 && errno == EINTR) continue;
    if (!was_blocked_) pthread_sigmask(SIG_UNBLOCK, &signal_, nullptr);
    errno = error;
  }

 private:
  bool is_active_ = false, was_blocked_ = false, was_pending_ = false;
  sigset_t signal_;
};

}  // namespace codewake::internal
