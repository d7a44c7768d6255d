// `codewake retain`: what goes, what stays, and what is said of it.
#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "age.hpp"
#include "command_line.hpp"

using codewake::cli::parse_age;
using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::is_one_complaint;
using codewake::testing::lines_of;
using nlohmann::json;

namespace {

/// A command line whose database has an event of each of these ages.
class AgedCommandLine : public CommandLine {
 public:
  explicit AgedCommandLine(const std::vector<std::string>& ages) {
    configure("store: {adapter: \"code_wake_sqlite_store,SqliteStore\", config: \"" + dsn("aged.sqlite") +
              "\"}\n");
    for (const std::string& age : ages) REQUIRE(run({"log", "age=" + age, "--when", age}).exit_code == 0);
  }

  std::vector<std::string> ages_left() const {
    std::vector<std::string> ages;
    for (const json& event : run_json({"events", "--format", "json"})) {
      ages.push_back(event["data"][0]["value"].get<std::string>());
    }
    return ages;
  }
};

}  // namespace

TEST_CASE("An age is a number with its unit, up to a hundred years") {
  using namespace std::chrono_literals;
  CHECK(parse_age("1m") == 1min);
  CHECK(parse_age("90m") == 90min);
  CHECK(parse_age("36h") == 36h);
  CHECK(parse_age("90d") == std::chrono::days(90));
  CHECK(parse_age("2w") == std::chrono::weeks(2));
  CHECK(parse_age("36524d") == std::chrono::days(36'524));
  for (const char* text : {"", "d", "90", "0d", "-1d", "+1d", " 1d", "1d ", "1 d", "90s", "90D", "90days",
                           "1.5d", "1d12h", "36525d", "99999999999999999999d", "9223372036854775807w"}) {
    CAPTURE(text);
    CHECK(parse_age(text) == std::nullopt);
  }
}

TEST_CASE("retain removes what is older and says how much that was") {
  const AgedCommandLine cli({"100d", "91d", "89d", "1h"});
  const ChildResult result = cli.run({"retain", "--older-than", "90d"});
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  const std::vector<std::string> lines = lines_of(result.out);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].starts_with("STATE    EVENTS  TRACE EVENTS  STACK TRACES  PROCESSES  OLDER THAN "));
  CHECK(lines[1].starts_with("removed       2             0             0          0  20"));
  CHECK(cli.ages_left() == std::vector<std::string>{"1h", "89d"});
}

TEST_CASE("retain says the same to machines") {
  const AgedCommandLine cli({"100d", "1h"});
  const json result = cli.run_json({"retain", "--older-than", "12w", "--format", "json"});
  REQUIRE(result.size() == 1);
  CHECK(result[0]["state"] == "removed");
  CHECK(result[0]["events"] == 1);
  CHECK(result[0]["trace_events"] == 0);
  CHECK(result[0]["stacktraces"] == 0);
  CHECK(result[0]["processes"] == 0);
  CHECK(result[0]["before"].get<std::string>().ends_with("Z"));
  CHECK(result[0]["seconds"].get<double>() > 0);
  const ChildResult csv = cli.run({"retain", "--older-than", "12w", "--format", "csv"});
  CHECK(csv.out.starts_with(
      "state,events,trace_events,stacktraces,processes,before,seconds\r\nremoved,0,0,0,0,20"));
}

TEST_CASE("retain --dry-run counts and removes nothing") {
  const AgedCommandLine cli({"100d", "91d", "1h"});
  const json counted = cli.run_json({"retain", "--older-than", "90d", "--dry-run", "--format", "json"});
  CHECK(counted[0]["state"] == "would remove");
  CHECK(counted[0]["events"] == 2);
  CHECK(cli.ages_left().size() == 3);
}

TEST_CASE("retain removes from a database of Code Wake for Python what it counted there") {
  const CommandLine cli;  // one of its events is of 1970
  const std::vector<std::string> everything = {"retain", "--older-than", "1m", "--format", "json"};
  std::vector<std::string> dry_run = everything;
  dry_run.push_back("--dry-run");
  const json counted = cli.run_json(dry_run);
  const json removed = cli.run_json(everything);
  for (const char* what : {"events", "stacktraces", "processes"}) CHECK(counted[0][what] == removed[0][what]);
  CHECK(removed[0]["events"].get<int>() > 0);
  CHECK(cli.run_json({"events", "--format", "json"}).size() ==
        static_cast<std::size_t>(43 - removed[0]["events"].get<int>()));
}

TEST_CASE("retain has nothing to do where nothing is old, or nothing is there") {
  for (const std::vector<std::string>& ages : {std::vector<std::string>{"1h"}, {}}) {
    const AgedCommandLine cli(ages);
    const json result = cli.run_json({"retain", "--older-than", "2h", "--format", "json"});
    CHECK(result[0]["state"] == "removed");
    CHECK(result[0]["events"] == 0);
    CHECK(cli.run({"retain", "--older-than", "2h", "--dry-run"}).exit_code == 0);
  }
}

TEST_CASE("An age that is none is used wrongly, and removes nothing") {
  const AgedCommandLine cli({"100d"});
  for (const char* age : {"90", "0d", "90s", "tomorrow", ""}) {
    CAPTURE(age);
    const ChildResult result = cli.run({"retain", "--older-than", age});
    CHECK(result.exit_code == 2);
    CHECK(result.out.empty());
    CHECK(is_one_complaint(result.err));
    CHECK(result.err.find("'" + std::string(age) + "' is no age; write a number") != std::string::npos);
  }
  const ChildResult without = cli.run({"retain"});
  CHECK(without.exit_code == 2);
  CHECK(without.err.find("--older-than") != std::string::npos);
  CHECK(cli.ages_left().size() == 1);
}

TEST_CASE("retain fails with one line where the store is away") {
  const CommandLine cli;
  const ChildResult result =
      cli.run({"retain", "--older-than", "1d", "--store", "sqlite:////nonexistent/wake.sqlite"});
  CHECK(result.exit_code == 1);
  CHECK(result.out.empty());
  CHECK(is_one_complaint(result.err));
}
