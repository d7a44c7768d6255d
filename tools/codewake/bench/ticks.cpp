#include "bench/ticks.hpp"

#include <chrono>
#include <cstddef>
#include <vector>

#include "bench/statistics.hpp"

namespace codewake::cli::bench {

TickScale measure_tick_scale() {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kWindow{50};
  constexpr std::size_t kReadings = 20'000;

  const auto begin = Clock::now();
  const std::uint64_t first = ticks_now();
  while (Clock::now() - begin < kWindow) relax();
  const std::uint64_t last = ticks_now();
  const std::chrono::duration<double, std::nano> passed = Clock::now() - begin;

  TickScale scale{.ns_per_tick = passed.count() / static_cast<double>(last - first)};
  std::vector<double> readings(kReadings);
  for (double& reading : readings) {
    const std::uint64_t from = ticks_at_begin();
    reading = static_cast<double>(ticks_at_end() - from);
  }
  scale.step_ticks = smallest_step_of(readings);
  scale.overhead_ns = quantile_of_steps(readings, 0.5, scale.step_ticks) * scale.ns_per_tick;
  return scale;
}

}  // namespace codewake::cli::bench
