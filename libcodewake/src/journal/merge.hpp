// Records of several lanes in the order of time, each lane's in its own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "journal/format.hpp"

namespace codewake::internal {

/// `peek(lane, record)` says whether the lane has a next record, and which; `take(lane, record)` takes it, or
/// refuses, which ends the merge. Lanes are pointers; `Taken` is what they hold.
template <class Lane, class Peek, class Take>
void merge_by_time(const std::vector<Lane*>& lanes, Peek peek, Take take) {
  struct Head {
    std::uint64_t time;
    Lane* lane;
    // The heap's top is its greatest.
    bool operator<(const Head& other) const noexcept { return time > other.time; }
  };
  using Taken = typename Lane::Taken;
  // A process comes before its events, also where the clock was set back between them.
  const auto time_of = [](const Taken& r) {
    return r.header.kind == static_cast<std::uint8_t>(RecordKind::process) ? 0 : r.header.time;
  };
  std::vector<Head> heads;
  Taken record;
  for (Lane* lane : lanes) {
    if (peek(lane, record)) heads.push_back({time_of(record), lane});
  }
  std::make_heap(heads.begin(), heads.end());
  while (!heads.empty()) {
    std::pop_heap(heads.begin(), heads.end());
    Lane* const lane = heads.back().lane;
    heads.pop_back();
    const std::uint64_t others = heads.empty() ? UINT64_MAX : heads.front().time;
    bool more = peek(lane, record);
    while (more && time_of(record) <= others) {
      if (!take(lane, record)) return;
      more = peek(lane, record);
    }
    if (!more) continue;
    heads.push_back({time_of(record), lane});
    std::push_heap(heads.begin(), heads.end());
  }
}

}  // namespace codewake::internal
