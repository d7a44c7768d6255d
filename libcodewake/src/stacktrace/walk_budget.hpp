// An end to every walk through debug information.
#pragma once

#include <cstddef>

namespace codewake::internal {

/// How much is looked at for one question, entries and ranges of addresses: a hostile file refers back, or to
/// the same ranges from everywhere. No program's unit has so many.
class WalkBudget {
 public:
  static constexpr std::size_t kMost = std::size_t{1} << 24;

  /// Whether there was something left of it.
  bool spend() noexcept { return left_ > 0 && left_-- > 0; }

 private:
  std::size_t left_ = kMost;
};

}  // namespace codewake::internal
