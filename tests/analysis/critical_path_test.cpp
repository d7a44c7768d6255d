// What determined how long a trace took, from traces made by hand and at random.
#include "critical_path.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <numeric>
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

/// `begin a|work b 5`: what was done until which event, and the milliseconds.
std::vector<std::string> lines_of(const CriticalPath& path) {
  std::vector<std::string> lines;
  for (const CriticalSegment& segment : path.segments) {
    lines.push_back(std::string(to_string(segment.doing)) + " " + segment.to->texts.name + " " +
                    std::to_string(segment.time / 1ms));
  }
  return lines;
}

using Lines = std::vector<std::string>;

void check_sound(const CriticalPath& path) {
  nanoseconds at{0};
  for (const CriticalSegment& segment : path.segments) {
    CHECK(segment.time >= 0ns);
    CHECK(segment.begin == at);
    at += segment.time;
  }
  CHECK(at == path.total);
  for (const auto* shares : {&path.services, &path.kinds}) {
    CHECK(std::accumulate(shares->begin(), shares->end(), 0ns,
                          [](nanoseconds sum, const CriticalShare& share) { return sum + share.time; }) ==
          path.total);
  }
}

/// A gateway that asks a stock, with clocks on the way there and back; `skew`: of the stock's clock.
HandMadeTrace order(std::chrono::milliseconds skew) {
  HandMadeTrace trace;
  MadeExecution gateway = trace.execution("gateway");
  trace.request(gateway, "POST /order", 0ms);
  trace.request(gateway, "GET http://stock/a", 2ms);
  MadeExecution stock = trace.called(gateway, "stock");
  stock.skew = skew;
  trace.request(stock, "GET /a", 3ms);
  trace.add(stock, TraceKind::function_call, "reserve", 4ms);
  trace.add(stock, TraceKind::custom, "looked", 9ms);
  trace.add(stock, TraceKind::function_return, "reserve", 10ms);
  trace.response(stock, 200, 12ms, 9ms);
  gateway.clock.merge(stock.clock);
  trace.response(gateway, 201, 13ms, 11ms);
  trace.response(gateway, 202, 20ms, 20ms);
  trace.add(gateway, TraceKind::custom, "afterwards", 20ms);
  trace.events.pop_back();
  return trace;
}

}  // namespace

TEST_CASE("Of no events there is no path, and of one it is that one") {
  CHECK(find_critical_path({}).segments.empty());
  HandMadeTrace trace;
  MadeExecution execution = trace.execution("a");
  trace.add(execution, TraceKind::custom, "alone", 5ms);
  const CriticalPath path = find_critical_path(trace.events);
  CHECK(lines_of(path) == Lines{"begin alone 0"});
  CHECK(path.total == 0ns);
  CHECK(path.services.empty());
}

TEST_CASE("The path goes through the service that was asked") {
  const HandMadeTrace trace = order(0ms);
  const CriticalPath path = find_critical_path(trace.events);
  check_sound(path);
  CHECK(lines_of(path) == Lines{"begin POST /order 0", "work GET http://stock/a 2", "request GET /a 1",
                                "work reserve 1", "work looked 5", "work reserve 1", "work 200 2",
                                "answer 201 1", "work 202 7"});
  CHECK(path.total == 20ms);
  CHECK(path.trace == 20ms);
  CHECK(path.segments[4].inside == "reserve");
  CHECK(path.segments[5].inside == "reserve");
  CHECK(path.segments[6].inside.empty());
  REQUIRE(path.services.size() == 2);
  CHECK(path.services[0].name == "gateway");
  CHECK(path.services[0].time == 10ms);
  CHECK(path.services[1].time == 10ms);
  CHECK(path.kinds[0].name == "work");
  CHECK(path.kinds[0].time == 18ms);
  CHECK(path.shifts.empty());
  CHECK(path.can_compare);
}

