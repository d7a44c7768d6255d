#include "base/tick_clock.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <utility>

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

std::int64_t clock_ns(clockid_t clock) noexcept {
  timespec time{};
  clock_gettime(clock, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// Samples may come from a damaged file: their numbers may be anything, so that sums wrap around.
std::int64_t difference_ns(std::int64_t to, std::int64_t from) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from));
}

/// A line is made of so many samples: a longer base is more exact.
constexpr std::size_t kLineSamples = 10;
/// How far a sample may lie from a line that was used, before there is a new one.
constexpr std::int64_t kMostErrorNs = 1'000;
/// And from one that was not.
constexpr std::int64_t kWorthANewFitNs = 200;
/// What the wall clock is moved by where it is set, at least; and what shows that it is being adjusted.
constexpr std::int64_t kLeastStepNs = 20'000;
constexpr std::int64_t kMovingNs = 5'000;
/// The same as long as no slope is known, by the steady clock.
constexpr std::int64_t kLeastEarlyStepNs = 1'000'000;

/// Numbers may be anything: std::abs of the least has none.
bool is_beyond(std::int64_t off_ns, std::int64_t most_ns) noexcept {
  return off_ns > most_ns || off_ns < -most_ns;
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

// From a second before it.
ClockPoints points_through(const ClockSample& sample, double ns_per_tick) noexcept {
  const auto second = static_cast<std::uint64_t>(std::clamp(1e9 / ns_per_tick, 1.0, 1e18));
  const std::uint64_t before = sample.ticks - std::min(second, sample.ticks);
  return {ClockSample{before, on_line(sample, ns_per_tick, before).time_since_epoch().count()}, sample};
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

ClockReading read_clocks(TickSource source) noexcept {
  if (source == TickSource::realtime) {
    const std::uint64_t ticks = read_ticks(source);
    return {{ticks, static_cast<std::int64_t>(ticks)}, clock_ns(CLOCK_MONOTONIC)};
  }
  // The thread may be interrupted between the clocks: the tightest of a few is taken.
  ClockReading best;
  std::uint64_t tightest = UINT64_MAX;
  for (int i = 0; i < 5; ++i) {
    const std::uint64_t before = read_ticks(source);
    const std::int64_t ns = clock_ns(CLOCK_REALTIME);
    const std::uint64_t width = read_ticks(source) - before;
    const std::int64_t steady_ns = clock_ns(CLOCK_MONOTONIC);
    const std::uint64_t whole_width = read_ticks(source) - before;
    if (whole_width >= tightest) continue;
    tightest = whole_width;
    best = {{before + width / 2, ns}, steady_ns};
  }
  return best;
}

Time time_on(const ClockPoints& points, std::uint64_t ticks) noexcept {
  const auto& [first, second] = points;
  if (first.ticks == second.ticks) return Time(std::chrono::nanoseconds(first.realtime_ns));
  return on_line(second, slope(first, second), ticks);
}

void ClockLines::add(const ClockLine& line) {
  if (!lines_.empty() && line.from_ticks < lines_.back().from_ticks) return;
  if (!lines_.empty() && line.from_ticks == lines_.back().from_ticks) lines_.pop_back();
  if (lines_.size() == kMost) lines_.erase(lines_.begin(), lines_.begin() + kMost / 2);
  lines_.push_back(line);
}

const ClockLine& ClockLines::line_of(std::uint64_t ticks) const noexcept {
  std::size_t index = lines_.size() - 1;
  while (index > 0 && lines_[index].from_ticks > ticks) --index;
  return lines_[index];
}

Time ClockLines::to_time(std::uint64_t ticks) const noexcept {
  if (source_ == TickSource::realtime)
    return Time(std::chrono::nanoseconds(static_cast<std::int64_t>(ticks)));
  return lines_.empty() ? Time() : time_on(line_of(ticks).points, ticks);
}

void ClockHistory::begin_line(const ClockLine& line) {
  lines_.add(line);
  is_used_ = false;
}

// All that is known of the new line's slope is that of the counter.
void ClockHistory::begin_behind_step(const ClockSample& sample, double ns_per_tick) {
  samples_.assign(1, sample);
  begin_line({.from_ticks = sample.ticks, .points = points_through(sample, ns_per_tick)});
}

bool ClockHistory::add(const ClockReading& reading) {
  const ClockSample& sample = reading.sample;
  if (!samples_.empty() && sample.ticks <= samples_.back().ticks) return false;
  const auto keep = [&] {
    if (samples_.size() == kLineSamples) samples_.erase(samples_.begin());
    samples_.push_back(sample);
  };
  if (lines_.empty()) {
    keep();
    if (samples_.size() == 1) {
      steady_ns_ = reading.steady_ns;
      lines_.add({.from_ticks = 0, .points = {sample, sample}});
      return true;
    }
  }
  const ClockLine last = lines_.last();
  const std::int64_t steady_passed_ns =
      difference_ns(reading.steady_ns, std::exchange(steady_ns_, reading.steady_ns));
  // Before the line's own slope is known, a step would be taken for one.
  if (!knows_slope_ && lines_.source() == TickSource::counter && steady_passed_ns > 0) {
    const std::int64_t stepped_ns =
        difference_ns(difference_ns(sample.realtime_ns, samples_.back().realtime_ns), steady_passed_ns);
    if (is_beyond(stepped_ns, kLeastEarlyStepNs + steady_passed_ns / 1000)) {
      const double ns_per_tick =
          static_cast<double>(steady_passed_ns) / static_cast<double>(sample.ticks - samples_.back().ticks);
      if (last.points[0] == last.points[1] && !is_used_)
        lines_.add({.from_ticks = last.from_ticks, .points = points_through(last.points[0], ns_per_tick)});
      begin_behind_step(sample, ns_per_tick);
      return true;
    }
  }
  if (last.points[0] == last.points[1]) {  // one sample is no line yet
    if (samples_.back() != sample) keep();
    begin_line({.from_ticks = is_used_ ? sample.ticks : last.from_ticks, .points = {last.points[0], sample}});
    return true;
  }
  const std::int64_t off_ns = std::abs(
      difference_ns(sample.realtime_ns, time_on(last.points, sample.ticks).time_since_epoch().count()));
  const double ns_per_tick = slope(last.points[0], last.points[1]);
  const double passed_ns = static_cast<double>(sample.ticks - samples_.back().ticks) * ns_per_tick;
  // No clock is adjusted by a thousandth.
  if (off_ns > kLeastStepNs && static_cast<double>(off_ns) > passed_ns * 1e-3 && knows_slope_) {
    begin_behind_step(sample, ns_per_tick);
    return true;
  }
  const ClockSample previous = samples_.back();
  keep();
  knows_slope_ = knows_slope_ || samples_.size() > 2;
  // What comes late may belong to a line without a use.
  const bool stays = is_used_ || samples_.size() == kLineSamples;
  if (off_ns <= (stays ? kMostErrorNs : kWorthANewFitNs)) return false;
  // A longer base is more exact, unless the wall clock is being moved.
  const ClockSample& base = off_ns > kMovingNs ? previous : samples_.front();
  begin_line({.from_ticks = stays ? sample.ticks : last.from_ticks, .points = {base, sample}});
  return true;
}

const ClockLine& ClockHistory::use_line_of(std::uint64_t ticks) noexcept {
  const ClockLine& line = lines_.line_of(ticks);
  if (&line == &lines_.last()) is_used_ = true;
  return line;
}

Time ClockHistory::to_time(std::uint64_t ticks) noexcept {
  if (!lines_.empty() && lines_.source() == TickSource::counter) use_line_of(ticks);
  return lines_.to_time(ticks);
}

}  // namespace codewake::internal
