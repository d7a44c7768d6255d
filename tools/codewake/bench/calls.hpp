// Measures a call that logs, whoever's it is: one at a time, and in a burst.
#pragma once

#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "bench/statistics.hpp"
#include "bench/texts.hpp"
#include "bench/ticks.hpp"
#include "json.hpp"

namespace codewake::cli::bench {

/// How long calls took, in nanoseconds, the clock's own time taken off.
struct CallTimes {
  double median = 0;
  double p99 = 0;
  double p999 = 0;
};

inline Json to_json(const CallTimes& times) {
  return {{"median", times.median}, {"p99", times.p99}, {"p999", times.p999}};
}

/// Calls until buffers, caches and the other side's thread are as they are in a program that runs.
template <class Log>
void warm_up(const Texts& texts, Log& log) {
  constexpr std::size_t kCalls = 2000;
  constexpr std::size_t kCallsBetweenPauses = 20;
  for (std::size_t i = 0; i < kCalls; ++i) {
    log(texts[i]);
    if (i % kCallsBetweenPauses != 0) continue;
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(20);
    while (std::chrono::steady_clock::now() < end) relax();
  }
}

/// Calls `log(Texts::Values)` so many times, 200,000 times a second where it is that fast: a rate that the
/// store keeps up with. Beyond it the other side would never be idle, and a burst is what is measured.
/// `together` of them come one behind the other, then a pause as long as their share.
template <class Log>
CallTimes time_calls(const Texts& texts, std::size_t calls, std::size_t together, Log log) {
  constexpr double kPauseNs = 5000;
  const TickScale scale = measure_tick_scale();
  const auto pause = static_cast<std::uint64_t>(kPauseNs * static_cast<double>(together) / scale.ns_per_tick);
  std::vector<double> times(calls, 1.0);  // written, so that no page of it is new when it is used
  warm_up(texts, log);
  for (std::size_t i = 0; i < calls; ++i) {
    const Texts::Values values = texts[i];
    const std::uint64_t begin = ticks_at_begin();
    log(values);
    const std::uint64_t end = ticks_at_end();
    times[i] = static_cast<double>(end - begin);
    if ((i + 1) % together != 0) continue;
    while (ticks_now() < end + pause) relax();
  }
  const auto ns = [&](double part) {
    return quantile_of_steps(times, part, scale.step_ticks) * scale.ns_per_tick - scale.overhead_ns;
  };
  return {.median = ns(0.5), .p99 = ns(0.99), .p999 = ns(0.999)};
}

/// Calls `log(Texts::Values)` so many times on each of so many threads, as fast as it goes; the result is
/// calls a second of all threads together.
template <class Log>
double burst(const Texts& texts, std::size_t threads, std::size_t calls, Log log) {
  using Clock = std::chrono::steady_clock;
  std::barrier start(static_cast<std::ptrdiff_t>(threads));
  std::vector<double> rates(threads);
  std::vector<std::thread> running;
  for (double& rate : rates) {
    running.emplace_back([&] {
      warm_up(texts, log);
      start.arrive_and_wait();
      const auto begin = Clock::now();
      for (std::size_t i = 0; i < calls; ++i) log(texts[i]);
      rate = static_cast<double>(calls) / std::chrono::duration<double>(Clock::now() - begin).count();
    });
  }
  for (std::thread& thread : running) thread.join();
  double sum = 0;
  for (const double rate : rates) sum += rate;
  return sum;
}

}  // namespace codewake::cli::bench
