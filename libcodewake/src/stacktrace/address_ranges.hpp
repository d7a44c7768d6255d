// What lies where: ranges of addresses, each with an offset into debug information.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace codewake::internal {

/// Filled once, then looked at. Reentrant.
class AddressRanges {
 public:
  /// Further ones are left out: a hostile file has any number of them.
  static constexpr std::size_t kMost = std::size_t{1} << 20;

  /// `end` is behind the last address. An empty range is left out.
  void add(std::uint64_t begin, std::uint64_t end, std::uint64_t value) {
    if (begin < end && ranges_.size() < kMost) ranges_.push_back({begin, end, 0, value});
  }

  /// Once all are added, before the first `find`.
  void sort() {
    std::stable_sort(ranges_.begin(), ranges_.end(),
                     [](const Range& a, const Range& b) { return a.begin < b.begin; });
    std::uint64_t highest = 0;
    for (Range& range : ranges_) range.highest_end = highest = std::max(highest, range.end);
    ranges_.shrink_to_fit();
  }

  /// The value of the range that an address lies in: of several, the one that begins last.
  std::optional<std::uint64_t> find(std::uint64_t address) const noexcept {
    auto range = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                  [](std::uint64_t a, const Range& r) { return a < r.begin; });
    while (range != ranges_.begin()) {
      --range;
      if (address < range->end) return range->value;
      if (address >= range->highest_end) break;
    }
    return std::nullopt;
  }

  std::size_t bytes() const noexcept { return ranges_.capacity() * sizeof(Range); }

 private:
  struct Range {
    std::uint64_t begin;
    std::uint64_t end;
    std::uint64_t highest_end;  // of this one and those before
    std::uint64_t value;
  };
  std::vector<Range> ranges_;
};

}  // namespace codewake::internal
