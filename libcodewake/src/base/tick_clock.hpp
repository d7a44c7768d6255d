// The cheapest clock there is, and how its ticks become time.
//
// A processor's time stamp counter is read in a few nanoseconds but counts in a unit of its own. A program
// that stamps with it takes samples of counter and wall clock together, and makes straight lines of them. A
// step of the wall clock shows as a sample that is far from the line.
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

/// And CLOCK_MONOTONIC, which nobody sets.
struct ClockReading {
  ClockSample sample;
  std::int64_t steady_ns = 0;
};

ClockReading read_clocks(TickSource source) noexcept;

/// Two points of a straight line from ticks to time. The integers stand in files: a reader of these
/// gets the same nanosecond for the same ticks.
using ClockPoints = std::array<ClockSample, 2>;

/// The time on the line. Where it has one point only, or none, that point's.
Time time_on(const ClockPoints& points, std::uint64_t ticks) noexcept;

/// What ticks mean from `from_ticks` on, up to where the next line begins.
struct ClockLine {
  std::uint64_t from_ticks = 0;
  ClockPoints points = {};

  bool operator==(const ClockLine&) const = default;
};

/// The lines of a journal, each later than the one before; one with the same beginning replaces it.
class ClockLines {
 public:
  explicit ClockLines(TickSource source = TickSource::realtime) noexcept : source_(source) {}

  TickSource source() const noexcept { return source_; }
  void add(const ClockLine& line);
  bool empty() const noexcept { return lines_.empty(); }
  const ClockLine& last() const { return lines_.back(); }

  /// Which line is that of these ticks; the first serves for all that came before it. Needs one.
  const ClockLine& line_of(std::uint64_t ticks) const noexcept;
  Time to_time(std::uint64_t ticks) const noexcept;

 private:
  static constexpr std::size_t kMost = 1024;

  TickSource source_;
  std::vector<ClockLine> lines_;
};

/// Makes lines of samples. A record's time is one value, wherever and whenever it is converted: once a time
/// was told by a line, that line stays as it is, and what the clocks do from there makes another one, which
/// begins at a sample of then. Until it is used, a line gets better with each sample.
class ClockHistory {
 public:
  explicit ClockHistory(TickSource source = TickSource::realtime) noexcept : lines_(source) {}

  /// Takes one that is later, in ticks, than those before; any other is left out. True where it has made or
  /// changed the last line. The steady clock tells a step between the first samples from the counter's speed.
  bool add(const ClockReading& reading);

  /// The line of ticks that have been read already. From now on it stays. Needs two samples for the counter.
  const ClockLine& use_line_of(std::uint64_t ticks) noexcept;
  Time to_time(std::uint64_t ticks) noexcept;

  const ClockLines& lines() const noexcept { return lines_; }

 private:
  void begin_line(const ClockLine& line);
  void begin_behind_step(const ClockSample& sample, double ns_per_tick);

  ClockLines lines_;
  std::vector<ClockSample> samples_;  // the latest that the wall clock was not set between
  std::int64_t steady_ns_ = 0;        // at the last sample
  bool is_used_ = false;              // the last line
  bool knows_slope_ = false;          // well enough to tell a step from it
};

}  // namespace codewake::internal
