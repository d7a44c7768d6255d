#include "config/units.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>

using namespace codewake::internal;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

}  // namespace

TEST_CASE("Whole numbers are digits and nothing else") {
  CHECK(parse_count("0") == 0);
  CHECK(parse_count("007") == 7);
  CHECK(parse_count("18446744073709551615") == kMost);
  CHECK(parse_count("18446744073709551616") == kMost);
  for (const char* text : {"", " 1", "1 ", "+1", "-1", "1.0", "1e3", "0x10", "1_000", "one"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_count(text).has_value());
  }
}

TEST_CASE("Sizes take binary and decimal units") {
  CHECK(parse_size("0") == 0);
  CHECK(parse_size("1234") == 1234);
  CHECK(parse_size("1B") == 1);
  CHECK(parse_size("512KiB") == 512 * 1024);
  CHECK(parse_size("64MiB") == 64 << 20);
  CHECK(parse_size("1GiB") == 1 << 30);
  CHECK(parse_size("2TiB") == 2ull << 40);
  CHECK(parse_size("3PiB") == 3ull << 50);
  CHECK(parse_size("15EiB") == 15ull << 60);
  CHECK(parse_size("5kB") == 5'000);
  CHECK(parse_size("5KB") == 5'000);
  CHECK(parse_size("10MB") == 10'000'000);
  CHECK(parse_size("1GB") == 1'000'000'000);
  CHECK(parse_size("1TB") == 1'000'000'000'000);
  for (const char* text :
       {"", "B", "MiB", "-1MiB", "1.5GiB", "1 MiB", "1mib", "1M", "1MiB ", "nan", "inf", "1e6"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_size(text).has_value());
  }
}

TEST_CASE("A size that does not fit is the largest there is") {
  CHECK(parse_size("16EiB") == kMost);
  CHECK(parse_size("99999999999999999999999") == kMost);
  CHECK(parse_size("99999999999999999999999EiB") == kMost);
}

TEST_CASE("Durations are seconds unless they say otherwise") {
  CHECK(parse_duration("0") == 0s);
  CHECK(parse_duration("1.0") == 1s);
  CHECK(parse_duration("0.25") == 250ms);
  CHECK(parse_duration("7ns") == 7ns);
  CHECK(parse_duration("250us") == 250us);
  CHECK(parse_duration("100ms") == 100ms);
  CHECK(parse_duration("5s") == 5s);
  CHECK(parse_duration("1m") == 1min);
  CHECK(parse_duration("1.5h") == 90min);
  CHECK(parse_duration("0.123456789") == 123456789ns);
  CHECK(parse_duration("0.1234567899") == 123456789ns);
  for (const char* text : {"", "s", ".5", "5.", "5.s", "-1s", "+1s", "1 s", "1S", "1min", "1sec", "1s ",
                           "nan", "inf", "1e3", "1.2.3"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text).has_value());
  }
}

TEST_CASE("A duration that does not fit is the longest there is") {
  CHECK(parse_duration("9223372036854775807ns") == std::chrono::nanoseconds::max());
  CHECK(parse_duration("9223372036854775808ns") == std::chrono::nanoseconds::max());
  CHECK(parse_duration("9223372036.854775808") == std::chrono::nanoseconds::max());
  CHECK(parse_duration("99999999999999999999.9h") == std::chrono::nanoseconds::max());
}

TEST_CASE("Sizes and durations are shown in the largest unit that takes no decimals") {
  CHECK(format_size(0) == "0");
  CHECK(format_size(1000) == "1000");
  CHECK(format_size(1024) == "1KiB");
  CHECK(format_size(1536) == "1536");
  CHECK(format_size(1ull << 60) == "1EiB");
  CHECK(format_size(kMost) == "18446744073709551615");
  CHECK(format_duration(0s) == "0s");
  CHECK(format_duration(1ns) == "1ns");
  CHECK(format_duration(1500us) == "1500us");
  CHECK(format_duration(90s) == "90s");
  CHECK(format_duration(60s) == "1m");
  CHECK(format_duration(48h) == "48h");
}

TEST_CASE("What is shown reads back as the same") {
  for (const std::uint64_t bytes : {0ull, 1ull, 1023ull, 1024ull, 1ull << 40, (1ull << 40) + 1, ~0ull}) {
    CHECK(parse_size(format_size(bytes)) == bytes);
  }
  for (const std::chrono::nanoseconds duration :
       {0ns, 1ns, 999'999ns, 1'000'000ns, std::chrono::nanoseconds(3h)}) {
    CHECK(parse_duration(format_duration(duration)) == duration);
  }
}
