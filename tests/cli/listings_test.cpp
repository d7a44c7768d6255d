// `codewake exceptions`, `processes` and `apps`.
#include <doctest/doctest.h>

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "command_line.hpp"

using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::lines_of;
using nlohmann::json;

TEST_CASE("exceptions groups events by their stack, most recent first") {
  const CommandLine cli;
  const json groups = cli.run_json({"exceptions", "--format", "json"});
  REQUIRE(groups.size() == 11);
  CHECK(groups[0]["stacktrace_id"] == 11);
  CHECK(groups[0]["last_event_id"] == 43);
  CHECK(groups[0]["type"].is_null());
  std::size_t events = 0;
  for (const json& group : groups) {
    events += group["count"].get<std::size_t>();
    CHECK(group["first"] <= group["last"]);
    if (group["stacktrace_id"] == 2) {
      CHECK(group["count"] == 2);
      CHECK(group["last_event_id"] == 22);
      CHECK(group["top_frame"]["filename"] == "/srv/shop/orders.py");
      CHECK(group["top_frame"]["lineno"] == 31);
    }
    if (group["stacktrace_id"] == 3) CHECK(group["top_frame"].is_null());
  }
  CHECK(events == cli.run_json({"events", "--stacks", "--format", "json"}).size());
}

TEST_CASE("exceptions filters what it counts") {
  const CommandLine cli;
  CHECK(cli.run_json({"exceptions", "--app", "app-q", "--format", "json"}).size() == 3);
  CHECK(cli.run_json({"exceptions", "--env", "none", "--format", "json"}).empty());
  CHECK(cli.run_json({"exceptions", "--limit", "2", "--format", "json"}).size() == 2);
  CHECK(cli.run_json({"exceptions", "--since", "2100-01-01", "--format", "json"}).empty());
  CHECK(cli.run_json({"exceptions", "--until", "1999-01-01", "--format", "json"}).empty());
}

TEST_CASE("exceptions as a table shows where each comes from") {
  const CommandLine cli;
  const std::vector<std::string> lines = lines_of(cli.run({"exceptions"}).out);
  REQUIRE(lines.size() == 12);
  CHECK(lines[0].starts_with("COUNT  FIRST "));
  CHECK(lines[1].starts_with("    1  2026-11-22T01:34:11."));
  CHECK(lines[1].find("/srv/shop/orders.py:") != std::string::npos);
}

TEST_CASE("processes lists runs, of one app and of a time where that is asked for") {
  const CommandLine cli;
  const json processes = cli.run_json({"processes", "--format", "json"});
  REQUIRE(processes.size() == 7);
  CHECK(processes[0] == json::parse(R"({"id": 1, "run_ts": "2026-11-22T01:34:06.456754Z", "app": "app-a",
      "app_vsn": "1.0.0", "environment": "production", "pid": 20444, "username": "shop", "fqdn": "localhost",
      "exe_path": "/usr/bin/app-a"})"));
  CHECK(processes[3]["environment"].is_null());
  CHECK(cli.run_json({"processes", "--app", "app-a", "--format", "json"}).size() == 3);
  CHECK(cli.run_json({"processes", "--app", "none", "--format", "json"}).empty());
  CHECK(cli.run_json({"processes", "--since", "2026-11-22T01:34:10", "--format", "json"}).size() == 2);
  CHECK(cli.run_json({"processes", "--until", "2026-11-22T01:34:10", "--format", "json"}).size() == 5);
}

TEST_CASE("processes as text is aligned") {
  const CommandLine cli;
  const std::vector<std::string> lines = lines_of(cli.run({"processes"}).out);
  REQUIRE(lines.size() == 8);
  CHECK(
      lines[1] ==
      " 1  2026-11-22T01:34:06.456754Z  app-a  1.0.0    production  20444  shop  localhost  /usr/bin/app-a");
}

TEST_CASE("apps lists each app with its versions and the number of its runs") {
  const CommandLine cli;
  CHECK(cli.run({"apps"}).out ==
        "ID  NAME   VERSIONS      PROCESSES\n"
        " 1  app-a  1.0.0, 2.0.0          3\n"
        " 2  app-b                        1\n"
        " 3  app-c                        1\n"
        " 4  app-é                        1\n"
        " 5  app-q  9.9                   1\n");
  CHECK(cli.run_json({"apps", "--format", "json"})[0] ==
        json::parse(R"({"id": 1, "name": "app-a", "versions": ["1.0.0", "2.0.0"], "processes": 3})"));
  CHECK(lines_of(cli.run({"apps", "--format", "csv"}).out)[1] ==
        "1,app-a,\"[\"\"1.0.0\"\",\"\"2.0.0\"\"]\",3");
}
