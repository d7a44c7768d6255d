// Who calls whom, from traces made by hand.
#include "services.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "hand_made_trace.hpp"

using namespace codewake;
using namespace codewake::analysis;
using namespace std::chrono_literals;
using codewake::testing::HandMadeTrace;
using codewake::testing::MadeExecution;

namespace {

std::vector<ServiceCall> calls_of(const std::vector<TraceEventRecord>& events) {
  ServiceMap services;
  for (const TraceEventRecord& event : events) services.add(event);
  return services.finish();
}

/// The one of this server; fails where there are more or none.
ServiceCall call_to(const std::vector<ServiceCall>& calls, const std::string& server) {
  std::vector<ServiceCall> found;
  std::ranges::copy_if(calls, std::back_inserter(found),
                       [&](const ServiceCall& call) { return call.server == server; });
  REQUIRE(found.size() == 1);
  return found.front();
}

/// A gateway that serves an order and asks a stock for it; `skew`: of the stock's clock.
HandMadeTrace order(std::uint32_t number = 1, std::chrono::milliseconds skew = 0ms, int status = 200) {
  HandMadeTrace trace(number);
  MadeExecution gateway = trace.execution("gateway");
  trace.request(gateway, "POST /orders/" + std::to_string(number), 0ms);
  trace.request(gateway, "PUT http://stock:80/goods/7/reserve", 1ms);
  MadeExecution stock = trace.called(gateway, "stock");
  stock.skew = skew;
  trace.request(stock, "PUT /goods/7/reserve", 3ms);
  trace.response(stock, status, 8ms, 5ms);
  gateway.clock.merge(stock.clock);
  trace.response(gateway, status, 10ms, 9ms);
  trace.response(gateway, 200, 12ms, 12ms);
  return trace;
}

}  // namespace

TEST_CASE("Nothing is called in no events") {
  CHECK(calls_of({}).empty());
}

TEST_CASE("A call is known from both of its sides, with both latencies") {
  const auto calls = calls_of(order().events);
  REQUIRE(calls.size() == 2);
  CHECK(calls[0].client.empty());
  CHECK(calls[0].server == "gateway");
  CHECK(calls[0].operation == "POST /orders/{}");
  CHECK(calls[0].served.median == 12ms);
  CHECK(calls[0].seen.count == 0);
  CHECK(calls[1].client == "gateway");
  CHECK(calls[1].server == "stock");
  CHECK(calls[1].operation == "PUT /goods/{}/reserve");
  CHECK(calls[1].calls == 1);
  CHECK(calls[1].errors == 0);
  CHECK(calls[1].served.median == 5ms);
  CHECK(calls[1].seen.median == 9ms);
}

TEST_CASE("Clocks that differ by an hour change nothing, and neither does the order in which events come") {
  for (const auto skew : {-3'600'000ms, 3'600'000ms}) {
    std::vector<TraceEventRecord> events = order(1, skew).events;
    std::ranges::sort(events, {}, &TraceEventRecord::when);
    const auto call = call_to(calls_of(events), "stock");
    CHECK(call.client == "gateway");
    CHECK(call.seen.median == 9ms);
  }
  std::vector<TraceEventRecord> events = order().events;
  std::mt19937 random(3);
  const auto expected = calls_of(events);
  for (int i = 0; i < 50; ++i) {
    std::ranges::shuffle(events, random);
    const auto calls = calls_of(events);
    REQUIRE(calls.size() == expected.size());
    for (std::size_t k = 0; k < calls.size(); ++k) {
      CHECK(calls[k].client == expected[k].client);
      CHECK(calls[k].seen == expected[k].seen);
      CHECK(calls[k].served == expected[k].served);
    }
  }
}

TEST_CASE("A caller is known by the traceparent that it recorded, without any clock") {
  HandMadeTrace trace;
  MadeExecution gateway = trace.execution("gateway");
  trace.request(gateway, "GET /", 0ms);
  const SpanId sent = testing::span_of(999);
  for (const char* header : {"traceparent", "TraceParent"}) {
    trace.request(gateway, "GET /a", 1ms).texts.data = nlohmann::json{
        {"headers",
         {{header, "00-" + to_hex(testing::trace_of(1)) + "-" + to_hex(sent) +
                       "-01"}}}}.dump();
    MadeExecution stock = trace.execution("stock");
    stock.upstream = sent;
    trace.request(stock, "GET /a", 2ms);
    trace.response(stock, 200, 3ms, 1ms);
    trace.response(gateway, 200, 4ms, 3ms);
    trace.response(gateway, 200, 5ms, 5ms);
    const auto call = call_to(calls_of(trace.events), "stock");
    CHECK(call.client == "gateway");
    CHECK(call.calls == 1);
    CHECK(call.seen.median == 3ms);
    trace = HandMadeTrace();
    gateway = trace.execution("gateway");
    trace.request(gateway, "GET /", 0ms);
  }
}