TEST_CASE("A clock that is wrong by an hour moves the times of its machine, and not the order") {
  const Lines expected = lines_of(find_critical_path(order(0ms).events));
  for (const auto skew : {-3'600'000ms, 3'600'000ms}) {
    const HandMadeTrace trace = order(skew);
    const CriticalPath path = find_critical_path(trace.events);
    check_sound(path);
    CHECK(path.total == 20ms);
    REQUIRE(path.segments.size() == expected.size());
    CHECK(path.segments[4].to->texts.name == "looked");
    CHECK(path.segments[4].time == 5ms);
    REQUIRE(path.shifts.size() == 1);
    CHECK(path.shifts[0].service == "stock");
    CHECK(std::chrono::abs(path.shifts[0].shift + skew) <= 2ms);
    for (const CriticalSegment& segment : path.segments) CHECK(segment.time < 20ms);
  }
}

TEST_CASE("Times that contradict each other both ways are said to, and add up nevertheless") {
  HandMadeTrace trace = order(0ms);
  for (TraceEventRecord& event : trace.events) {
    if (event.texts.name == "GET /a") event.when -= 1h;
    if (event.texts.name == "200") event.when += 1h;
  }
  const CriticalPath path = find_critical_path(trace.events);
  check_sound(path);
  CHECK_FALSE(path.can_compare);
  CHECK(path.shifts.empty());
  CHECK(path.segments.back().to->texts.name == "202");
}

TEST_CASE("What was joined later than everything else is what was waited for") {
  HandMadeTrace trace;
  MadeExecution main = trace.execution("shop");
  trace.add(main, TraceKind::async_spawn, "slow", 0ms);
  MadeExecution slow = trace.spawned(main);
  trace.add(main, TraceKind::async_spawn, "fast", 1ms);
  MadeExecution fast = trace.spawned(main);
  trace.add(slow, TraceKind::custom, "slow begins", 2ms);
  trace.add(fast, TraceKind::custom, "fast begins", 3ms);
  trace.add(fast, TraceKind::custom, "fast ends", 5ms);
  trace.add(main, TraceKind::custom, "meanwhile", 8ms);
  trace.add(slow, TraceKind::custom, "slow ends", 10ms);
  main.clock.merge(fast.clock);
  trace.add(main, TraceKind::async_await, "fast", 9ms);
  main.clock.merge(slow.clock);
  trace.add(main, TraceKind::async_await, "slow", 11ms);
  trace.add(main, TraceKind::custom, "end", 12ms);
  const CriticalPath path = find_critical_path(trace.events);
  check_sound(path);
  CHECK(lines_of(path) ==
        Lines{"begin slow 0", "spawn slow begins 2", "work slow ends 8", "join slow 1", "work end 1"});
}

TEST_CASE("Without any clock, spawns, tasks and calls tell who was waited for") {
  HandMadeTrace trace;
  MadeExecution main = trace.execution("shop");
  trace.add(main, TraceKind::async_spawn, "mail", 0ms, {{"task_id", "t-1"}});
  MadeExecution mail = trace.spawned(main);
  trace.add(mail, TraceKind::custom, "sent", 7ms);
  trace.add(main, TraceKind::async_await, "mail", 8ms, {{"future_id", "t-1"}});
  const SpanId sent = trace.new_span();
  trace.request(main, "GET /a", 9ms).texts.data = nlohmann::json{
      {"headers",
       {{"traceparent", "00-" + to_hex(testing::trace_of(1)) + "-" + to_hex(sent) +
                            "-00"}}}}.dump();
  MadeExecution stock = trace.execution("stock");
  stock.upstream = sent;
  trace.request(stock, "GET /a", 10ms);
  trace.response(stock, 200, 15ms, 5ms);
  trace.response(main, 201, 16ms, 7ms);
  for (TraceEventRecord& event : trace.events) event.texts.clock.clear();
  const CriticalPath path = find_critical_path(trace.events);
  check_sound(path);
  CHECK(lines_of(path) == Lines{"begin mail 0", "spawn sent 7", "join mail 1", "work GET /a 1",
                                "request GET /a 1", "work 200 5", "answer 201 1"});
}

