#include "durations.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

using namespace codewake::analysis;
using std::chrono::nanoseconds;

TEST_CASE("Of no durations every figure is zero") {
  const Durations none;
  CHECK(none.count() == 0);
  CHECK(none.quantile(0.5) == nanoseconds(0));
  CHECK(Latency(none) == Latency());
}

TEST_CASE("Few durations are kept as they are") {
  Durations durations;
  for (int i = 100; i > 0; --i) durations.add(nanoseconds(i));
  CHECK(durations.quantile(0) == nanoseconds(1));
  CHECK(durations.quantile(0.5) == nanoseconds(50));
  CHECK(durations.quantile(0.95) == nanoseconds(95));
  CHECK(durations.quantile(1) == nanoseconds(100));
  CHECK(durations.max() == nanoseconds(100));
  durations.add(nanoseconds(-5));
  CHECK(durations.quantile(0) == nanoseconds(0));
}

TEST_CASE("Many durations are known to within a percent, on both sides of the bound") {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> distribution(13, 3);
  for (const std::size_t size : {Durations::kMostExact, Durations::kMostExact + 1, std::size_t{20'000}}) {
    Durations durations;
    std::vector<std::int64_t> all;
    for (std::size_t i = 0; i < size; ++i) {
      all.push_back(static_cast<std::int64_t>(distribution(random)));
      durations.add(nanoseconds(all.back()));
    }
    std::ranges::sort(all);
    CHECK(durations.count() == size);
    CHECK(durations.max().count() == all.back());
    for (const double part : {0.01, 0.25, 0.5, 0.95, 0.99, 1.0}) {
      const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(size)));
      const auto exact = static_cast<double>(all[std::max<std::size_t>(rank, 1) - 1]);
      CHECK(std::abs(static_cast<double>(durations.quantile(part).count()) - exact) <= exact * 0.008 + 1);
    }
  }
}

TEST_CASE("The longest durations there can be are counted, too") {
  Durations durations;
  for (int i = 0; i < 1000; ++i) {
    durations.add(nanoseconds(std::numeric_limits<std::int64_t>::max()));
    durations.add(nanoseconds(std::numeric_limits<std::int64_t>::min()));
  }
  CHECK(durations.quantile(0.5) == nanoseconds(0));
  CHECK(durations.quantile(0.75).count() > std::numeric_limits<std::int64_t>::max() / 100 * 99);
  CHECK(durations.max().count() == std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("A duration is the event's own, or that in its data") {
  codewake::TraceEventRecord event;
  CHECK(recorded_duration(event) == nanoseconds(0));
  event.texts.data = R"({"duration_ms":45.5})";
  CHECK(recorded_duration(event) == nanoseconds(45'500'000));
  event.duration = nanoseconds(3);
  CHECK(recorded_duration(event) == nanoseconds(3));
  event.duration = nanoseconds(-3);
  CHECK(recorded_duration(event) == nanoseconds(0));
  event.duration.reset();
  for (const char* data : {R"({"duration_ms":"45"})", R"({"duration_ms":-1})", R"({"duration_ms":)",
                           R"(["duration_ms"])", R"({"other":"\"duration_ms\""})"}) {
    event.texts.data = data;
    CHECK(recorded_duration(event) == nanoseconds(0));
  }
  event.texts.data = R"({"duration_ms":1e300})";
  CHECK(recorded_duration(event).count() == 1'000'000'000'000'000'000);
}
