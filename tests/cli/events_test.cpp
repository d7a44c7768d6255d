// `codewake events` and `codewake event`, on the database that Code Wake for Python wrote.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "command_line.hpp"
#include "support/other_user.hpp"
#include "support/skip.hpp"

using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::is_one_complaint;
using codewake::testing::lines_of;
using nlohmann::json;

TEST_CASE("events shows every event of the reference database, newest first") {
  const CommandLine cli;
  const ChildResult result = cli.run({"events"});
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  const std::vector<std::string> lines = lines_of(result.out);
  REQUIRE(lines.size() == 1 + 43);
  CHECK(lines[0] == "ID  TIME                         APP    ENV         STACK  DATA");
  CHECK(lines[1] == "43  2026-11-22T01:34:11.824835Z  app-q  production  stack  q=st1");
  CHECK(lines[43] == "31  1970-01-01T00:02:03.456000Z  app-a  production         when=store");
}

TEST_CASE("events as json is one array of full records") {
  const CommandLine cli;
  const json events = cli.run_json({"events", "--format", "json"});
  REQUIRE(events.size() == 43);
  const json& newest = events[0];
  CHECK(newest["id"] == 43);
  CHECK(newest["app"] == "app-q");
  CHECK(newest["app_vsn"] == "9.9");
  CHECK(newest["environment"] == "production");
  CHECK(newest["process_id"] == 7);
  CHECK(newest["stacktrace_id"] == 11);
  CHECK(newest["data"] == json::parse(R"([{"key": "q", "value": "st1"}])"));
  CHECK(newest["digest"].get<std::string>().size() == 64);
  REQUIRE(newest["frames"].size() == 1);
  CHECK(newest["frames"][0]["lineno"].is_number_unsigned());
  for (const json& event : events) {
    CHECK(event["frames"].is_null() == event["stacktrace_id"].is_null());
  }
}

TEST_CASE("Repeated keys, empty keys and international text come out of json as they went in") {
  const CommandLine cli;
  CHECK(
      cli.run_json({"event", "7", "--format", "json"})["data"] ==
      json::parse(R"([{"key": "k", "value": "1"}, {"key": "k", "value": "2"}, {"key": "k", "value": "1"}])"));
  CHECK(cli.run_json({"event", "10", "--format", "json"})["data"] ==
        json::parse(R"([{"key": "", "value": "v"}])"));
  CHECK(cli.run_json({"event", "8", "--format", "json"})["data"][4]["value"] == "\x01\t\r\n\x7f");
}

TEST_CASE("events as ndjson is the same records, one a line") {
  const CommandLine cli;
  const json expected = cli.run_json({"events", "--format", "json"});
  const std::vector<std::string> lines = lines_of(cli.run({"events", "--format", "ndjson"}).out);
  REQUIRE(lines.size() == 43);
  for (std::size_t i = 0; i < lines.size(); ++i) CHECK(json::parse(lines[i]) == expected[i]);
}

TEST_CASE("events as csv has a header, quotes what needs it, and ends lines as RFC 4180 says") {
  const CommandLine cli;
  const ChildResult result = cli.run({"events", "--format", "csv", "--where", "event=b"});
  CHECK(result.exit_code == 0);
  const std::string header =
      "id,when,process_id,app,app_vsn,environment,digest,data,stacktrace_id,frames,trace_id,span_id\r\n";
  REQUIRE(result.out.starts_with(header + "34,2026-11-22T01:34:06.727302Z,2,app-b,1.0.0,production,"));
  CHECK(result.out.ends_with(",\"[{\"\"key\"\":\"\"event\"\",\"\"value\"\":\"\"b\"\"}]\",,,,\r\n"));
  CHECK(cli.run({"events", "--format", "csv", "--where", "event=none"}).out == header);
}

