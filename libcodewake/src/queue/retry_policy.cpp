#include "queue/retry_policy.hpp"

#include <algorithm>

namespace codewake::internal {

std::chrono::nanoseconds retry_delay(unsigned failures, double random) noexcept {
  constexpr unsigned kMostDoublings = 16;  // far beyond the limit
  const unsigned doublings = std::min(failures - 1, kMostDoublings);
  const std::chrono::nanoseconds full =
      std::min<std::chrono::nanoseconds>(kFirstRetryDelay * (1u << doublings), kLongestRetryDelay);
  // Between half of it and all of it.
  return std::chrono::nanoseconds(
      static_cast<std::int64_t>(static_cast<double>(full.count()) * (0.5 + random / 2)));
}

void WriteLimit::note_failure(std::size_t items) noexcept {
  failures_ = std::min(failures_ + 1, kFailuresBeforeHalving);
  if (failures_ == kFailuresBeforeHalving || items >= items_) items_ = std::max<std::size_t>(items / 2, 1);
}

void WriteLimit::note_success(std::size_t items) noexcept {
  failures_ = 0;
  if (items >= items_) items_ = items * 2;
}

}  // namespace codewake::internal
