#include "slow_operations.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "hand_made_trace.hpp"

using namespace codewake;
using namespace codewake::analysis;
using namespace std::chrono_literals;
using codewake::testing::HandMadeTrace;
using codewake::testing::MadeExecution;
using std::chrono::nanoseconds;

namespace {

/// Calls of functions, one after the other, a second apart.
class Program {
 public:
  explicit Program(std::optional<Time> since = std::nullopt) : slow_(since) {}

  void call(nanoseconds duration, const std::string& function = "reserve") {
    if (last_.texts.service.empty()) {
      MadeExecution execution = trace_.execution("stock");
      last_ = trace_.add(execution, TraceKind::function_return, function, 0ms);
    }
    last_.id.bytes[0] = static_cast<std::uint8_t>(++calls_);
    last_.id.bytes[1] = static_cast<std::uint8_t>(calls_ >> 8);
    last_.when += 1s;
    last_.duration = duration;
    slow_.add(last_);
  }
  void calls(int times, nanoseconds duration) {
    for (int i = 0; i < times; ++i) call(duration + nanoseconds(1000 * (i % 7)));
  }

  const TraceEventRecord& last() const { return last_; }
  std::vector<SlowOperation> found() { return slow_.finish(); }

 private:
  SlowOperations slow_;
  HandMadeTrace trace_;
  std::uint32_t calls_ = 0;
  TraceEventRecord last_;
};

}  // namespace

TEST_CASE("What takes as long as ever is not slow") {
  Program program;
  program.calls(1000, 5ms);
  CHECK(program.found().empty());
}

TEST_CASE("The latest calls are slower than those before, from ten on and against thirty") {
  for (const int before : {29, 30}) {
    for (const int latest : {9, 10}) {
      Program program;
      program.calls(before, 5ms);
      program.calls(latest, 9ms);
      CAPTURE(before);
      CAPTURE(latest);
      CHECK(program.found().size() == (before == 30 && latest == 10 ? 1 : 0));
    }
  }
  Program program;
  program.calls(200, 5ms);
  program.calls(50, 9ms);
  const auto found = program.found();
  REQUIRE(found.size() == 1);
  CHECK(found[0].service == "stock");
  CHECK(found[0].kind == SlowOperation::Kind::function);
  CHECK(found[0].operation == "reserve");
  CHECK(found[0].finding == SlowOperation::Finding::latest);
  CHECK(found[0].judged == 50);
  CHECK(found[0].before == 200);
  CHECK(found[0].usual / 1ms == 5);
  CHECK(found[0].now / 1ms == 9);
  CHECK(found[0].example.duration > 9ms);
  CHECK(found[0].example.file == "/src/stock.cpp");
  CHECK_FALSE(found[0].example.event_id.empty());
  CHECK_FALSE(found[0].example.trace_id.empty());
}

TEST_CASE("Half as long again is not slow, and neither is less than a millisecond more") {
  Program half;
  half.calls(200, 5ms);
  half.calls(50, 7ms);
  CHECK(half.found().empty());
  Program small;
  small.calls(200, 50us);
  small.calls(50, 950us);
  CHECK(small.found().empty());
  Program faster;
  faster.calls(200, 50ms);
  faster.calls(50, 5ms);
  CHECK(faster.found().empty());
}

TEST_CASE("A single call that is far out is shown, by what came before it") {
  Program program;
  program.calls(100, 5ms);
  program.call(80ms);
  const TraceEventRecord far_out = program.last();
  program.calls(100, 5ms);
  const auto found = program.found();
  REQUIRE(found.size() == 1);
  CHECK(found[0].finding == SlowOperation::Finding::single);
  CHECK(found[0].slow == 1);
  CHECK(found[0].judged == 171);
  CHECK(found[0].before == 100);
  CHECK(found[0].usual / 1ms == 5);
  CHECK(found[0].now == 80ms);
  CHECK(found[0].example.event_id == far_out.id);
  CHECK(found[0].example.trace_id == far_out.trace_id);
  CHECK(found[0].example.when == far_out.when);
  Program short_one;
  short_one.calls(100, 5ms);
  short_one.call(14ms);
  CHECK(short_one.found().empty());
  Program early;
  early.calls(29, 5ms);
  early.call(80ms);
  CHECK(early.found().empty());
}

TEST_CASE("What now and then takes long does not count every time") {
  Program program;
  for (int i = 0; i < 5000; ++i) program.call(i % 40 == 20 ? 200ms : 5ms);
  const auto found = program.found();
  REQUIRE(found.size() <= 1);
  if (!found.empty()) CHECK(found[0].slow <= 2);  // before it was known
}

