#include "codewake/time.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <limits>
#include <optional>
#include <string_view>

using namespace std::chrono_literals;
using codewake::format_time;
using codewake::from_unix_seconds;
using codewake::parse_time;
using codewake::saturated_difference;
using codewake::saturated_sum;
using codewake::Time;
using codewake::to_unix_seconds;

namespace {

Time at_unix(std::chrono::nanoseconds since_epoch) {
  return Time(since_epoch);
}

}  // namespace

TEST_CASE("A time comes back from Unix seconds cut to microseconds") {
  const Time time = at_unix(1795311246s + 470204999ns);
  CHECK(to_unix_seconds(time) == 1795311246.470204);
  CHECK(from_unix_seconds(to_unix_seconds(time)) == at_unix(1795311246s + 470204us));
  for (std::int64_t micros = 0; micros < 1'000'000; micros += 7) {
    const Time t = at_unix(1795311246s + std::chrono::microseconds(micros));
    REQUIRE(from_unix_seconds(to_unix_seconds(t)) == t);
  }
}

TEST_CASE("Times before 1970 are cut towards the past") {
  const Time time = at_unix(-1ns);
  CHECK(to_unix_seconds(time) == -0.000001);
  CHECK(from_unix_seconds(-1.5) == at_unix(-1500ms));
}

TEST_CASE("Seconds that no time can hold become the nearest bound") {
  CHECK(from_unix_seconds(1e300) == Time::max());
  CHECK(from_unix_seconds(-1e300) == Time::min());
  CHECK(from_unix_seconds(std::numeric_limits<double>::infinity()) == Time::max());
  CHECK(from_unix_seconds(std::numeric_limits<double>::quiet_NaN()) == Time());
}

