// `codewake critical-path`, on what a program with two services recorded.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
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

TEST_CASE("critical-path shows what determined how long a trace took") {
  const CommandLine cli;
  const std::string id = record_order(cli);
  const ChildResult result = cli.run({"critical-path", id});
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  const std::string& out = result.out;
  CHECK(out.starts_with("Trace " + id + "\n"));
  CHECK(out.find("through 3 executions of 2 services") != std::string::npos);
  std::size_t at = 0;
  for (const char* piece :
       {"begin    call create_order", "request  request POST /reserve", "lock     lock shelf",
        "work     Write stock 5 → 4", "work     unlock shelf", "work     response 200", "answer   spawn mail",
        "spawn    in a task", "join     await mail", "work     error Fault: no paper", "%  SERVICE\n",
        "  stock\n", "%  DOING\n", "  work\n"}) {
    CAPTURE(std::string(piece));
    at = out.find(piece, at);
    CHECK_MESSAGE(at != std::string::npos, out);
  }
  CHECK(out.find("create_order  recorded_order.cpp:") != std::string::npos);
}

TEST_CASE("critical-path has all of it for machines, whichever way the trace is named") {
  const CommandLine cli;
  const std::string id = record_order(cli);
  const std::string uuid = id.substr(0, 8) + "-" + id.substr(8, 4) + "-" + id.substr(12, 4) + "-" +
                           id.substr(16, 4) + "-" + id.substr(20);
  const json path = cli.run_json({"critical-path", uuid, "--format", "json"});
  CHECK(cli.run_json({"critical-path", "--trace", id, "--format", "json"}) == path);
  CHECK(path["trace_id"] == id);
  CHECK(path["times_agree"] == true);
  REQUIRE(path["segments"].size() == 10);
  std::int64_t total = 0;
  double percent = 0;
  for (std::size_t i = 0; i < path["segments"].size(); ++i) {
    const json& segment = path["segments"][i];
    CHECK(segment["begin_ns"] == total);
    total += segment["time_ns"].get<std::int64_t>();
    percent += segment["percent"].get<double>();
    if (i > 0) CHECK(segment["from_id"] == path["segments"][i - 1]["event_id"]);
  }
  CHECK(path["segments"][0]["from_id"].is_null());
  CHECK(path["total_ns"] == total);
  CHECK(path["trace_ns"] >= total);
  CHECK(percent == doctest::Approx(100));
  CHECK(path["services"].size() == 2);
  CHECK(lines_of(cli.run({"critical-path", id, "--format", "ndjson"}).out).size() == 10);
  const auto csv = lines_of(cli.run({"critical-path", id, "--format", "csv"}).out);
  REQUIRE(csv.size() == 11);
  CHECK(csv[0].starts_with("begin_ns,time_ns,percent,doing,service,instance,execution,what,inside,"));
  CHECK(csv[1].starts_with("0,0,0.0,begin,gateway,gw,gateway#gw#"));
}

TEST_CASE("critical-path says what is wrong with an id, and that there is no such trace") {
  const CommandLine cli;
  const std::string unknown = "4bf92f3577b34da6a3ce929d0e0e4736";
  for (const auto& arguments : {std::vector<std::string>{"critical-path", "--since", "soon"},
                                {"critical-path", "4711"},
                                {"critical-path", "--trace", "4711"},
                                {"critical-path", unknown, "--trace", unknown},
                                {"critical-path", unknown, unknown},
                                {"critical-path", unknown, "--format", "perfetto"}}) {
    const ChildResult wrong = cli.run(arguments);
    CHECK(wrong.exit_code == 2);
    CHECK(wrong.out.empty());
    CHECK(is_one_complaint(wrong.err));
  }
  const ChildResult missing = cli.run({"critical-path", unknown});
  CHECK(missing.exit_code == 1);
  CHECK(missing.out.empty());
  CHECK(missing.err ==
        "codewake: there is no trace " + unknown + "; 'codewake traces' lists those there are\n");
}

TEST_CASE("critical-path adds up the paths of the traces of a time") {
  const CommandLine cli;
  const std::string first = record_order(cli), second = record_order(cli);
  const json paths = cli.run_json({"critical-path", "--since", "1h", "--format", "json"});
  CHECK(cli.run_json({"critical-path", "--format", "json"}) == paths);
  CHECK(paths["traces"] == 2);
  const json one = cli.run_json({"critical-path", first, "--format", "json"});
  const json other = cli.run_json({"critical-path", second, "--since", "1h", "--format", "json"});
  CHECK(paths["total_ns"] == one["total_ns"].get<std::int64_t>() + other["total_ns"].get<std::int64_t>());
  CHECK(paths["max_ns"] == std::max(one["total_ns"], other["total_ns"]));
  std::int64_t total = 0;
  for (const json& place : paths["places"]) {
    total += place["time_ns"].get<std::int64_t>();
    CHECK(place["traces"] == 2);
    const std::string slowest = place["trace_id"];
    CHECK((slowest == first || slowest == second));
  }
  CHECK(paths["total_ns"] == total);
  CHECK(paths["services"].size() == 2);
  CHECK(cli.run_json({"critical-path", "--limit", "1", "--format", "json"})["traces"] == 1);
  CHECK(cli.run_json({"critical-path", "--until", "2020-01-01", "--format", "json"})["places"].empty());
  const std::string table = cli.run({"critical-path"}).out;
  CHECK(table.starts_with("2 traces\n  their critical paths take "));
  CHECK(table.find("  lock     lock shelf ") != std::string::npos);
  CHECK(table.find("  work     access stock ") != std::string::npos);
  CHECK(cli.run({"critical-path", "--until", "2020-01-01"}).out == "0 traces\n");
  const auto csv = lines_of(cli.run({"critical-path", "--format", "csv"}).out);
  CHECK(csv.size() == paths["places"].size() + 1);
  CHECK(csv[0].starts_with("time_ns,percent,traces,segments,longest_ns,trace_id,service,doing,"));

  const ChildResult early = cli.run({"critical-path", first, "--until", "2020-01-01"});
  CHECK(early.exit_code == 1);
  CHECK(early.err == "codewake: trace " + first + " was not at work at that time\n");
}

TEST_CASE("critical-path makes what it can of damaged events, and shows nothing that a terminal acts on") {
  const CommandLine cli;
  const std::string id = record_damage(cli);
  const ChildResult result = cli.run({"critical-path", id});
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  CHECK(result.out.find('\x1b') == std::string::npos);
  const json path = cli.run_json({"critical-path", id, "--format", "json"});
  std::int64_t total = 0;
  for (const json& segment : path["segments"]) {
    CHECK(segment["time_ns"] >= 0);
    total += segment["time_ns"].get<std::int64_t>();
  }
  CHECK(path["total_ns"] == total);
}
