// Ends waits for a server that says nothing: libpq and libpqxx themselves wait for ever.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace codewake::internal {

/// Shuts a connection's socket down where an exchange on it takes too long; a call that waits for the server
/// then finds the connection broken. Thread-safe. Not for a child of fork(), which has no such thread.
class Watchdog {
 public:
  using Clock = std::chrono::steady_clock;

  /// It keeps a descriptor of its own: libpq closes `socket` in the middle of a failing call, and the number
  /// may be another file's then. Throws std::system_error.
  explicit Watchdog(int socket);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();

  /// As long as one lives, the server may be silent for `patience`; zero: for ever. One at a time, of one
  /// thread.
  class Guard {
   public:
    Guard(Watchdog& watchdog, std::chrono::milliseconds patience) : watchdog_(watchdog) {
      watchdog.arm(patience);
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { watchdog_.disarm(); }

   private:
    Watchdog& watchdog_;
  };

  /// Whether it has shut the socket down.
  bool has_fired() const;
  /// Why it has, for a message; what `otherwise` says where it has not.
  std::string reason(const std::string& otherwise) const;
  /// Its own descriptor of the socket.
  int descriptor() const noexcept { return socket_; }

 private:
  void arm(std::chrono::milliseconds patience);
  void disarm();
  void watch();

  const int socket_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  Clock::time_point deadline_ = Clock::time_point::max();  ///< max: no exchange is under way
  Clock::time_point wakes_ = Clock::time_point::max();     ///< when the thread looks again by itself
  std::chrono::milliseconds patience_{0};                  ///< of the last deadline
  bool fired_ = false, ends_ = false;
  std::thread thread_;  ///< begins with the first deadline
};

}  // namespace codewake::internal
