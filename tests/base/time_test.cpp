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