TEST_CASE("Without a match the formats are still whole") {
  const CommandLine cli;
  CHECK(cli.run({"events", "--app", "none", "--format", "json"}).out == "[]\n");
  CHECK(cli.run({"events", "--app", "none", "--format", "ndjson"}).out.empty());
  CHECK(cli.run({"events", "--app", "none"}).out == "ID  TIME  APP  ENV  STACK  DATA\n");
}

TEST_CASE("Every filter of events filters, and they combine") {
  const CommandLine cli;
  const auto ids = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"events", "--format", "json"});
    std::vector<int> result;
    for (const json& event : cli.run_json(arguments)) result.push_back(event["id"].get<int>());
    return result;
  };
  CHECK(ids({"--where", "event=order", "--where", "customer=c-1"}) == std::vector{6, 5, 4, 3});
  CHECK(ids({"--where", "a=b", "--where", "c=x"}).empty());
  CHECK(ids({"--where", "a=b=c"}).empty());
  CHECK(ids({"--app", "app-q"}) == std::vector{43, 42, 41, 40, 39});
  CHECK(ids({"--app", "app-q", "--stacks"}) == std::vector{43, 42, 41});
  CHECK(ids({"--app", "app-q", "--no-stacks"}) == std::vector{40, 39});
  CHECK(ids({"--env", "staging"}) == std::vector{35});
  CHECK(ids({"--limit", "2"}) == std::vector{43, 42});
  CHECK(ids({"--process", "2"}) == std::vector{34});
  CHECK(ids({"--until", "@1795311246.4702"}) == std::vector{31});
  CHECK(ids({"--since", "2026-11-22T01:34:11.8"}) == std::vector{43, 42, 41, 40, 39});
}

TEST_CASE("A list that was cut goes on at its cursor, without loss and without repetition") {
  const CommandLine cli;
  const ChildResult first = cli.run_on_terminal({"events", "--limit", "40"}, 200);
  REQUIRE(first.err.starts_with("more: --cursor "));
  std::string cursor = first.err.substr(std::string("more: --cursor ").size());
  cursor.pop_back();
  const json rest = cli.run_json({"events", "--limit", "40", "--format", "json", "--cursor", cursor});
  REQUIRE(rest.size() == 3);
  CHECK(rest[2]["id"] == 31);
}

TEST_CASE("The hint that there is more is for people only") {
  const CommandLine cli;
  CHECK(cli.run({"events", "--limit", "1"}).err.empty());
  CHECK(cli.run_on_terminal({"events", "--limit", "1", "--format", "json"}, 80).err.empty());
  CHECK(cli.run_on_terminal({"events", "--limit", "43"}, 80).err.empty());
}

TEST_CASE("A cursor that is none is refused in one line") {
  const CommandLine cli;
  const ChildResult result = cli.run({"events", "--cursor", "nonsense"});
  CHECK(result.exit_code == 1);
  CHECK(result.out.empty());
  CHECK(is_one_complaint(result.err));
}

TEST_CASE("A reader that has seen enough ends the program quietly") {
  CommandLine cli;
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += "{\"event\": \"filler\", \"text\": \"a line that fills pipes\"}\n";
  REQUIRE(cli.run({"log", "--stdin"}, many).exit_code == 0);
  const ChildResult result =
      cli.run_shell("{ codewake events --limit 0; echo \"exit $?\" >&2; } | head -n 1");
  CHECK(lines_of(result.out).size() == 1);
  CHECK(result.err == "exit 0\n");
}

TEST_CASE("An output that cannot be written is a failure, in one line") {
  const CommandLine cli;
  const ChildResult result = cli.run_shell("codewake events > /dev/full");
  CHECK(result.exit_code == 1);
  CHECK(is_one_complaint(result.err));
  CHECK(result.err.find("No space left") != std::string::npos);
}

