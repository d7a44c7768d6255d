// Waking a thread that sleeps until there is something to do.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace codewake::internal {

/// Thread-safe; one thread waits.
class Wake {
 public:
  void notify() {
    const std::lock_guard lock(mutex_);
    notified_ = true;
    changed_.notify_one();
  }

  /// Until somebody notifies, or has since the last call; at most for `timeout`.
  void wait_for(std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return notified_; });
    notified_ = false;
  }

  void lock_for_fork() { mutex_.lock(); }
  void unlock_after_fork() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool notified_ = false;
};

}  // namespace codewake::internal
