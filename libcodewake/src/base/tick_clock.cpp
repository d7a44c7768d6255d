#include "base/tick_clock.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace codewake::internal {
namespace {

#if defined(__x86_64__)
bool counter_is_invariant() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(0x80000007u, &a, &b, &c, &d) != 0 && (d & (1u << 8)) != 0;
}

// The kernel gives a counter up that differs between processors or stands still in sleep.
bool kernel_relies_on_counter() {
  std::ifstream file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  std::string name;
  return static_cast<bool>(file >> name) &&
         (name == "tsc" || name == "kvm-clock" || name == "hyperv_clocksource_tsc_page");
}
#endif

std::int64_t realtime_ns() noexcept {
  return static_cast<std::int64_t>(read_ticks(TickSource::realtime));
}

// Samples may come from a damaged file: their numbers may be anything, so that sums wrap around.
std::int64_t difference_ns(std::int64_t to, std::int64_t from) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from));
}

double slope(const ClockSample& a, const ClockSample& b) noexcept {
  return static_cast<double>(difference_ns(b.realtime_ns, a.realtime_ns)) /
         static_cast<double>(b.ticks - a.ticks);
}

Time on_line(const ClockSample& through, double ns_per_tick, std::uint64_t ticks) noexcept {
  const auto difference = static_cast<double>(static_cast<std::int64_t>(ticks - through.ticks));
  constexpr double kFurthestNs = 4e18;  // a torn record's stamp may be anything
  const double product = difference * ns_per_tick;
  const double ns = std::isfinite(product) ? std::clamp(product, -kFurthestNs, kFurthestNs) : 0;
  return Time(std::chrono::nanoseconds(difference_ns(through.realtime_ns, -std::llround(ns))));
}

}  // namespace

TickSource best_tick_source() noexcept {
#if defined(__x86_64__)
  static const bool good = [] {
    try {
      return counter_is_invariant() && kernel_relies_on_counter();
    } catch (...) {
      return false;  // no memory for a file's name: the other clock works always
    }
  }();
  if (good) return TickSource::counter;
#endif
  return TickSource::realtime;
}

ClockSample sample_clock(TickSource source) noexcept {
  if (source == TickSource::realtime) {
    const std::uint64_t ticks = read_ticks(source);
    return {ticks, static_cast<std::int64_t>(ticks)};
  }
  // The thread may be interrupted between the two clocks: the tightest of a few is taken.
  ClockSample best;
  std::uint64_t tightest = UINT64_MAX;
  for (int i = 0; i < 5; ++i) {
    const std::uint64_t before = read_ticks(source);
    const std::int64_t ns = realtime_ns();
    const std::uint64_t width = read_ticks(source) - before;
    if (width >= tightest) continue;
    tightest = width;
    best = {before + width / 2, ns};
  }
  return best;
}

void ClockHistory::add(ClockSample sample) {
  if (!samples_.empty() && sample.ticks <= samples_.back().ticks) return;
  if (samples_.size() == kMaxSamples) samples_.erase(samples_.begin());
  samples_.push_back(sample);
  measure_nominal();
}

// The first samples lie close together, so that an error of one of them weighs much: those that follow on the
// same line make it good.
void ClockHistory::measure_nominal() noexcept {
  const std::size_t last = samples_.size() - 1;
  if (nominal_is_known_ || last == 0) return;
  if (last > 1 && is_step(last)) {
    nominal_is_known_ = true;
    return;
  }
  nominal_ns_per_tick_ = slope(samples_.front(), samples_.back());
  nominal_is_known_ = last >= kLineSamples;
}

std::array<ClockSample, 2> ClockHistory::line() const noexcept {
  if (samples_.empty()) return {};
  const std::size_t last = samples_.size() - 1;
  const std::size_t begin = line_begin(last);
  if (begin != last || nominal_ns_per_tick_ <= 0) return {samples_[begin], samples_[last]};
  // The wall clock has just been set: the line is made of what is known of the counter.
  constexpr double kSecondNs = 1e9;
  const ClockSample& end = samples_[last];
  const auto ticks = static_cast<std::uint64_t>(std::min(kSecondNs / nominal_ns_per_tick_, 1e18));
  const ClockSample from{end.ticks - std::min(ticks, end.ticks), 0};
  const Time time = on_line(end, nominal_ns_per_tick_, from.ticks);
  return {ClockSample{from.ticks, time.time_since_epoch().count()}, end};
}

// Over up to ten intervals that a straight line joins: a longer base is more exact.
std::size_t ClockHistory::line_begin(std::size_t index) const noexcept {
  std::size_t begin = index;
  while (begin > 0 && index - begin < kLineSamples && !is_step(begin)) --begin;
  return begin;
}

double ClockHistory::slope_before(std::size_t index) const noexcept {
  const std::size_t begin = line_begin(index);
  return begin == index ? nominal_ns_per_tick_ : slope(samples_[begin], samples_[index]);
}

// Whether the wall clock was set between this sample and the one before: no clock is adjusted by a
// thousandth.
bool ClockHistory::is_step(std::size_t index) const noexcept {
  const double own = slope(samples_[index - 1], samples_[index]);
  const double ticks = static_cast<double>(samples_[index].ticks - samples_[index - 1].ticks);
  const double difference = std::abs(own - nominal_ns_per_tick_);
  return difference > nominal_ns_per_tick_ * 1e-3 && difference * ticks > 20'000;
}

Time ClockHistory::to_time(std::uint64_t ticks) const noexcept {
  if (source_ == TickSource::realtime)
    return Time(std::chrono::nanoseconds(static_cast<std::int64_t>(ticks)));
  if (samples_.empty()) return Time();
  if (samples_.size() == 1) return Time(std::chrono::nanoseconds(samples_[0].realtime_ns));
  const auto after = std::upper_bound(samples_.begin(), samples_.end(), ticks,
                                      [](std::uint64_t t, const ClockSample& s) { return t < s.ticks; });
  const auto index = static_cast<std::size_t>(after - samples_.begin());
  if (index == 0) return on_line(samples_[0], slope_before(is_step(1) ? 0 : 1), ticks);
  if (index == samples_.size()) return on_line(samples_.back(), slope_before(index - 1), ticks);
  if (is_step(index)) return on_line(samples_[index - 1], slope_before(index - 1), ticks);
  return on_line(samples_[index - 1], slope(samples_[index - 1], samples_[index]), ticks);
}

}  // namespace codewake::internal