TEST_CASE("Whoever held a lock is waited for, and not who let it go long before") {
  HandMadeTrace trace;
  MadeExecution main = trace.execution("shop");
  trace.add(main, TraceKind::async_spawn, "other", 0ms);
  MadeExecution other = trace.spawned(main);
  trace.add(other, TraceKind::lock_acquire, "shelf", 1ms);
  trace.add(other, TraceKind::lock_release, "shelf", 6ms);
  trace.add(main, TraceKind::custom, "wants the lock", 2ms);
  main.clock.merge(other.clock);
  trace.add(main, TraceKind::lock_acquire, "shelf", 7ms);
  trace.add(other, TraceKind::lock_acquire, "door", 7ms);
  trace.add(other, TraceKind::lock_release, "door", 8ms);
  trace.add(main, TraceKind::lock_release, "shelf", 20ms);
  main.clock.merge(other.clock);
  trace.add(main, TraceKind::lock_acquire, "door", 21ms);
  const CriticalPath path = find_critical_path(trace.events);
  check_sound(path);
  CHECK(lines_of(path) == Lines{"begin other 0", "lock shelf 1", "work shelf 5", "lock shelf 1",
                                "work shelf 13", "lock door 1"});
  CHECK(path.segments[1].to->texts.execution == other.clock.own().execution);
}

TEST_CASE("Work that goes on behind the answer is not on the path") {
  HandMadeTrace trace;
  MadeExecution server = trace.execution("shop");
  trace.request(server, "POST /order", 0ms);
  trace.add(server, TraceKind::async_spawn, "mail", 1ms);
  MadeExecution mail = trace.spawned(server);
  trace.response(server, 200, 5ms, 5ms);
  trace.add(mail, TraceKind::custom, "sent", 500ms);
  const CriticalPath path = find_critical_path(trace.events);
  CHECK(path.total == 5ms);
  CHECK(path.trace == 500ms);
  CHECK(path.segments.back().to->texts.name == "200");
}

TEST_CASE("Databases and services that are not traced have kinds of their own") {
  HandMadeTrace trace;
  MadeExecution job = trace.execution("job");
  trace.add(job, TraceKind::custom, "begin", 0ms);
  trace.add(job, TraceKind::database_query, "bank", 10ms).duration = 9ms;
  trace.add(job, TraceKind::database_query, "shelf", 11ms);
  trace.add(job, TraceKind::database_result, "shelf", 15ms);
  trace.request(job, "GET http://elsewhere/", 16ms);
  trace.response(job, 200, 20ms, 4ms);
  const CriticalPath path = find_critical_path(trace.events);
  CHECK(lines_of(path) == Lines{"begin begin 0", "query bank 10", "work shelf 1", "query shelf 4",
                                "work GET http://elsewhere/ 1", "call 200 4"});
}

TEST_CASE("Executions of older SDKs are ordered by their parents, whatever their shared component says") {
  HandMadeTrace trace;
  MadeExecution caller = trace.older_execution("gateway");
  trace.request(caller, "POST /order", 0ms);
  trace.request(caller, "GET /a", 1ms);
  MadeExecution stock = trace.older_execution("stock");
  stock.upstream = caller.span;
  stock.clock.merge(caller.clock);
  trace.request(stock, "GET /a", 2ms);
  MadeExecution stranger = trace.older_execution("gateway");  // another request, with the same component
  stranger.clock.merge(caller.clock);
  trace.add(stranger, TraceKind::custom, "elsewhere", 3ms);
  trace.response(stock, 200, 5ms, 3ms);
  trace.response(caller, 201, 7ms, 6ms);
  trace.response(caller, 202, 8ms, 8ms);
  const CriticalPath path = find_critical_path(trace.events);
  check_sound(path);
  CHECK(lines_of(path) == Lines{"begin POST /order 0", "work GET /a 1", "request GET /a 1", "work 200 3",
                                "answer 201 2", "work 202 1"});
}

TEST_CASE("A function that an exception has left is left when its caller returns") {
  HandMadeTrace trace;
  MadeExecution job = trace.execution("job");
  for (const char* name : {"outer", "inner", "innermost"})
    trace.add(job, TraceKind::function_call, name, 1ms);
  trace.add(job, TraceKind::error, "E", 2ms);
  trace.add(job, TraceKind::function_return, "outer", 3ms);
  trace.add(job, TraceKind::function_return, "never called", 4ms);
  trace.add(job, TraceKind::custom, "end", 5ms);
  const CriticalPath path = find_critical_path(trace.events);
  std::vector<std::string> inside;
  for (const CriticalSegment& segment : path.segments) inside.push_back(segment.inside);
  CHECK(inside == Lines{"", "outer", "inner", "innermost", "outer", "", ""});
}

