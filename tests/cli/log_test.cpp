// `codewake log`: what scripts record, read back.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "command_line.hpp"

using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::is_one_complaint;
using codewake::testing::lines_of;
using nlohmann::json;

TEST_CASE("log records an event and prints its number") {
  const CommandLine cli;
  const ChildResult result = cli.run({"log", "event=backup", "empty=", "formula=a=b", "ключ=☃", "--app",
                                      "nightly", "--env", "test", "--when", "2026-11-22T03:00:00.5"});
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  CHECK(result.out == "44\n");
  const json event = cli.run_json({"event", "44", "--format", "json"});
  CHECK(event["when"] == "2026-11-22T03:00:00.500000Z");
  CHECK(event["app"] == "nightly");
  CHECK(event["environment"] == "test");
  CHECK(event["stacktrace_id"].is_null());
  CHECK(event["data"] == json::parse(R"([{"key": "event", "value": "backup"}, {"key": "empty", "value": ""},
                                         {"key": "formula", "value": "a=b"}, {"key": "ключ", "value": "☃"}])"));
  CHECK(event["process"]["pid"].is_number_integer());
}

TEST_CASE("log without attributes records an event without data") {
  const CommandLine cli;
  CHECK(cli.run({"log"}).out == "44\n");
  CHECK(cli.run_json({"event", "44", "--format", "json"})["digest"].is_null());
}

TEST_CASE("log takes attributes as they are, whatever they look like") {
  const CommandLine cli;
  CHECK(cli.run({"log", "[k]=[v,w]", "{}=%%", "=", "k=a\xffz"}).out == "44\n");
  CHECK(cli.run_json({"event", "44", "--format", "json"})["data"] ==
        json::parse(
            R"([{"key": "[k]", "value": "[v,w]"}, {"key": "{}", "value": "%%"},
                        {"key": "", "value": ""}, {"key": "k", "value": "a\ufffdz"}])"));
  CHECK(cli.run({"log", "[k=v]"}).out == "45\n");
  CHECK(cli.run_json({"event", "45", "--format", "json"})["data"] ==
        json::parse(R"([{"key": "[k", "value": "v]"}])"));
}

TEST_CASE("An attribute without a value is used wrongly, and nothing is recorded") {
  const CommandLine cli;
  const ChildResult result = cli.run({"log", "event=order", "vip"});
  CHECK(result.exit_code == 2);
  CHECK(result.out.empty());
  CHECK(result.err == "codewake: log: 'vip' has no value; write KEY=VALUE (vip= for an empty value)\n");
  CHECK(cli.run_json({"events", "--format", "json"}).size() == 43);
}

TEST_CASE("An option that log does not know is not taken for an attribute") {
  const CommandLine cli;
  const ChildResult result = cli.run({"log", "event=order", "--ap=shop"});
  CHECK(result.exit_code == 2);
  CHECK(result.out.empty());
  CHECK(result.err == "codewake: log: '--ap=shop' is no option; a key that begins with - goes by --stdin\n");
}

TEST_CASE("log --stdin records one event a line, after the attributes that all of them have") {
  const CommandLine cli;
  const ChildResult result =
      cli.run({"log", "--stdin", "source=import"},
              "{\"event\": \"a\", \"n\": 1.5}\n\n  \n[[\"event\", \"b\"], [\"n\", null]]");
  CHECK(result.exit_code == 0);
  CHECK(result.out == "44\n45\n");
  const json events = cli.run_json({"events", "--where", "source=import", "--format", "json"});
  REQUIRE(events.size() == 2);
  CHECK(events[1]["data"] ==
        json::parse(R"([{"key": "source", "value": "import"}, {"key": "event", "value": "a"},
                                             {"key": "n", "value": "1.5"}])"));
  CHECK(events[0]["data"][2]["value"].is_null());
  CHECK(events[0]["process_id"] == events[1]["process_id"]);
}

TEST_CASE("A bad line is named by its number, the others are recorded, and the run has failed") {
  const CommandLine cli;
  const ChildResult result = cli.run({"log", "--stdin"}, "{\"n\": 1}\nnonsense\n{\"n\": [2]}\n{\"n\": 3}\n");
  CHECK(result.exit_code == 1);
  CHECK(result.out == "44\n45\n");
  CHECK(result.err ==
        "codewake: line 2 is not recorded: not JSON: it breaks at character 2\n"
        "codewake: line 3 is not recorded: the value of 'n' is a list or an object; write it as text\n");
  CHECK(cli.run_json({"events", "--where", "n=3", "--format", "json"}).size() == 1);
}

TEST_CASE("log --stdin takes any number of lines") {
  const CommandLine cli;
  std::string lines;
  for (int i = 0; i < 10'000; ++i) lines += "{\"n\": " + std::to_string(i) + "}\n";
  const ChildResult result = cli.run({"log", "--stdin", "batch=large"}, lines);
  CHECK(result.exit_code == 0);
  CHECK(lines_of(result.out).size() == 10'000);
  const ChildResult listed =
      cli.run({"events", "--where", "batch=large", "--limit", "0", "--format", "ndjson"});
  CHECK(lines_of(listed.out).size() == 10'000);
}

TEST_CASE("log says where it stopped when the store fails") {
  CommandLine cli;
  cli.configure(
      "store: {adapter: \"code_wake_sqlite_store,SqliteStore\", config: "
      "\"sqlite:////nonexistent/wake.sqlite\"}\n");
  const ChildResult result = cli.run({"log", "event=order"});
  CHECK(result.exit_code == 1);
  CHECK(result.out.empty());
  CHECK(is_one_complaint(result.err));
}

TEST_CASE("log makes the database that it is told to record into") {
  const CommandLine cli;
  CHECK(cli.run({"log", "event=first", "--store", cli.dsn("new.sqlite")}).out == "1\n");
  CHECK(cli.run_json({"events", "--store", cli.dsn("new.sqlite"), "--format", "json"}).size() == 1);
}
