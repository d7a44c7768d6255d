// `codewake traces` and `codewake trace`, on what a program with two services recorded.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

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

const json* find_event(const json& trace, const std::string& name) {
  for (const json& execution : trace["executions"]) {
    for (const json& event : execution["events"]) {
      if (event["name"] == name) return &event;
    }
  }
  return nullptr;
}

}  // namespace

TEST_CASE("traces lists the traces, the latest first") {
  const CommandLine cli;
  CHECK(cli.run_json({"traces", "--format", "json"}).empty());
  const std::string first = record_order(cli);
  const std::string second = record_order(cli);
  const json traces = cli.run_json({"traces", "--format", "json"});
  REQUIRE(traces.size() == 2);
  CHECK(traces[0]["trace_id"] == second);
  CHECK(traces[1]["trace_id"] == first);
  CHECK(traces[0]["services"] == json{"gateway", "stock"});
  CHECK(traces[0]["events"] == 10);
  CHECK(traces[0]["errors"] == 1);
  CHECK(traces[0]["executions"] == 3);
  CHECK(traces[0]["root"] == "create_order");
  CHECK(cli.run_json({"traces", "--limit", "1", "--format", "json"}).size() == 1);
  CHECK(cli.run_json({"traces", "--until", "2020-01-01", "--format", "json"}).empty());
  const auto table = lines_of(cli.run({"traces"}).out);
  REQUIRE(table.size() == 3);
  CHECK(table[0].starts_with("TRACE "));
  CHECK(table[1].starts_with(second));
  CHECK(table[1].find("gateway, stock") != std::string::npos);
}

TEST_CASE("trace shows who began whom, and what happened where") {
  const CommandLine cli;
  const std::string id = record_order(cli);
  const ChildResult result = cli.run({"trace", id});
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  const std::string& out = result.out;
  CHECK(out.starts_with("Trace " + id + "\n"));
  CHECK(out.find("11 events in 3 executions of gateway, stock") != std::string::npos);
  std::size_t at = 0;
  for (const char* piece :
       {"gateway #gw", "call create_order {\"goods\":\"tea\"}", "    stock #st",
        "      request POST /reserve", "      lock shelf as Mutex", "      Write stock 5 → 4",
        "      unlock shelf", "      response 200", "  spawn mail", "    gateway #gw", "      in a task",
        "  await mail", "  error Fault: no paper", "  event 44 event=order customer=ada"}) {
    CAPTURE(std::string(piece));
    at = out.find(piece, at);
    CHECK_MESSAGE(at != std::string::npos, out);
  }
  CHECK(out.find("recorded_order.cpp:") != std::string::npos);
}

TEST_CASE("trace has all that was recorded, for machines") {
  const CommandLine cli;
  const std::string id = record_order(cli);
  const std::string uuid = id.substr(0, 8) + "-" + id.substr(8, 4) + "-" + id.substr(12, 4) + "-" +
                           id.substr(16, 4) + "-" + id.substr(20);
  const json trace = cli.run_json({"trace", uuid, "--format", "json"});
  CHECK(trace["trace_id"] == id);
  REQUIRE(trace["executions"].size() == 3);
  CHECK(trace["executions"][0]["parent"].is_null());
  CHECK(trace["executions"][1]["parent"] == trace["executions"][0]["execution"]);
  CHECK(trace["executions"][2]["parent"] == trace["executions"][0]["execution"]);
  CHECK(trace["executions"][0]["logged"].size() == 1);
  const json* const change = find_event(trace, "stock");
  REQUIRE(change != nullptr);
  CHECK((*change)["kind"] == "StateChange");
  CHECK((*change)["access"] == "Write");
  CHECK((*change)["data"] == json{{"old_value", 5}, {"new_value", 4}});
  CHECK((*change)["locks"] == json{"shelf"});
  CHECK((*change)["clock"].size() == 2);
  const auto lines = lines_of(cli.run({"trace", id, "--format", "ndjson"}).out);
  CHECK(lines.size() == 10);
  CHECK(json::parse(lines[0])["name"] == "create_order");
  CHECK(lines_of(cli.run({"trace", id, "--format", "csv"}).out).size() == 11);
}

TEST_CASE("trace writes what ui.perfetto.dev opens") {
  const CommandLine cli;
  const std::string id = record_order(cli);
  const json trace = cli.run_json({"trace", id, "--format", "perfetto"});
  CHECK(trace["otherData"]["trace_id"] == id);
  std::size_t slices = 0, begins = 0, ends = 0;
  std::vector<std::string> processes;
  for (const json& event : trace["traceEvents"]) {
    if (event["ph"] == "X") {
      ++slices;
      CHECK(event["dur"] >= 0);
      CHECK(event["ts"] > 1e15);
    }
    if (event["ph"] == "s") ++begins;
    if (event["ph"] == "f") ++ends;
    if (event["name"] == "process_name") processes.push_back(event["args"]["name"]);
  }
  CHECK(slices == 2);  // the request, and the lock that was held in it
  CHECK(begins == 2);
  CHECK(ends == 2);
  CHECK(processes == std::vector<std::string>{"gateway#gw", "stock#st"});
}

TEST_CASE("no command that shows traces lets through what a terminal acts on") {
  const CommandLine cli;
  const std::string id = record_damage(cli);
  REQUIRE(cli.run({"log", "event=x", "--app", "\x1b[2Jshop"}).exit_code == 0);
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"trace", id},
                                                    {"traces"},
                                                    {"traces", "--service", "damaged\x1b[31m"},
                                                    {"services"},
                                                    {"critical-path", id},
                                                    {"critical-path"},
                                                    {"races", id},
                                                    {"races"},
                                                    {"audit", "GET /\x1b[31m/1\nx"},
                                                    {"locks"},
                                                    {"events"},
                                                    {"exceptions"},
                                                    {"processes"},
                                                    {"apps"}}) {
    CAPTURE(arguments);
    const ChildResult result = cli.run(arguments);
    CHECK((result.out + result.err).find('\x1b') == std::string::npos);
  }
  CHECK(cli.run({"trace", id}).out.find(" of damaged\\x1b[31m\n") != std::string::npos);
}

TEST_CASE("trace says what is wrong with an id") {
  const CommandLine cli;
  const ChildResult wrong = cli.run({"trace", "4711"});
  CHECK(wrong.exit_code == 2);
  CHECK(is_one_complaint(wrong.err));
  CHECK(wrong.err.find("32 hexadecimal digits") != std::string::npos);
  const ChildResult missing = cli.run({"trace", "4bf92f3577b34da6a3ce929d0e0e4736"});
  CHECK(missing.exit_code == 1);
  CHECK(missing.out.empty());
  CHECK(missing.err ==
        "codewake: there is no trace 4bf92f3577b34da6a3ce929d0e0e4736; 'codewake traces' lists those there "
        "are\n");
}