TEST_CASE("event shows everything about one event") {
  const CommandLine cli;
  const ChildResult result = cli.run({"event", "21"});
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  CHECK(
      result.out.starts_with("Event 21\n"
                             "  when         2026-11-22T01:34:06.620228Z\n"
                             "  process      1, started 2026-11-22T01:34:06.456754Z\n"
                             "  app          app-a\n"
                             "  version      1.0.0\n"
                             "  environment  production\n"
                             "  host         localhost\n"
                             "  user         shop\n"
                             "  pid          20444\n"
                             "  executable   /usr/bin/app-a\n"
                             "  digest       "));
  CHECK(result.out.find("\nData\n"
                        "  fault  d5\n"
                        "\nStack trace 2, innermost first\n"
                        "    0  /srv/shop/orders.py:31\n"
                        "         raise ValueError(") != std::string::npos);
  CHECK(result.out.find("\n    6  /srv/shop/orders.py:36\n         deep(n)\n") != std::string::npos);
}

TEST_CASE("event tells no data from an empty list, and NULL from text") {
  const CommandLine cli;
  CHECK(cli.run({"event", "1"}).out.ends_with("\nData\n  none\n"));
  REQUIRE(cli.run({"log", "--stdin"}, "{}\n{\"n\": null, \"t\": \"NULL\", \"e\": \"\"}\n").out == "44\n45\n");
  CHECK(cli.run({"event", "44"}).out.ends_with("\nData\n"));
  CHECK(cli.run({"event", "45"}).out.ends_with("\nData\n  n  NULL\n  t  \"NULL\"\n  e  \"\"\n"));
}

TEST_CASE("event puts an exception and its causes before the data") {
  const CommandLine cli;
  const std::string line =
      R"({"doing": "pay", "exception.type": "shop::Error", "exception.message": "no\nmoney",)"
      R"( "exception.cause.1.type": "std::out_of_range", "exception.cause.1.message": "at"})";
  REQUIRE(cli.run({"log", "--stdin"}, line).exit_code == 0);
  CHECK(cli.run({"event", "44"})
            .out.find("\nException\n"
                      "  shop::Error: no\\nmoney\n"
                      "  caused by std::out_of_range: at\n"
                      "\nData\n"
                      "  doing  ") != std::string::npos);
}

TEST_CASE("event writes the same event in every format") {
  const CommandLine cli;
  const json event = cli.run_json({"event", "20", "--format", "json"});
  CHECK(event["process"]["fqdn"] == "localhost");
  CHECK(event["process"]["run_ts"] == "2026-11-22T01:34:06.456754Z");
  json without_process = event;
  without_process.erase("process");
  CHECK(json::parse(cli.run({"event", "20", "--format", "ndjson"}).out) == without_process);
  CHECK(lines_of(cli.run({"event", "20", "--format", "csv"}).out)[1].starts_with(
      "20,2026-11-22T01:34:06.609880Z,1,"));
}

TEST_CASE("An event that is not there is a failure, in one line") {
  const CommandLine cli;
  const ChildResult result = cli.run({"event", "4711"});
  CHECK(result.exit_code == 1);
  CHECK(result.out.empty());
  CHECK(result.err == "codewake: there is no event 4711; 'codewake events' lists those there are\n");
}

TEST_CASE("events of root shows another user's database as it is, and log does not write there") {
  if (const std::string reason = codewake::testing::why_no_other_user(); !reason.empty())
    CODEWAKE_SKIP(reason);
  const CommandLine cli;
  const std::string file = (cli.folder() / "wake.sqlite").string();
  chmod(cli.folder().path().c_str(), 01777);
  REQUIRE(chown(file.c_str(), codewake::testing::kOtherUser, codewake::testing::kOtherUser) == 0);
  const std::string before = codewake::testing::read_file(file);
  CHECK(lines_of(cli.run({"events", "--store", cli.dsn()}).out).size() == 1 + 43);
  const ChildResult written = cli.run({"log", "event=order", "--store", cli.dsn()});
  CHECK(written.exit_code == 1);
  CHECK(is_one_complaint(written.err));
  CHECK(written.err.find("belongs to another user (user 65534") != std::string::npos);
  CHECK(codewake::testing::read_file(file) == before);
}
