#include "base/tick_clock.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

#include "support/skip.hpp"

using namespace codewake;
using namespace codewake::internal;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t kStart = 1'700'000'000'000'000'000;
constexpr std::uint64_t kFirstTick = 5'000'000'000'000;

// A counter of 2.5 GHz that is 30 ppm too fast, and the wall clock beside it.
struct Machine {
  std::int64_t step_ns = 0;  // by which the wall clock was set

  static std::uint64_t ticks_at(std::int64_t ns) {
    return kFirstTick + static_cast<std::uint64_t>(std::llround(static_cast<double>(ns) * 2.500075));
  }
  // Wrong by up to a tenth of a microsecond, as real ones are.
  ClockReading sample(std::int64_t ns) const {
    return {{ticks_at(ns), kStart + ns + step_ns + (ns / 1000 % 3 - 1) * 100}, ns + 1000};
  }
};

std::int64_t error_ns(ClockHistory& clock, std::int64_t ns, std::int64_t step_ns = 0) {
  const Time time = clock.to_time(Machine::ticks_at(ns));
  return std::llabs(time.time_since_epoch().count() - (kStart + ns + step_ns));
}

constexpr std::int64_t kMs = 1'000'000;

// As the keeper samples: closely at first, then every 50 ms.
void sample_for(ClockHistory& clock, const Machine& machine, std::int64_t from_ns, std::int64_t to_ns) {
  for (std::int64_t at = from_ns; at <= to_ns; at += 50 * kMs) clock.add(machine.sample(at));
}

ClockHistory usual_history(std::int64_t to_ns) {
  ClockHistory clock(TickSource::counter);
  const Machine machine;
  for (const std::int64_t at : {0 * kMs, kMs / 5, 1 * kMs, 3 * kMs, 7 * kMs, 15 * kMs, 31 * kMs}) {
    clock.add(machine.sample(at));
  }
  sample_for(clock, machine, 63 * kMs, to_ns);
  return clock;
}

}  // namespace

TEST_CASE("Among the samples time is exact to two microseconds") {
  ClockHistory clock = usual_history(1000 * kMs);
  for (std::int64_t ns = 0; ns < 1000 * kMs; ns += 777'777) {
    CAPTURE(ns);
    CHECK(error_ns(clock, ns) <= 2000);
  }
}

