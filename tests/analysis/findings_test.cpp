// What is found in events of several services, traces and processes, of older systems, and of what is
// damaged.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "codewake/analysis.hpp"
#include "detection.hpp"
#include "history_builder.hpp"
#include "model.hpp"

namespace codewake::analysis {
namespace {

using testing::Model;

std::vector<Finding> of_verdict(const RaceReport& report, Verdict verdict) {
  std::vector<Finding> some;
  std::ranges::copy_if(report.findings, std::back_inserter(some),
                       [&](const Finding& finding) { return finding.verdict == verdict; });
  return some;
}

TEST_CASE("A race across two services is found, and a message orders what comes before it") {
  for (const bool is_repaired : {false, true}) {
    Model model;
    const auto shop = model.root("shop");
    if (is_repaired) model.write(shop, "stock", 10);
    const auto stock = model.send(shop, "stock");
    if (!is_repaired) model.write(shop, "stock", 10);
    model.write(stock, "stock", 20);
    const RaceReport report = find_races(model.events());
    CHECK(of_verdict(report, Verdict::race).size() == (is_repaired ? 0 : 1));
    CHECK(report.traces == 1);
  }
}

TEST_CASE("A race between two traces is found, unless a lock orders them") {
  for (const bool is_repaired : {false, true}) {
    Model model;
    const auto one = model.root(), other = model.root();
    for (const auto execution : {one, other}) {
      if (is_repaired) model.acquire(execution, "lock");
      model.read(execution, "stock", 10);
      model.write(execution, "stock", 11);
      if (is_repaired) model.release(execution, "lock");
    }
    const RaceReport report = find_races(model.events());
    CHECK(report.traces == 2);
    const auto races = of_verdict(report, Verdict::race);
    REQUIRE(races.size() == (is_repaired ? 0 : 2));
    if (is_repaired) continue;
    CHECK(races[0].severity == Severity::critical);
    CHECK(races[0].write_write == 1);
    CHECK(races[1].severity == Severity::warning);
    CHECK(races[1].read_write == 2);
    CHECK(races[1].why.find("of two traces") != std::string::npos);
  }
}

TEST_CASE("A finding is one, however many variables and accesses it is of") {
  Model model;
  const auto one = model.root(), other = model.root();
  for (int i = 0; i < 150; ++i) {
    for (const auto execution : {one, other}) model.write(execution, "item " + std::to_string(i), 10);
  }
  const RaceReport report = find_races(model.events());
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].write_write == 150);
  CHECK(report.findings[0].variable_count == 150);
  CHECK(report.findings[0].variables.size() == 100);
}

TEST_CASE("Where places are not known, a finding is of a variable") {
  Model model;
  const auto one = model.root(), other = model.root();
  for (const char* variable : {"a", "b"}) {
    for (const auto execution : {one, other}) model.write(execution, variable, 0);
  }
  std::vector<TraceEventRecord> events = model.events();
  for (TraceEventRecord& event : events) event.texts.file.clear();
  CHECK(find_races(events).findings.size() == 2);
}

TEST_CASE("Where a spawn was lost, or a release never seen, a finding is uncertain") {
  Model model;
  const auto parent = model.root();
  const auto child = model.spawn(parent);
  model.write(child, "x", 10);
  model.write(parent, "x", 20);
  std::vector<TraceEventRecord> events = model.events();
  CHECK_FALSE(find_races(events).findings.at(0).is_uncertain);
  std::erase_if(events, [](const auto& event) { return event.kind == TraceKind::async_spawn; });
  CHECK(find_races(events).findings.at(0).is_uncertain);
  CHECK(find_races(events).damaged_executions > 0);

  Model locked;
  const auto one = locked.root(), other = locked.root();
  locked.acquire(one, "lock");
  locked.write(one, "x", 10);
  locked.write(other, "x", 20);
  const RaceReport report = find_races(locked.events());
  CHECK(report.findings.at(0).is_uncertain);
  CHECK(report.findings.at(0).why.find("release") != std::string::npos);
}

using Kind = Caller::Kind;

std::vector<std::string> lines_of(const std::vector<Caller>& stack) {
  std::vector<std::string> lines;
  for (const Caller& caller : stack) {
    lines.push_back(std::string(to_string(caller.kind)) + " " + caller.name + " of " + caller.service + ":" +
                    std::to_string(caller.line));
  }
  return lines;
}