namespace {

/// Executions that do this and that at random, and hear of each other.
std::vector<TraceEventRecord> random_trace(std::mt19937& random, std::size_t size) {
  HandMadeTrace trace;
  std::vector<MadeExecution> executions;
  for (std::size_t i = 0; i < 5; ++i) {
    executions.push_back(trace.execution("s" + std::to_string(i % 3), std::to_string(i)));
    executions.back().skew = std::chrono::milliseconds(static_cast<int>(random() % 2000) - 1000);
  }
  for (std::size_t i = 0; i < size; ++i) {
    MadeExecution& execution = executions[random() % executions.size()];
    if (random() % 3 == 0) execution.clock.merge(executions[random() % executions.size()].clock);
    trace.add(execution, static_cast<TraceKind>(1 + random() % kTraceKinds), "e" + std::to_string(i),
              std::chrono::milliseconds(i));
  }
  return trace.events;
}

std::uint64_t known(const TraceEventRecord& event, const std::string& execution) {
  for (const auto& component : nlohmann::json::parse(event.texts.clock)) {
    if (component[0] == execution) return component[1].get<std::uint64_t>();
  }
  return 0;
}

}  // namespace

TEST_CASE("Every event of a path comes before the next by its clock, whatever the machines' clocks say") {
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    const std::vector<TraceEventRecord> events = random_trace(random, 60);
    const CriticalPath path = find_critical_path(events);
    check_sound(path);
    CHECK(path.can_compare);
    for (const CriticalSegment& segment : path.segments) {
      if (segment.from == nullptr) continue;
      CHECK(known(*segment.to, segment.from->texts.execution) >= segment.from->step);
    }
    // The order in which events come does not matter, where times and steps tell them apart.
    std::vector<TraceEventRecord> shuffled = events;
    std::ranges::shuffle(shuffled, random);
    CHECK(find_critical_path(shuffled).total == path.total);
  }
}

TEST_CASE("Events that are missing, doubled, or lie do no harm") {
  std::mt19937 random(2);
  for (int i = 0; i < 1000; ++i) {
    std::vector<TraceEventRecord> events = random_trace(random, 40);
    for (int k = 0; k < 20; ++k) {
      TraceEventRecord& event = events[random() % events.size()];
      const TraceEventRecord other = events[random() % events.size()];
      switch (random() % 10) {
        case 0:
          event.step = other.step;
          break;
        case 1:
          event.texts.clock = other.texts.clock;
          break;
        case 2:
          event.texts.execution = random() % 2 == 0 ? "" : "s#one";
          break;
        case 3:
          event.parent_id = other.id;
          break;
        case 4:
          event.texts.clock.resize(random() % (event.texts.clock.size() + 1));
          break;
        case 5:
          event.when = Time(nanoseconds(random() % 2 == 0 ? INT64_MIN : INT64_MAX));
          break;
        case 6:
          event = other;
          break;
        case 7:
          event.texts.clock = R"([["s0#0#x",18446744073709551615],[7],["s1#1#y",0]])";
          break;
        case 8:
          event.step = ~std::uint64_t{0};
          break;
        case 9:
          event.upstream_span_id = other.span_id;
          break;
      }
    }
    events.resize(random() % events.size() + 1);
    check_sound(find_critical_path(events));
  }
}

TEST_CASE("Ten thousand events that all hear something take no time that grows with their square") {
  HandMadeTrace trace;
  std::vector<MadeExecution> executions;
  for (int i = 0; i < 64; ++i) executions.push_back(trace.execution("s", std::to_string(i)));
  for (std::size_t i = 0; i < 10'000; ++i) {
    MadeExecution& execution = executions[i % executions.size()];
    execution.clock.merge(executions[(i + 63) % executions.size()].clock);
    trace.add(execution, TraceKind::function_call, "f", std::chrono::milliseconds(i));
  }
  for (std::size_t i = 0; i < 10'000; ++i) {  // one that says everything begins with everything else
    trace.events[i].parent_id = trace.events[10'000 - 1 - i].id;
  }
  const auto begin = std::chrono::steady_clock::now();
  const CriticalPath path = find_critical_path(trace.events);
  CHECK(std::chrono::steady_clock::now() - begin < 60s);  // a second, without optimization
  CHECK(path.segments.size() == 10'000);
}