TEST_CASE("A second behind the last sample time is exact to ten microseconds") {
  ClockHistory clock = usual_history(1000 * kMs);
  for (std::int64_t ns = 1000 * kMs; ns < 2000 * kMs; ns += 77'777'777) CHECK(error_ns(clock, ns) <= 10'000);
}

TEST_CASE("Before the first sample time goes on in a straight line") {
  ClockHistory clock = usual_history(1000 * kMs);
  CHECK(error_ns(clock, -10 * kMs) <= 20'000);
}

TEST_CASE("First samples that are close together and inexact do not spoil what follows") {
  ClockHistory clock(TickSource::counter);
  const Machine machine;
  clock.add(machine.sample(0));
  ClockReading late = machine.sample(kMs / 5);
  late.sample.realtime_ns += 2000;  // the thread was interrupted: a hundredth of the distance
  clock.add(late);
  for (const std::int64_t at : {1 * kMs, 3 * kMs, 7 * kMs, 15 * kMs, 31 * kMs}) clock.add(machine.sample(at));
  sample_for(clock, machine, 63 * kMs, 1000 * kMs);
  for (std::int64_t ns = kMs; ns < 2000 * kMs; ns += 7'777'777) {
    CAPTURE(ns);
    CHECK(error_ns(clock, ns) <= 10'000);
  }
}

TEST_CASE("A step of the wall clock is told from its speed") {
  for (const std::int64_t step : {3600'000 * kMs, -3600'000 * kMs, 100 * kMs, -1 * kMs}) {
    CAPTURE(step);
    ClockHistory clock = usual_history(1013 * kMs);
    const Machine later{.step_ns = step};
    sample_for(clock, later, 1063 * kMs, 2063 * kMs);
    CHECK(error_ns(clock, 1000 * kMs) <= 2000);
    CHECK(error_ns(clock, 1030 * kMs) <= 10'000);  // before the step, as far as anybody knows
    for (std::int64_t ns = 1063 * kMs; ns < 2500 * kMs; ns += 77'777'777) {
      CAPTURE(ns);
      CHECK(error_ns(clock, ns, step) <= 10'000);
    }
  }
}

TEST_CASE("A step between the first samples is none of the counter's speed") {
  for (const std::int64_t step : {3600'000 * kMs, -3600'000 * kMs, 100 * kMs}) {
    for (const std::int64_t before_step : {0 * kMs, kMs / 5}) {
      CAPTURE(step);
      CAPTURE(before_step);
      ClockHistory clock(TickSource::counter);
      const Machine machine, later{.step_ns = step};
      clock.add(machine.sample(0));
      if (before_step != 0) clock.add(machine.sample(before_step));
      clock.add(later.sample(10 * kMs));
      CHECK(error_ns(clock, before_step) <= 2000);
      CHECK(error_ns(clock, 5 * kMs) <= 100'000);  // on the line of before
      CHECK(error_ns(clock, 10 * kMs, step) <= 2000);
      CHECK(error_ns(clock, 100 * kMs, step) <= 100'000);
      sample_for(clock, later, 63 * kMs, 1063 * kMs);
      CHECK(error_ns(clock, 1050 * kMs, step) <= 10'000);
    }
  }
}

TEST_CASE("Right behind a step the line is that of the new time") {
  ClockHistory clock = usual_history(1013 * kMs);
  const Machine later{.step_ns = 5000 * kMs};
  clock.add(later.sample(1063 * kMs));
  CHECK(error_ns(clock, 1100 * kMs, 5000 * kMs) <= 10'000);
}

TEST_CASE("A time that was told stays what it is, whatever the clocks do later") {
  for (const std::int64_t drift_ns :
       {0, 30, 3'000, 40'000}) {  // of each sample, as of a clock that is adjusted
    CAPTURE(drift_ns);
    ClockHistory clock(TickSource::counter);
    Machine machine;
    std::vector<std::pair<std::uint64_t, Time>> told;
    ClockLines by_reader(TickSource::counter);
    for (std::int64_t at = 0; at < 20'000 * kMs; at += 50 * kMs) {
      machine.step_ns += drift_ns + (at == 10'000 * kMs ? 7'000 * kMs : 0);
      if (clock.add(machine.sample(at))) by_reader.add(clock.lines().last());
      if (at < 100 * kMs) continue;
      const std::uint64_t ticks = Machine::ticks_at(at - 10 * kMs);
      told.emplace_back(ticks, clock.to_time(ticks));
      CHECK(error_ns(clock, at, machine.step_ns) <= 2000);
    }
    for (const auto& [ticks, time] : told) {
      CHECK(clock.to_time(ticks) == time);
      CHECK(by_reader.to_time(ticks) == time);
      CHECK(time_on(clock.lines().line_of(ticks).points, ticks) == time);
    }
  }
}

TEST_CASE("A line without a use gets better, and one that is good enough is not replaced") {
  ClockHistory clock = usual_history(1000 * kMs);
  CHECK(clock.lines().last().from_ticks == 0);
  static_cast<void>(clock.to_time(Machine::ticks_at(1000 * kMs)));
  const ClockLine used = clock.lines().last();
  const Machine machine;
  sample_for(clock, machine, 1050 * kMs, 3000 * kMs);
  CHECK(clock.lines().last() == used);
}

TEST_CASE("One sample says when it was, and none says nothing") {
  ClockHistory clock(TickSource::counter);
  CHECK(clock.to_time(kFirstTick) == Time());
  CHECK(clock.add({{kFirstTick, kStart}, 0}));
  CHECK(clock.to_time(kFirstTick).time_since_epoch().count() == kStart);
  CHECK(clock.to_time(kFirstTick + 1000).time_since_epoch().count() == kStart);
}

TEST_CASE("Samples that are out of order are left out") {
  ClockHistory clock(TickSource::counter);
  CHECK(clock.add({{1000, kStart}, 0}));
  CHECK_FALSE(clock.add({{1000, kStart + 5}, 0}));
  CHECK_FALSE(clock.add({{999, kStart + 5}, 0}));
  CHECK(clock.add({{2000, kStart + 1000}, 0}));
  CHECK(clock.to_time(1500).time_since_epoch().count() == kStart + 500);
}

TEST_CASE("Of very many lines the oldest go, and the newest stay exact") {
  ClockHistory clock(TickSource::counter);
  Machine machine;
  for (std::int64_t at = 0; at < 200'000 * kMs; at += 50 * kMs) {
    machine.step_ns += 20'000;
    static_cast<void>(clock.add(machine.sample(at)));
    CHECK(error_ns(clock, at, machine.step_ns) <= 2000);
  }
}

TEST_CASE("A wall clock as counter is its own time, whatever it was sampled as") {
  ClockHistory clock(TickSource::realtime);
  CHECK(clock.to_time(kStart).time_since_epoch().count() == kStart);
  static_cast<void>(clock.add({{1, 2}, 0}));
  static_cast<void>(clock.add({{3, 1000}, 0}));
  CHECK(clock.to_time(kStart).time_since_epoch().count() == kStart);
}

TEST_CASE("Numbers that no clock has give some time, and nothing worse") {
  constexpr std::uint64_t kTicks[] = {0, 1, 1000, 1ull << 63, ~0ull};
  constexpr std::int64_t kTimes[] = {std::numeric_limits<std::int64_t>::min(), -1, 0, kStart,
                                     std::numeric_limits<std::int64_t>::max()};
  for (const std::int64_t first : kTimes) {
    for (const std::int64_t second : kTimes) {
      ClockHistory clock(TickSource::counter);
      for (const ClockSample sample : {ClockSample{1, first}, {2, second}, {1ull << 63, first}}) {
        static_cast<void>(clock.add({sample, 0}));
        for (const std::uint64_t ticks : kTicks) static_cast<void>(clock.to_time(ticks));
      }
      for (const std::uint64_t from : kTicks) {
        for (const std::uint64_t to : kTicks) {
          for (const std::uint64_t ticks : kTicks)
            static_cast<void>(time_on({ClockSample{from, first}, ClockSample{to, second}}, ticks));
        }
      }
    }
  }
}

TEST_CASE("The real counter keeps the wall clock's time") {
  if (best_tick_source() != TickSource::counter) CODEWAKE_SKIP("this machine's counter is not relied on");
  ClockHistory clock(TickSource::counter);
  clock.add(read_clocks(TickSource::counter));
  const auto until = std::chrono::steady_clock::now() + 20ms;
  while (std::chrono::steady_clock::now() < until) {
  }
  clock.add(read_clocks(TickSource::counter));
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (int i = 0; i < 100; ++i) {  // the thread may be interrupted between the two
    const auto wall = static_cast<std::int64_t>(read_ticks(TickSource::realtime));
    const Time time = clock.to_time(read_ticks(TickSource::counter));
    least = std::min<std::int64_t>(least, std::llabs(time.time_since_epoch().count() - wall));
  }
  CHECK(least < 10'000);
}
