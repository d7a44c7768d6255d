// Where the time of several traces went.
#include "critical_paths.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "hand_made_trace.hpp"

using namespace codewake::analysis;
using namespace std::chrono_literals;
using codewake::TraceKind;
using codewake::testing::HandMadeTrace;
using codewake::testing::MadeExecution;

namespace {

/// A request to a function that asks a database, and waits for a lock.
HandMadeTrace order(std::uint32_t number, std::chrono::milliseconds query) {
  HandMadeTrace trace(number);
  MadeExecution shop = trace.execution("shop");
  trace.request(shop, "POST /orders/" + std::to_string(number), 0ms);
  trace.add(shop, TraceKind::function_call, "buy", 2ms);
  trace.add(shop, TraceKind::database_query, "SELECT " + std::to_string(number), 3ms);
  trace.add(shop, TraceKind::database_result, "db", 3ms + query);
  trace.add(shop, TraceKind::lock_acquire, "till", 7ms + query);
  trace.response(shop, 200, 8ms + query);
  return trace;
}

}  // namespace

TEST_CASE("Critical paths add up by what they have in common") {
  CriticalPaths paths;
  for (const std::uint32_t number : {1U, 2U, 3U})
    paths.add(find_critical_path(order(number, number * 10ms).events));
  CHECK(paths.traces() == 3);
  CHECK(paths.total() == 84ms);
  CHECK(paths.percentile(50) == 28ms);
  CHECK(paths.percentile(95) == 28ms);
  CHECK(paths.percentile(100) == 38ms);

  const std::vector<CriticalSum> sums = paths.sums();
  REQUIRE(sums.size() == 5);
  CHECK(sums[0].doing == Doing::query);
  CHECK(sums[0].kind == TraceKind::database_result);
  CHECK(sums[0].inside == "buy");
  CHECK(sums[0].time == 60ms);
  CHECK(sums[0].longest == 30ms);
  CHECK(sums[0].trace_id == codewake::testing::trace_of(3));
  CHECK(sums[0].traces == 3);
  CHECK(sums[0].segments == 3);
  CHECK(sums[1].doing == Doing::lock);
  CHECK(sums[1].time == 12ms);
  std::chrono::nanoseconds sum = 0ns;
  bool has_pattern = false;
  for (const CriticalSum& part : sums) {
    sum += part.time;
    has_pattern |= part.name == "SELECT ?";
  }
  CHECK(sum == paths.total());
  CHECK(has_pattern);
  CHECK(paths.services().at(0).time == 84ms);
  CHECK(paths.kinds().at(0).name == "query");
}

TEST_CASE("A trace counts once, however often it does the same; of nothing comes nothing") {
  HandMadeTrace trace;
  MadeExecution shop = trace.execution("shop");
  for (int i = 0; i < 4; ++i) trace.add(shop, TraceKind::custom, "step", i * 2ms);
  CriticalPaths paths;
  CHECK(paths.percentile(50) == 0ns);
  paths.add(find_critical_path({}));
  CHECK(paths.traces() == 0);
  CHECK(paths.sums().empty());
  paths.add(find_critical_path(trace.events));
  REQUIRE(paths.sums().size() == 1);
  CHECK(paths.sums()[0].segments == 3);
  CHECK(paths.sums()[0].traces == 1);
  CHECK(paths.sums()[0].time == 6ms);
}
