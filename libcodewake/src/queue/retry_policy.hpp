// When a store is tried again, and with how much.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace codewake::internal {

/// How long to wait. Doubles with each failure in a row, up to a limit; a part of it is random, so that the
/// many programs whose server comes back do not all come at once. A pure function. `failures`: so far, at
/// least 1. `random`: from 0 up to 1.
std::chrono::nanoseconds retry_delay(unsigned failures, double random) noexcept;

inline constexpr std::chrono::milliseconds kFirstRetryDelay{50};
inline constexpr std::chrono::seconds kLongestRetryDelay{30};

/// How much to write at once. A store may fail because it is away, or because this is more than it can do in
/// the time, the memory or the room that it has: it cannot say which. So after a few failures in a row each
/// one halves what is tried next, down to one item, and each success at the limit doubles it again; a failure
/// at the limit halves it at once. Reentrant.
class WriteLimit {
 public:
  /// Items; at least 1.
  std::size_t items() const noexcept { return items_; }

  /// So many items were written in vain, and it was not for what they hold.
  void note_failure(std::size_t items) noexcept;
  void note_success(std::size_t items) noexcept;

  void set_least() noexcept { items_ = 1; }

 private:
  std::size_t items_ = SIZE_MAX;
  unsigned failures_ = 0;  // in a row
};

inline constexpr unsigned kFailuresBeforeHalving = 3;

}  // namespace codewake::internal