TEST_CASE("A finding shows the functions, spawns and requests that led to each access") {
  Model model;
  const auto shop = model.root("shop");
  model.call(shop, "order", 1);
  const auto stock = model.send(shop, "stock", 2);
  model.call(stock, "reserve", 3);
  model.call(stock, "left long ago", 4);
  model.leave(stock, "left long ago");
  const auto task = model.spawn(stock, "", 5);
  model.call(task, "take", 6);
  model.call(task, "never left", 7);
  model.call(task, "put", 8);
  model.write(task, "shelf", 9);
  model.leave(task, "put");
  model.leave(task, "take");
  model.write(stock, "shelf", 10);
  model.leave(stock, "reserve");
  model.leave(shop, "order");
  const RaceReport report = find_races(model.events());
  REQUIRE(report.findings.size() == 1);
  const Finding& race = report.findings[0];
  REQUIRE(race.stacks.size() == 2);
  CHECK(lines_of(race.stacks[0]) ==
        std::vector<std::string>{"function put of stock:8", "function take of stock:6",
                                 "spawn task of stock:5", "function reserve of stock:3",
                                 "request GET / of shop:2", "function order of shop:1"});
  CHECK(lines_of(race.stacks[1]) == std::vector<std::string>{"function reserve of stock:3",
                                                             "request GET / of shop:2",
                                                             "function order of shop:1"});
  const std::string text = describe(race);
  CHECK(text.find("\n      in put, called at model.cpp:8\n      in take, called at model.cpp:6\n"
                  "      in task, spawned at model.cpp:5\n") != std::string::npos);
  CHECK(text.find("\n      for GET /, which shop sent at model.cpp:2\n") != std::string::npos);
}

TEST_CASE(
    "What led to an access ends where traces go round in circles, and is shown short where it is long") {
  Model model;
  const auto parent = model.root();
  const auto child = model.spawn(parent);
  for (int depth = 0; depth < 100; ++depth) model.call(child, "again", 1);
  model.write(child, "x", 10);
  for (int depth = 0; depth < 100; ++depth) model.leave(child, "again");
  model.write(parent, "x", 20);
  std::vector<TraceEventRecord> events = model.events();
  const Finding deep = find_races(events).findings.at(0);
  CHECK(deep.stacks.at(0).size() == 64);
  CHECK(describe(deep).find("and 56 more") != std::string::npos);
  CHECK(deep.stacks.at(1).empty());

  // The parent was spawned by its own child.
  events.front().parent_id = events.back().parent_id;
  for (const TraceEventRecord& event : events) {
    if (event.texts.name == "again") events.front().parent_id = event.id;
  }
  for (const Finding& finding : find_races(events).findings)
    CHECK(finding.stacks.size() == finding.events.size());
}

TEST_CASE("A process that began when another had ended on the same computer does not race with it") {
  const auto race = [](const char* other_computer, std::chrono::seconds other_begin) {
    Model model;
    const auto one = model.root(), other = model.root();
    model.write(one, "x", 10);
    model.write(other, "x", 20);
    std::vector<TraceEventRecord> events = model.events();
    events[1].process_id = 2;
    events[1].when = Time(std::chrono::seconds(100));
    HistoryBuilder builder;
    for (const TraceEventRecord& event : events) builder.add(event);
    ProcessRecord process;
    process.id = 1;
    process.fqdn = "host.example";
    builder.add(process);
    process.id = 2;
    process.fqdn = other_computer;
    process.run_ts = Time(other_begin);
    builder.add(process);
    History history = builder.finish();
    return find_all(history,
                    [&](const History&, std::uint32_t event) { return std::optional(events[event]); });
  };
  CHECK(race("host.example", std::chrono::seconds(50)).empty());
  CHECK(race("host.example", std::chrono::seconds(0)).size() == 1);
  CHECK(race("other.example", std::chrono::seconds(50)).size() == 1);
  CHECK(race("localhost", std::chrono::seconds(50)).size() == 1);
}

/// An event as Raceway's SDK for Python records it: its clock has one component, of the service.
TraceEventRecord older(std::uint8_t id, std::uint8_t parent, std::uint8_t trace, std::uint64_t step,
                       const std::string& variable = "x") {
  TraceEventRecord event;
  event.row = id;
  event.kind = TraceKind::state_change;
  event.access = Access::write;
  event.id.bytes[0] = id;
  event.parent_id.bytes[0] = parent;
  event.trace_id.bytes[0] = trace;
  event.span_id.bytes[0] = trace;
  event.step = step;
  event.line = id;
  event.when = Time(std::chrono::milliseconds(id));
  event.texts.service = "bank";
  event.texts.instance = "1";
  event.texts.execution = "bank#1";
  event.texts.thread = "MainThread";
  event.texts.name = variable;
  event.texts.file = "bank.py";
  event.texts.data = "{}";
  event.texts.clock = "[[\"bank#1\"," + std::to_string(step) + "]]";
  event.texts.locks = "[]";
  return event;
}

