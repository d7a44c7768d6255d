#include "durations.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace codewake::analysis {
namespace {

constexpr int kBits = 6;  // of a value, behind its first
constexpr std::size_t kParts = std::size_t{1} << kBits;

std::size_t bucket_of(std::int64_t value) noexcept {
  const auto bits = static_cast<std::uint64_t>(value);
  const int shift = std::max(static_cast<int>(std::bit_width(bits)) - kBits - 1, 0);
  return static_cast<std::size_t>(shift) * kParts + static_cast<std::size_t>(bits >> shift);
}

std::int64_t middle_of(std::size_t bucket) noexcept {
  if (bucket < 2 * kParts) return static_cast<std::int64_t>(bucket);
  const std::size_t shift = bucket / kParts - 1;
  const std::uint64_t first = static_cast<std::uint64_t>(bucket - shift * kParts) << shift;
  return static_cast<std::int64_t>(first + (std::uint64_t{1} << shift) / 2);
}

}  // namespace

void Durations::add(std::chrono::nanoseconds duration) {
  const std::int64_t value = std::max<std::int64_t>(duration.count(), 0);
  max_ = std::max(max_, value);
  ++count_;
  if (buckets_.empty() && exact_.size() < kMostExact) {
    exact_.push_back(value);
    is_sorted_ = false;
    return;
  }
  for (const std::int64_t kept : exact_) count_into_bucket(kept);
  exact_ = {};
  count_into_bucket(value);
}

void Durations::count_into_bucket(std::int64_t value) {
  const std::size_t bucket = bucket_of(value);
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  if (buckets_[bucket] < std::numeric_limits<std::uint32_t>::max()) ++buckets_[bucket];
}

std::chrono::nanoseconds Durations::quantile(double part) const {
  if (count_ == 0) return std::chrono::nanoseconds(0);
  const double wanted = std::ceil(part * static_cast<double>(count_));
  const auto rank = static_cast<std::uint64_t>(std::clamp(wanted, 1.0, static_cast<double>(count_)));
  if (buckets_.empty()) {
    if (!is_sorted_) std::ranges::sort(exact_);
    is_sorted_ = true;
    return std::chrono::nanoseconds(exact_[static_cast<std::size_t>(rank - 1)]);
  }
  std::uint64_t below = 0;
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    below += buckets_[bucket];
    if (below >= rank) return std::chrono::nanoseconds(std::min(middle_of(bucket), max_));
  }
  return max();
}

std::chrono::nanoseconds recorded_duration(const TraceEventRecord& event) {
  constexpr std::chrono::nanoseconds kNone(0);
  constexpr double kMost = 1e12;  // milliseconds, some thirty years; what is said to be longer is no duration
  constexpr std::chrono::nanoseconds kLongest(static_cast<std::int64_t>(kMost * 1e6));
  if (event.duration) return std::clamp(*event.duration, kNone, kLongest);
  if (event.texts.data.find("\"duration_ms\"") == std::string::npos) return kNone;
  const nlohmann::json data = nlohmann::json::parse(event.texts.data, nullptr, false);
  if (!data.is_object() || !data.contains("duration_ms") || !data["duration_ms"].is_number()) return kNone;
  const double milliseconds = std::clamp(data["duration_ms"].get<double>(), 0.0, kMost);
  return std::chrono::nanoseconds(static_cast<std::int64_t>(milliseconds * 1e6));
}

Latency::Latency(const Durations& durations)
    : count(durations.count()),
      median(durations.quantile(0.5)),
      p95(durations.quantile(0.95)),
      max(durations.max()) {}

}  // namespace codewake::analysis