TEST_CASE(
    "Both sides of what nanoseconds since 1970 can hold are converted, written and read without overflow") {
  constexpr double kMost = 9'223'372'036.0;  // whole seconds
  CHECK(from_unix_seconds(kMost) == Time::max());
  CHECK(from_unix_seconds(kMost - 1) == at_unix(9'223'372'035s));
  CHECK(from_unix_seconds(-kMost) == Time::min());
  CHECK(from_unix_seconds(1 - kMost) == at_unix(-9'223'372'035s));
  CHECK(from_unix_seconds(std::numeric_limits<double>::max()) == Time::max());
  CHECK(from_unix_seconds(std::numeric_limits<double>::lowest()) == Time::min());
  CHECK(from_unix_seconds(-std::numeric_limits<double>::infinity()) == Time::min());
  CHECK(from_unix_seconds(std::numeric_limits<double>::denorm_min()) == Time());
  CHECK(to_unix_seconds(Time::max()) == 9'223'372'036'854'775.0 / 1e6);
  CHECK(to_unix_seconds(Time::min()) == -9'223'372'036'854'776.0 / 1e6);
  CHECK(format_time(Time::max()) == "2262-04-11T23:47:16.854775Z");
  CHECK(format_time(Time::min()) == "1677-09-21T00:12:43.145224Z");
  CHECK(parse_time("2261-12-31T23:59:60.999999999-23:59").has_value());
  CHECK(parse_time("1678-01-01T00:00:00+23:59").has_value());
  CHECK_FALSE(parse_time("2262-01-01").has_value());
  CHECK_FALSE(parse_time("1677-12-31").has_value());
  CHECK(parse_time("9200000000") == at_unix(9'200'000'000s));
  CHECK(parse_time("-9200000000") == at_unix(-9'200'000'000s));
  CHECK_FALSE(parse_time("9200000001").has_value());
  CHECK_FALSE(parse_time("-9200000001").has_value());
}

TEST_CASE("An age that leads before all times is refused") {
  CHECK(parse_time("0s", Time::min()) == Time::min());
  CHECK_FALSE(parse_time("1s", Time::min()).has_value());
  CHECK(parse_time("1s", Time::min() + 1s) == Time::min());
  CHECK(parse_time("73200d", Time()) == at_unix(-24h * 73200));
  CHECK_FALSE(parse_time("73201d", Time()).has_value());
}

TEST_CASE("Sums and differences stop at their bounds") {
  using std::chrono::nanoseconds;
  CHECK(saturated_sum(1ns, 2ns) == 3ns);
  CHECK(saturated_sum(nanoseconds::max(), 0ns) == nanoseconds::max());
  CHECK(saturated_sum(nanoseconds::max(), 1ns) == nanoseconds::max());
  CHECK(saturated_sum(nanoseconds::min(), -1ns) == nanoseconds::min());
  CHECK(saturated_sum(nanoseconds::min(), nanoseconds::max()) == -1ns);
  CHECK(saturated_sum(Time::max(), 1ns) == Time::max());
  CHECK(saturated_sum(Time::min(), -1ns) == Time::min());
  CHECK(saturated_difference(at_unix(3s), at_unix(5s)) == -2s);
  CHECK(saturated_difference(Time::max(), Time()) == nanoseconds::max());
  CHECK(saturated_difference(Time::max(), at_unix(-1ns)) == nanoseconds::max());
  CHECK(saturated_difference(Time::min(), Time()) == nanoseconds::min());
  CHECK(saturated_difference(Time::min(), at_unix(1ns)) == nanoseconds::min());
  CHECK(saturated_difference(Time::min(), Time::min()) == 0ns);
}

TEST_CASE("A time is written in UTC with microseconds") {
  CHECK(format_time(at_unix(0s)) == "1970-01-01T00:00:00.000000Z");
  CHECK(format_time(at_unix(1795311246s + 470204123ns)) == "2026-11-22T01:34:06.470204Z");
  CHECK(format_time(at_unix(-1us)) == "1969-12-31T23:59:59.999999Z");
}

TEST_CASE("What is written is read") {
  for (const Time time : {at_unix(0s), at_unix(1795311246s + 1us), at_unix(-86401s)}) {
    CHECK(parse_time(format_time(time)) == time);
  }
}

TEST_CASE("People's ways to write a time are read") {
  CHECK(parse_time("2026-11-22") == at_unix(1795305600s));
  CHECK(parse_time("2026-11-22T01:34") == at_unix(1795311240s));
  CHECK(parse_time("2026-11-22 01:34:06") == at_unix(1795311246s));
  CHECK(parse_time("2026-11-22T02:34:06+01:00") == at_unix(1795311246s));
  CHECK(parse_time("2026-11-21T20:34:06-0500") == at_unix(1795311246s));
  CHECK(parse_time("2026-11-22T01:34:06.5Z") == at_unix(1795311246500ms));
  CHECK(parse_time("1795311246.5") == at_unix(1795311246500ms));
  CHECK(parse_time("@0") == at_unix(0s));
}

TEST_CASE("An age counts back from the reference") {
  const Time reference = at_unix(1795311246s);
  CHECK(parse_time("90s", reference) == reference - 90s);
  CHECK(parse_time("1.5m", reference) == reference - 90s);
  CHECK(parse_time("24h", reference) == reference - 24h);
  CHECK(parse_time("7d", reference) == reference - 168h);
  CHECK(parse_time("2w", reference) == reference - 336h);
}

TEST_CASE("What is no time is refused") {
  for (const std::string_view text : {"",
                                      "yesterday",
                                      "2026-13-01",
                                      "2026-02-30",
                                      "2026-11-22T",
                                      "2026-11-22T25:00",
                                      "2026-11-22T01:60",
                                      "2026-11-22T01:34:06+1",
                                      "2026-11-22T01:34:06Zz",
                                      "2026-11-22x",
                                      "-5d",
                                      "nan",
                                      "inf",
                                      "d",
                                      "1e400",
                                      "@",
                                      "12x",
                                      "99999999999999",
                                      "0001-01-01",
                                      "9999-12-31",
                                      "2026-11-22T01:34:06."}) {
    CAPTURE(text);
    CHECK(parse_time(text) == std::nullopt);
  }
}