TEST_CASE("A caller of which nothing was recorded has the name in the clock, or none") {
  HandMadeTrace trace;
  MadeExecution gateway = trace.execution("gateway");
  gateway.clock.tick();
  MadeExecution stock = trace.called(gateway, "stock");
  trace.request(stock, "GET /a", 2ms);
  trace.response(stock, 200, 3ms, 1ms);
  CHECK(call_to(calls_of(trace.events), "stock").client == "gateway");
  for (TraceEventRecord& event : trace.events) event.texts.clock = "[damaged";
  CHECK(call_to(calls_of(trace.events), "stock").client.empty());
}

TEST_CASE("A caller with an older SDK is known by the span that it sent") {
  HandMadeTrace trace;
  MadeExecution gateway = trace.older_execution("gateway");
  trace.request(gateway, "POST /order", 0ms);
  trace.request(gateway, "GET http://stock/a", 1ms);
  MadeExecution stock = trace.called(gateway, "stock", gateway.span);
  trace.request(stock, "GET /a", 2ms);
  trace.response(stock, 200, 3ms, 1ms);
  TraceEventRecord& answer = trace.response(gateway, 200, 4ms);
  answer.duration.reset();
  answer.texts.data = R"({"duration_ms":3})";
  trace.response(gateway, 200, 5ms, 5ms);
  const auto calls = calls_of(trace.events);
  CHECK(calls.size() == 2);
  const auto call = call_to(calls, "stock");
  CHECK(call.client == "gateway");
  CHECK(call.seen.median == 3ms);
}

TEST_CASE("What fails is counted: by the status, by an Error of the server, by no answer") {
  CHECK(call_to(calls_of(order(1, 0ms, 500).events), "stock").errors == 1);
  CHECK(call_to(calls_of(order(1, 0ms, 499).events), "stock").errors == 0);
  HandMadeTrace trace;
  MadeExecution stock = trace.execution("stock");
  trace.request(stock, "GET /a", 0ms);
  trace.add(stock, TraceKind::error, "std::runtime_error", 1ms);
  trace.request(stock, "GET http://bank:80/b", 2ms);
  trace.add(stock, TraceKind::error, "httplib::Error", 3ms);
  trace.add(stock, TraceKind::database_query, "accounts", 4ms, {{"query", "select 1"}}).duration = 7ms;
  trace.add(stock, TraceKind::error, "SqlError", 5ms);
  trace.response(stock, 200, 6ms, 6ms);
  const auto calls = calls_of(trace.events);
  REQUIRE(calls.size() == 3);
  CHECK(call_to(calls, "stock").errors == 1);
  CHECK(call_to(calls, "stock").served.median == 6ms);
  CHECK(call_to(calls, "bank:80").errors == 1);
  CHECK(call_to(calls, "bank:80").seen.count == 0);
  const auto query = call_to(calls, "accounts");
  CHECK(query.kind == ServiceCall::Kind::database);
  CHECK(query.client == "stock");
  CHECK(query.operation == "SELECT");
  CHECK(query.errors == 1);
  CHECK(query.seen.median == 7ms);
}

TEST_CASE("Whoever only asks is no server, and a task that was spawned is none either") {
  HandMadeTrace trace;
  MadeExecution job = trace.execution("job");
  trace.request(job, "GET http://a/x", 0ms);
  trace.response(job, 200, 1ms, 1ms);
  trace.request(job, "GET http://b/y", 2ms);
  trace.response(job, 200, 3ms, 1ms);
  trace.add(job, TraceKind::async_spawn, "task", 4ms);
  MadeExecution task = trace.spawned(job);
  trace.request(task, "GET http://c/z", 5ms);
  trace.response(task, 200, 6ms, 1ms);
  const auto calls = calls_of(trace.events);
  REQUIRE(calls.size() == 3);
  for (const ServiceCall& call : calls) CHECK(call.client == "job");
  CHECK(calls[0].server == "a");
  CHECK(calls[1].server == "b");
  CHECK(calls[2].server == "c");
}

TEST_CASE("A client whose one request a server got is no server") {
  HandMadeTrace trace;
  MadeExecution job = trace.execution("job");
  trace.request(job, "GET http://stock/a", 0ms);
  MadeExecution stock = trace.called(job, "stock");
  trace.request(stock, "GET /a", 1ms);
  trace.response(stock, 200, 2ms, 1ms);
  trace.response(job, 200, 3ms, 3ms);
  const auto calls = calls_of(trace.events);
  REQUIRE(calls.size() == 1);
  CHECK(calls[0].client == "job");
  CHECK(calls[0].seen.median == 3ms);
}

TEST_CASE("An execution that goes on with a trace without a request was called nevertheless") {
  HandMadeTrace trace;
  MadeExecution producer = trace.execution("producer");
  trace.add(producer, TraceKind::custom, "put", 0ms);
  MadeExecution consumer = trace.called(producer, "consumer");
  trace.add(consumer, TraceKind::custom, "took", 1ms);
  const auto calls = calls_of(trace.events);
  REQUIRE(calls.size() == 1);
  CHECK(calls[0].client == "producer");
  CHECK(calls[0].server == "consumer");
  CHECK(calls[0].operation.empty());
}

