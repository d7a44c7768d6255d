// How long to wait before a store is tried again.
#pragma once

#include <chrono>

namespace codewake::internal {

/// Doubles with each failure in a row, up to a limit; a part of it is random, so that the many programs whose
/// server comes back do not all come at once. A pure function. `failures`: so far, at least 1. `random`: from
/// 0 up to 1.
std::chrono::nanoseconds retry_delay(unsigned failures, double random) noexcept;

inline constexpr std::chrono::milliseconds kFirstRetryDelay{50};
inline constexpr std::chrono::seconds kLongestRetryDelay{30};

}  // namespace codewake::internal
