// Many durations, of which a few figures are wanted.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "codewake/trace_event.hpp"

namespace codewake::analysis {

/// Keeps up to 512 of them as they are, and beyond that how many there were of each size, to within 0.8
/// percent: 16 KiB at most. Reentrant.
class Durations {
 public:
  static constexpr std::size_t kMostExact = 512;

  /// What is below nothing counts as nothing.
  void add(std::chrono::nanoseconds duration);

  std::uint64_t count() const noexcept { return count_; }
  /// Zero where there is none.
  std::chrono::nanoseconds max() const noexcept { return std::chrono::nanoseconds(max_); }
  /// The smallest that is not below so large a part of them (`part` from 0 to 1: 0.5 is the median). Zero
  /// where there is none.
  std::chrono::nanoseconds quantile(double part) const;

 private:
  void count_into_bucket(std::int64_t value);

  std::uint64_t count_ = 0;
  std::int64_t max_ = 0;
  mutable std::vector<std::int64_t> exact_;
  mutable bool is_sorted_ = true;
  std::vector<std::uint32_t> buckets_;
};

/// How long what the event tells of took: as older SDKs have it, in its data, where it has none itself. Zero
/// where nobody measured. Thread-safe.
std::chrono::nanoseconds recorded_duration(const TraceEventRecord& event);

/// What people want to know of them.
struct Latency {
  std::uint64_t count = 0;
  std::chrono::nanoseconds median{0};
  std::chrono::nanoseconds p95{0};
  std::chrono::nanoseconds max{0};

  Latency() = default;
  explicit Latency(const Durations& durations);
  bool operator==(const Latency&) const = default;
};

}  // namespace codewake::analysis
