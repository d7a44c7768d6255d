// The cheapest clock there is, and how its ticks become time.
//
// A processor's time stamp counter is read in a few nanoseconds but counts in a unit of its own. Whoever
// stamps with it takes samples of counter and wall clock together; between two samples time is a straight
// line. A step of the wall clock shows as two samples that no such line joins.
#pragma once

#include <array>
#include <cstdint>
#include <ctime>
#include <vector>

#include "codewake/time.hpp"

namespace codewake::internal {

enum class TickSource : std::uint32_t {
  realtime = 0,  ///< ticks are nanoseconds of CLOCK_REALTIME
  counter = 1,   ///< ticks are those of the processor's time stamp counter
};

/// The counter where the processor's is invariant and the kernel itself relies on it, else the wall clock.
TickSource best_tick_source() noexcept;

/// Reads the clock. No system call where the kernel has none for it.
inline std::uint64_t read_ticks(TickSource source) noexcept {
#if defined(__x86_64__)
  if (source == TickSource::counter) return __builtin_ia32_rdtsc();
#else
  static_cast<void>(source);
#endif
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(time.tv_nsec);
}

/// Both clocks at one moment, to within about a tenth of a microsecond.
struct ClockSample {
  std::uint64_t ticks = 0;
  std::int64_t realtime_ns = 0;

  bool operator==(const ClockSample&) const = default;
};

ClockSample sample_clock(TickSource source) noexcept;

/// Turns ticks into time by samples. Reentrant.
class ClockHistory {
 public:
  /// Older samples go when there are more.
  static constexpr std::size_t kMaxSamples = 64;

  /// `nominal_ns_per_tick`: what a tick takes, to a thousandth; 0: what it takes between the first samples.
  explicit ClockHistory(TickSource source = TickSource::realtime, double nominal_ns_per_tick = 0) noexcept
      : source_(source),
        nominal_ns_per_tick_(nominal_ns_per_tick),
        nominal_is_known_(nominal_ns_per_tick != 0) {}

  TickSource source() const noexcept { return source_; }
  double nominal_ns_per_tick() const noexcept { return nominal_ns_per_tick_; }

  /// Adds one that is later, in ticks, than those before; any other is left out.
  void add(ClockSample sample);

  /// Ticks outside of all samples lie on the line of the nearest two. Needs two samples for the counter.
  Time to_time(std::uint64_t ticks) const noexcept;

  /// Two points of the line on which the last sample lies, which is the second: for whoever has nothing but
  /// them. Both are the same where there is one sample only.
  std::array<ClockSample, 2> line() const noexcept;

  const std::vector<ClockSample>& samples() const noexcept { return samples_; }

 private:
  static constexpr std::size_t kLineSamples = 10;

  void measure_nominal() noexcept;
  /// The first of the samples that a straight line joins with sample `index`.
  std::size_t line_begin(std::size_t index) const noexcept;
  /// Nanoseconds for a tick, before sample `index`.
  double slope_before(std::size_t index) const noexcept;
  bool is_step(std::size_t index) const noexcept;

  TickSource source_;
  double nominal_ns_per_tick_;
  bool nominal_is_known_;
  std::vector<ClockSample> samples_;
};

}  // namespace codewake::internal