TEST_CASE("Noise of any form is not reported") {
  std::mt19937_64 random(5);
  std::lognormal_distribution<double> long_tailed(15, 1);  // 3 ms, now and then a second
  std::exponential_distribution<double> exponential(1e-7);
  std::normal_distribution<double> normal(5e7, 1e7);
  std::size_t latest = 0, single = 0, programs = 0;
  for (int i = 0; i < 100; ++i) {
    Program tail, exponential_program, narrow;
    for (int k = 0; k < 1000; ++k) {
      tail.call(nanoseconds(static_cast<std::int64_t>(long_tailed(random))));
      exponential_program.call(nanoseconds(static_cast<std::int64_t>(exponential(random))));
      narrow.call(nanoseconds(static_cast<std::int64_t>(std::abs(normal(random)))));
    }
    for (Program* program : {&tail, &exponential_program, &narrow}) {
      ++programs;
      for (const SlowOperation& found : program->found()) {
        ++(found.finding == SlowOperation::Finding::latest ? latest : single);
      }
    }
  }
  CHECK(programs == 300);
  CHECK(latest == 0);
  CHECK(single <= 9);  // of 300,000 calls
}

TEST_CASE("With a time, what happened since is judged by what was before") {
  const Time begin = Time(std::chrono::hours(24 * 365 * 50));
  Program program(begin + 100'500ms);
  program.calls(100, 5ms);
  program.calls(200, 20ms);
  const auto found = program.found();
  REQUIRE(found.size() == 2);
  for (const SlowOperation& slow : found) {
    CHECK(slow.before == 100);
    CHECK(slow.slow == 200);
    CHECK(slow.judged == 200);
    CHECK(slow.now / 1ms == 20);
  }
  Program calm(begin + 100'500ms);
  calm.calls(300, 5ms);
  CHECK(calm.found().empty());
  Program nothing_before(begin);
  nothing_before.calls(300, 5ms);
  CHECK(nothing_before.found().empty());
}

TEST_CASE("Requests are operations by method and path, as who served and who called") {
  SlowOperations slow;
  for (std::uint32_t number = 1; number <= 100; ++number) {
    HandMadeTrace trace(number);
    MadeExecution gateway = trace.execution("gateway");
    const auto at = number * 10'000ms;
    const auto took = number > 80 ? 50ms : 5ms;
    trace.request(gateway, "POST /orders/" + std::to_string(number), at);
    trace.request(gateway, "GET http://stock/goods/" + std::to_string(number), at);
    trace.response(gateway, 200, at + took, took);
    trace
        .add(gateway, TraceKind::database_query, "bank", at + took,
             {{"query", "SELECT " + std::to_string(number)}})
        .duration = took;
    trace.response(gateway, 200, at + took, took);
    for (const TraceEventRecord& event : trace.events) slow.add(event);
  }
  std::vector<std::string> latest;
  for (const SlowOperation& found : slow.finish()) {
    if (found.finding == SlowOperation::Finding::latest) latest.push_back(found.operation);
  }
  std::ranges::sort(latest);
  CHECK(latest == std::vector<std::string>{"GET /goods/{}", "POST /orders/{}", "bank: SELECT ?"});
}

TEST_CASE("Responses without requests, requests without responses and damaged data do nothing") {
  SlowOperations slow;
  HandMadeTrace trace;
  MadeExecution execution = trace.execution("gateway");
  for (int i = 0; i < 1000; ++i) slow.add(trace.response(execution, 200, 1ms, 1ms));
  for (int i = 0; i < 1000; ++i) slow.add(trace.request(execution, "GET /", 1ms));
  for (const char* data : {"", "{", "[]", R"({"query":[]})", R"({"query":null,"duration_ms":"x"})"}) {
    TraceEventRecord& event = trace.add(execution, TraceKind::database_query, "", 1ms);
    event.texts.data = data;
    for (int i = 0; i < 100; ++i) slow.add(event);
    event.duration = nanoseconds(INT64_MAX);
    for (int i = 0; i < 100; ++i) slow.add(event);
    event.duration = nanoseconds(INT64_MIN);
    for (int i = 0; i < 100; ++i) slow.add(event);
  }
  CHECK(slow.finish().empty());
}

TEST_CASE("Operations and open requests without end take bounded memory") {
  SlowOperations slow;
  HandMadeTrace trace;
  MadeExecution execution = trace.execution("gateway");
  TraceEventRecord request = trace.request(execution, "", 1ms);
  TraceEventRecord end = trace.add(execution, TraceKind::function_return, "", 2ms);
  end.duration = 1ms;
  for (std::uint32_t number = 1; number <= 60'000; ++number) {
    request.trace_id = testing::trace_of(number);
    request.texts.name = "GET /x" + std::to_string(number) + "y";
    slow.add(request);
    end.texts.name = "f" + std::to_string(number);
    slow.add(end);
  }
  CHECK(slow.finish().empty());
}
