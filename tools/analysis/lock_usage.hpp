// How locks were used, and who waited for them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "history.hpp"

namespace codewake::analysis {

/// Of one lock of one process, or of all locks of a name where several have it.
struct LockUsage {
  std::string lock, service, instance;
  std::uint64_t taken = 0;
  std::uint64_t taken_shared = 0;  ///< of these, together with others
  std::uint64_t executions = 0;
  std::chrono::nanoseconds held{0}, longest{0};  ///< in all, and once at most
  std::uint32_t longest_place = 0;               ///< in History::places: where it was taken then
  /// How often somebody else had it when an execution came for it, and how long these waited at most: from
  /// what they did before until they had it, or from when the other one took it.
  std::uint64_t contended = 0;
  std::chrono::nanoseconds waited{0};
};

/// The most waited for first.
std::vector<LockUsage> lock_usage(const History& history);

}  // namespace codewake::analysis
