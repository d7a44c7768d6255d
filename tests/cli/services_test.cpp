// `codewake services`: who calls whom, what is slow, and what is said where there is nothing of it.
#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "codewake/tracing.hpp"
#include "command_line.hpp"
#include "recorded_order.hpp"

using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::is_one_complaint;
using codewake::testing::lines_of;
using codewake::testing::record_damage;
using codewake::testing::record_order;
using nlohmann::json;

namespace {

/// 60 calls of a function that took 5 ms, and 15 that took 60.
void record_slow_calls(const CommandLine& cli) {
  codewake::Tracer tracer(codewake::testing::store_of(cli), {.service_name = "stock", .instance_id = "st"});
  const codewake::Scope scope(tracer);
  for (int call = 0; call < 75; ++call) {
    tracer.track_function_return("reserve", nullptr, std::chrono::milliseconds(call < 60 ? 5 : 60));
  }
}

}  // namespace

TEST_CASE("services shows who calls whom") {
  const CommandLine cli;
  const std::string first = record_order(cli);
  record_order(cli);
  const json calls = cli.run_json({"services", "--format", "json"});
  REQUIRE(calls.size() == 1);
  CHECK(calls[0]["kind"] == "http");
  CHECK(calls[0]["client"] == "gateway");
  CHECK(calls[0]["server"] == "stock");
  CHECK(calls[0]["operation"] == "POST /reserve");
  CHECK(calls[0]["calls"] == 2);
  CHECK(calls[0]["errors"] == 0);
  CHECK(calls[0]["served"] == 2);
  CHECK(calls[0]["served_median_ns"] > 0);
  CHECK(calls[0]["served_max_ns"] >= calls[0]["served_p95_ns"]);
  CHECK(calls[0]["seen"] == 0);
  CHECK(calls[0]["seen_median_ns"].is_null());
  CHECK(cli.run_json({"services", "--trace", first, "--format", "json"})[0]["calls"] == 1);
  CHECK(cli.run_json({"services", "--since", "1h", "--format", "json"})[0]["calls"] == 2);
  CHECK(cli.run_json({"services", "--until", "2020-01-01", "--format", "json"}).empty());
  const auto table = lines_of(cli.run({"services"}).out);
  REQUIRE(table.size() == 2);
  CHECK(table[0].starts_with("CLIENT   SERVER  OPERATION      CALLS  ERRORS  MEDIAN MS"));
  CHECK(table[1].starts_with("gateway  stock   POST /reserve      2       0 "));
  const auto csv = lines_of(cli.run({"services", "--format", "csv"}).out);
  REQUIRE(csv.size() == 2);
  CHECK(csv[0].starts_with("kind,client,server,operation,calls,errors,served,served_median_ns,"));
  CHECK(csv[1].starts_with("http,gateway,stock,POST /reserve,2,0,2,"));
  CHECK(csv[1].ends_with(",0,,,"));
  CHECK(lines_of(cli.run({"services", "--format", "ndjson"}).out).size() == 1);
}

TEST_CASE("services --slow shows what takes longer than it did, and where to look") {
  const CommandLine cli;
  record_order(cli);
  CHECK(cli.run_json({"services", "--slow", "--format", "json"}).empty());
  record_slow_calls(cli);
  const json slow = cli.run_json({"services", "--slow", "--format", "json"});
  REQUIRE(slow.size() == 2);
  for (const json& found : slow) {
    CHECK(found["service"] == "stock");
    CHECK(found["kind"] == "function");
    CHECK(found["operation"] == "reserve");
    CHECK(found["usual_median_ns"] == 5'000'000);
    CHECK(found["now_ns"] == 60'000'000);
    CHECK(found["duration_ns"] == 60'000'000);
    CHECK(found["trace_id"].get<std::string>().size() == 32);
    CHECK(found["event_id"].get<std::string>().size() == 36);
    CHECK(found["file"].get<std::string>().ends_with("services_test.cpp"));
    CHECK(found["line"] > 0);
  }
  CHECK(slow[0]["found"] == "latest");
  CHECK(slow[0]["slow"] == 15);
  CHECK(slow[0]["before"] == 60);
  CHECK(slow[1]["found"] == "single");
  const ChildResult result = cli.run({"services", "--slow"});
  CHECK(result.out.find("latest 15") != std::string::npos);
  CHECK(result.out.find("12.0") != std::string::npos);
  CHECK(result.out.find("services_test.cpp:") != std::string::npos);
  CHECK(cli.run_json({"services", "--slow", "--since", "1h", "--format", "json"}).empty());  // nothing before
  CHECK(cli.run_json({"services", "--slow", "--until", "1h", "--format", "json"}).empty());
  CHECK(lines_of(cli.run({"services", "--slow", "--format", "csv"}).out).size() == 3);
}

TEST_CASE("services of a store without traces is an empty list") {
  const CommandLine cli;
  for (const char* slow : {"--slow", "--color=never"}) {
    CHECK(cli.run_json({"services", slow, "--format", "json"}).empty());
    CHECK(cli.run({"services", slow, "--format", "ndjson"}).out.empty());
    CHECK(lines_of(cli.run({"services", slow, "--format", "csv"}).out).size() == 1);
    CHECK(lines_of(cli.run({"services", slow}).out).size() == 1);
  }
}

TEST_CASE("services says what is wrong with its options") {
  const CommandLine cli;
  for (const auto& arguments : {std::vector<std::string>{"services", "--trace", "4711"},
                                {"services", "--since", "yesterday-ish"},
                                {"services", "gateway"},
                                {"services", "--slow", "--trace", "4bf92f3577b34da6a3ce929d0e0e4736"}}) {
    const ChildResult wrong = cli.run(arguments);
    CHECK(wrong.exit_code == 2);
    CHECK(wrong.out.empty());
    CHECK(is_one_complaint(wrong.err));
  }
  const ChildResult missing = cli.run({"services", "--trace", "4bf92f3577b34da6a3ce929d0e0e4736"});
  CHECK(missing.exit_code == 1);
  CHECK(missing.err.starts_with("codewake: there is no trace 4bf92f3577b34da6a3ce929d0e0e4736;"));
}

TEST_CASE("services makes what it can of damaged events, and shows nothing that a terminal acts on") {
  const CommandLine cli;
  const std::string id = record_damage(cli);
  record_order(cli);
  for (const auto& arguments :
       {std::vector<std::string>{"services"}, {"services", "--trace", id}, {"services", "--slow"}}) {
    const ChildResult result = cli.run(arguments);
    CHECK(result.exit_code == 0);
    CHECK(result.err.empty());
    CHECK(result.out.find('\x1b') == std::string::npos);
  }
  const json calls = cli.run_json({"services", "--format", "json"});
  CHECK(calls.size() > 1);
}