TEST_CASE("A clock that a service shares hides no race: its events are ordered by their parents") {
  // Two requests at once, as their clock has it one behind the other.
  std::vector<TraceEventRecord> events = {older(1, 0, 1, 1), older(2, 0, 2, 2)};
  CHECK(find_races(events).findings.size() == 1);
  // In one request one follows the other.
  events = {older(1, 0, 1, 1), older(2, 1, 1, 2), older(3, 2, 1, 3)};
  CHECK(find_races(events).findings.empty());
  // Two tasks of one request, begun by the same event.
  events = {older(1, 0, 1, 1, "y"), older(2, 1, 1, 2), older(3, 1, 1, 3)};
  CHECK(find_races(events).findings.size() == 1);
  // A lock in one process, by the time.
  const auto lock = [](TraceEventRecord event, TraceKind kind) {
    event.kind = kind;
    event.access.reset();
    event.texts.name = "lock";
    event.texts.data = R"({"lock_type":"Lock"})";
    return event;
  };
  events = {lock(older(1, 0, 1, 1), TraceKind::lock_acquire),
            older(2, 1, 1, 2),
            lock(older(3, 2, 1, 3), TraceKind::lock_release),
            lock(older(4, 0, 2, 4), TraceKind::lock_acquire),
            older(5, 4, 2, 5),
            lock(older(6, 5, 2, 6), TraceKind::lock_release)};
  CHECK(find_races(events).findings.empty());
  // The parent is lost.
  events = {older(1, 0, 1, 1), older(3, 2, 1, 3)};
  REQUIRE(find_races(events).findings.size() == 1);
  CHECK(find_races(events).findings[0].is_uncertain);
}

TEST_CASE("A request that brought no clock is ordered by the span that it names") {
  Model model;
  const auto client = model.root("shop");
  model.write(client, "x", 10);
  std::vector<TraceEventRecord> events = model.events();
  TraceEventRecord call = events.back();
  call.row = 2;
  call.kind = TraceKind::http_request;
  call.access.reset();
  call.step = 2;
  call.texts.data = R"({"method":"GET","headers":{"Traceparent":"00-)" + to_hex(call.trace_id) +
                    R"(-00000000000000aa-01"}})";
  call.texts.clock = "[[\"" + call.texts.execution + "\",2]]";
  events.push_back(call);
  TraceEventRecord served = older(9, 0, 1, 1);
  served.trace_id = call.trace_id;
  served.upstream_span_id.bytes[7] = 0xaa;
  events.push_back(served);
  CHECK(find_races(events).findings.empty());
  events.back().upstream_span_id.bytes[7] = 0xab;
  CHECK(find_races(events).findings.size() == 1);
}

TEST_CASE("What contradicts itself is uncertain, and ends") {
  Model model;
  const auto one = model.root(), other = model.root();
  model.write(one, "x", 10);
  model.write(one, "x", 11);
  model.write(other, "x", 20);
  model.write(other, "x", 21);
  std::vector<TraceEventRecord> events = model.events();
  const std::string a = events[0].texts.execution, b = events[2].texts.execution;
  events[0].texts.clock = "[[\"" + b + "\",2],[\"" + a + "\",1]]";
  events[2].texts.clock = "[[\"" + a + "\",2],[\"" + b + "\",1]]";
  const RaceReport report = find_races(events);
  CHECK(report.damaged_executions == 2);
  for (const Finding& finding : report.findings) CHECK(finding.is_uncertain);
}

TEST_CASE("Whatever events say, the analysis ends, and says something of them") {
  std::mt19937_64 random(1);
  const std::vector<std::string> odd = {"",
                                        "[",
                                        "[[]]",
                                        "[[1,2]]",
                                        "[[\"a\",-1]]",
                                        "[[\"a\",18446744073709551615]]",
                                        "null",
                                        "{}",
                                        "[[[[[[[[",
                                        "\xff\xfe",
                                        "[[\"a#b#c\",1.5]]",
                                        "[\"\\u0000\"]",
                                        "[[\"\",1],[\"\",2]]"};
  const auto any = [&](const std::vector<std::string>& texts) { return texts[random() % texts.size()]; };
  for (int program = 0; program < 300; ++program) {
    std::vector<TraceEventRecord> events;
    for (std::size_t i = 0; i < 60; ++i) {
      TraceEventRecord event = older(static_cast<std::uint8_t>(random()), static_cast<std::uint8_t>(random()),
                                     static_cast<std::uint8_t>(random() % 3), random() % 8);
      event.kind = static_cast<TraceKind>(1 + random() % kTraceKinds);
      if (random() % 2 == 0) event.access.reset();
      if (random() % 5 == 0) event.step = random();
      if (random() % 3 == 0)
        event.texts.execution = any({"bank#1#a", "bank#1#b", "", "#", "a\"b#1#c", "bank"});
      if (random() % 2 == 0) {
        event.texts.clock = "[[\"bank#1#a\"," + std::to_string(random() % 9) + "],[\"bank#1#b\"," +
                            std::to_string(random() % 9) + "]]";
      }
      if (random() % 4 == 0) event.texts.clock = any(odd);
      if (random() % 4 == 0) event.texts.locks = any(odd);
      if (random() % 4 == 0) event.texts.data = any(odd);
      events.push_back(event);
    }
    const RaceReport report = find_races(events);
    CHECK(report.events == events.size());
    for (const Finding& finding : report.findings) CHECK_FALSE(describe(finding).empty());
  }
  CHECK(find_races(std::vector<TraceEventRecord>()).findings.empty());
}

}  // namespace
}  // namespace codewake::analysis
