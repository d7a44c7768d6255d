// What a real Tracer records, analysed.
#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "critical_path.hpp"
#include "services.hpp"
#include "traced_program.hpp"

using namespace codewake;
using namespace codewake::analysis;
using codewake::testing::TracedProgram;

namespace {

/// A gateway that has a stock reserve something in a task of its own; the result are the events of both.
std::vector<TraceEventRecord> record_order(bool with_clock) {
  TracedProgram gateway("gateway"), stock("stock");
  Tracer& tracer = gateway.tracer;
  tracer.begin_request(HeaderMap{}, "POST", "/orders/17");
  auto task = spawn(
      [&] {
        HeaderMap call = tracer.propagation_headers();
        tracer.track_http_request("GET", "http://stock/goods/4?x=1", with_clock ? HeaderMap() : call);
        if (with_clock) {
          call = tracer.propagation_headers();
        } else {
          call.erase("raceway-clock");
        }
        HeaderMap answer;
        {
          const Scope elsewhere{Context()};
          stock.tracer.begin_request(call, "GET", "/goods/4");
          stock.tracer.track_database_query("shelf", "SELECT 4", std::chrono::milliseconds(1));
          answer = stock.tracer.end_request(200);
        }
        if (with_clock) tracer.receive(answer);
        tracer.track_http_response(200, {}, nullptr, std::chrono::milliseconds(3));
      },
      "reserve");
  task.get();
  tracer.end_request(200);
  std::vector<TraceEventRecord> events = gateway.events();
  for (const TraceEventRecord& event : stock.events()) events.push_back(event);
  return events;
}

}  // namespace

TEST_CASE("What a program recorded shows who called whom, with clocks in the headers and without") {
  for (const bool with_clock : {true, false}) {
    CAPTURE(with_clock);
    ServiceMap services;
    for (const TraceEventRecord& event : record_order(with_clock)) services.add(event);
    const auto calls = services.finish();
    REQUIRE(calls.size() == 3);
    CHECK(calls[0].client.empty());
    CHECK(calls[0].server == "gateway");
    CHECK(calls[0].operation == "POST /orders/{}");
    CHECK(calls[1].client == "gateway");
    CHECK(calls[1].server == "stock");
    CHECK(calls[1].operation == "GET /goods/{}");
    CHECK(calls[1].served.count == 1);
    CHECK(calls[1].seen.median == std::chrono::milliseconds(3));
    CHECK(calls[2].client == "stock");
    CHECK(calls[2].server == "shelf");
    CHECK(calls[2].operation == "SELECT");
  }
}

TEST_CASE("What a program recorded has a path through its task and the service that it asked") {
  for (const bool with_clock : {true, false}) {
    CAPTURE(with_clock);
    const std::vector<TraceEventRecord> events = record_order(with_clock);
    const CriticalPath path = find_critical_path(events);
    std::vector<std::string> doing;
    for (const CriticalSegment& segment : path.segments) doing.emplace_back(to_string(segment.doing));
    CHECK(doing == std::vector<std::string>{"begin", "work", "spawn", "request", "query", "work", "answer",
                                            "join", "work"});
    CHECK(path.segments.back().to->texts.name == "200");
    CHECK(path.services.size() == 2);
  }
}
