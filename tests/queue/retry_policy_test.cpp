#include "queue/retry_policy.hpp"

#include <doctest/doctest.h>

#include <limits>

namespace codewake::internal {
namespace {

using namespace std::chrono_literals;

TEST_CASE("The first retry comes after half of the first delay at the soonest, and all of it at the latest") {
  CHECK(retry_delay(1, 0) == 25ms);
  CHECK(retry_delay(1, 0.5) == 37'500us);
  CHECK(retry_delay(1, 1) == 50ms);
}

TEST_CASE("Each further failure doubles the delay up to the longest") {
  CHECK(retry_delay(2, 1) == 100ms);
  CHECK(retry_delay(3, 1) == 200ms);
  CHECK(retry_delay(10, 1) == 25'600ms);
  CHECK(retry_delay(11, 1) == 30s);
  CHECK(retry_delay(12, 1) == 30s);
}

TEST_CASE("No number of failures makes the delay longer than the longest or shorter than its half") {
  for (const unsigned failures : {17u, 18u, 33u, 1000u, std::numeric_limits<unsigned>::max()}) {
    CHECK(retry_delay(failures, 0) == 15s);
    CHECK(retry_delay(failures, 1) == 30s);
  }
}

TEST_CASE("The delay depends on nothing but its arguments, and grows with the random part") {
  for (unsigned failures = 1; failures < 20; ++failures) {
    auto before = retry_delay(failures, 0);
    CHECK(before == retry_delay(failures, 0));
    for (const double random : {0.25, 0.5, 0.75, 0.999}) {
      CHECK(retry_delay(failures, random) > before);
      before = retry_delay(failures, random);
    }
  }
}

}  // namespace
}  // namespace codewake::internal
