#include "queue/retry_policy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

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

/// What is tried while a store takes up to `most` items and has 1,000 to take, until `writes` were tried.
std::vector<std::size_t> tried(WriteLimit& limit, std::size_t most, int writes) {
  std::vector<std::size_t> tried;
  for (int i = 0; i < writes; ++i) {
    const std::size_t items = tried.emplace_back(std::min<std::size_t>(1000, limit.items()));
    if (items <= most) {
      limit.note_success(items);
    } else {
      limit.note_failure(items);
    }
  }
  return tried;
}

TEST_CASE("What fails three times in a row is halved with each further failure, down to one item") {
  WriteLimit limit;
  CHECK(tried(limit, 0, 14) ==
        std::vector<std::size_t>{1000, 1000, 1000, 500, 250, 125, 62, 31, 15, 7, 3, 1, 1, 1});
}

TEST_CASE("Failures between successes halve nothing") {
  WriteLimit limit;
  for (int i = 0; i < 10; ++i) {
    tried(limit, 0, 2);
    CHECK(tried(limit, 1000, 1) == std::vector<std::size_t>{1000});
  }
}

TEST_CASE("Each success at the limit doubles it, until it is none") {
  WriteLimit limit;
  tried(limit, 0, 12);
  CHECK(tried(limit, 1000, 12) ==
        std::vector<std::size_t>{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000});
  CHECK(tried(limit, 0, 4) == std::vector<std::size_t>{1000, 1000, 1000, 500});
}

TEST_CASE("A success with less than the limit says nothing of more") {
  WriteLimit limit;
  tried(limit, 0, 4);
  for (int i = 0; i < 10; ++i) limit.note_success(5);
  CHECK(limit.items() == 250);
}

TEST_CASE("Where too much is tried again, one failure halves it, and every second write succeeds") {
  WriteLimit limit;
  tried(limit, 200, 5);
  CHECK(tried(limit, 200, 6) == std::vector<std::size_t>{125, 250, 125, 250, 125, 250});
}

}  // namespace
}  // namespace codewake::internal