TEST_CASE("Two calls of one operation at the same time are two") {
  HandMadeTrace trace;
  MadeExecution gateway = trace.execution("gateway");
  trace.request(gateway, "GET /", 0ms);
  trace.request(gateway, "GET /a", 1ms);
  MadeExecution one = trace.called(gateway, "stock");
  trace.request(gateway, "GET /a", 1ms);
  MadeExecution two = trace.called(gateway, "stock");
  for (MadeExecution* stock : {&two, &one}) {
    trace.request(*stock, "GET /a", 2ms);
    trace.response(*stock, 200, 3ms, 1ms);
  }
  trace.response(gateway, 200, 4ms, 3ms);
  trace.response(gateway, 200, 5ms, 4ms);
  trace.response(gateway, 200, 6ms, 6ms);
  const auto call = call_to(calls_of(trace.events), "stock");
  CHECK(call.calls == 2);
  CHECK(call.seen.count == 2);
  CHECK(call.seen.max == 4ms);
}

TEST_CASE("Many traces are counted together, with little memory, too") {
  ServiceMap::Limits small;
  small.waiting = 100;
  ServiceMap roomy, narrow(small);
  for (std::uint32_t number = 1; number <= 1000; ++number) {
    for (const TraceEventRecord& event : order(number, 0ms, number % 10 == 0 ? 503 : 200).events) {
      roomy.add(event);
      narrow.add(event);
    }
  }
  for (ServiceMap* services : {&roomy, &narrow}) {
    const auto calls = services->finish();
    REQUIRE(calls.size() == 2);
    CHECK(call_to(calls, "stock").calls == 1000);
    CHECK(call_to(calls, "stock").errors == 100);
    CHECK(call_to(calls, "stock").seen.count == 1000);
    CHECK(call_to(calls, "gateway").calls == 1000);
  }
}

TEST_CASE("Operations and services without end are folded into one") {
  ServiceMap::Limits small;
  small.operations = 10;
  small.names = 1000;
  ServiceMap services(small);
  for (std::uint32_t number = 1; number <= 5000; ++number) {
    HandMadeTrace trace(number);
    MadeExecution server = trace.execution("service" + std::to_string(number / 2));
    trace.request(server, "GET /name" + std::to_string(number) + "x", 0ms);
    trace.response(server, 200, 1ms, 1ms);
    for (const TraceEventRecord& event : trace.events) services.add(event);
  }
  const auto calls = services.finish();
  CHECK(calls.size() <= 21);
  std::uint64_t sum = 0;
  for (const ServiceCall& call : calls) sum += call.calls;
  CHECK(sum == 5000);
}

TEST_CASE("Whatever is missing or damaged, every call is counted at most once and nothing breaks") {
  std::mt19937 random(11);
  const std::vector<TraceEventRecord> whole = order().events;
  for (std::uint32_t mask = 0; mask < (1u << whole.size()); ++mask) {
    std::vector<TraceEventRecord> some;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      if ((mask >> i & 1) != 0) some.push_back(whole[i]);
    }
    for (const ServiceCall& call : calls_of(some)) CHECK(call.calls == 1);
  }
  for (int i = 0; i < 2000; ++i) {
    std::vector<TraceEventRecord> events = whole;
    for (TraceEventRecord& event : events) {
      switch (random() % 12) {
        case 0:
          event.step = random() % 3;
          break;
        case 1:
          event.texts.clock.resize(random() % (event.texts.clock.size() + 1));
          break;
        case 2:
          event.texts.execution = random() % 2 == 0 ? "" : "gateway#one";
          break;
        case 3:
          event.kind = static_cast<TraceKind>(1 + random() % kTraceKinds);
          break;
        case 4:
          event.upstream_span_id = events[random() % events.size()].span_id;
          break;
        case 5:
          event.parent_id = events[random() % events.size()].id;
          break;
        case 6:
          event.texts.data = R"({"headers":{"traceparent":[1]},"status":{},"query":7})";
          break;
        case 7:
          event.when = Time(std::chrono::nanoseconds(random() % 2 == 0 ? INT64_MIN : INT64_MAX));
          break;
        case 8:
          event.span_id = {};
          break;
        default:
          break;
      }
    }
    for (const ServiceCall& call : calls_of(events)) CHECK(call.calls <= events.size());
  }
}

TEST_CASE("A trace of a hundred thousand requests takes no time that grows with its square") {
  HandMadeTrace trace;
  MadeExecution gateway = trace.execution("gateway");
  for (int i = 0; i < 30'000; ++i) trace.request(gateway, "GET /a", 1ms);
  MadeExecution older = trace.older_execution("older");
  for (int i = 0; i < 30'000; ++i) trace.request(older, "GET /b", 1ms);
  for (int i = 0; i < 2'000; ++i) {
    MadeExecution stock = trace.called(gateway, "stock");
    trace.request(stock, "GET /a", 2ms);
    MadeExecution cellar = trace.execution("cellar");
    cellar.upstream = older.span;
    trace.request(cellar, "GET /b", 2ms);
  }
  const auto begin = std::chrono::steady_clock::now();
  CHECK(call_to(calls_of(trace.events), "cellar").calls == 2000);
  CHECK(std::chrono::steady_clock::now() - begin < 20s);  // a minute and more, if it did
}
