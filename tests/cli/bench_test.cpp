// `codewake bench`: that it measures, not what.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/benchmark.hpp"
#include "bench/statistics.hpp"
#include "command_line.hpp"
#include "support/skip.hpp"

using codewake::cli::bench::Goal;
using codewake::cli::bench::is_met;
using codewake::cli::bench::Samples;
using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::is_one_complaint;
using codewake::testing::lines_of;
using nlohmann::json;

namespace {

/// The records of what has `filter` in its name. The complaint about a build that is no release is as it may.
json measure(const CommandLine& cli, const std::string& filter) {
  const ChildResult result = cli.run({"bench", "--quick", "--rounds", "1", "--filter", filter, "--format",
                                      "json", "--folder", cli.folder().path().string()});
  INFO(result.err);
  CHECK(result.exit_code == 0);
  return json::parse(result.out);
}

void check_measured(const json& row) {
  CAPTURE(row.dump());
  for (const std::string key : {"ours", "ours_low", "ours_high", "peer", "ratio"}) {
    CAPTURE(key);
    REQUIRE(row[key].is_number());
    CHECK(row[key] > 0);
  }
  CHECK(row["note"].is_null());
}

bool is_skipped(const json& row) {
  return row["note"].is_string() && row["note"].get<std::string>().starts_with("skipped: ");
}

bool has_leftovers(const std::filesystem::path& folder) {
  const std::filesystem::directory_iterator entries(folder);
  return std::any_of(begin(entries), end(entries), [](const std::filesystem::directory_entry& entry) {
    return entry.path().filename().string().starts_with("codewake-bench-");
  });
}

}  // namespace

TEST_CASE("bench measures log() beside its peers, and says on what machine") {
  const CommandLine cli;
  const json rows = measure(cli, "log.*");
  REQUIRE(rows.size() == 6);
  CHECK(rows[0]["name"] == "log.median");
  CHECK(rows[0]["goal"] == "<= 1x");
  CHECK(rows[3]["name"] == "log.spdlog.median");
  CHECK(rows[3]["goal"] == "<= 0.12x");
  for (const std::string key : {"cpu", "kernel", "build", "version", "date"}) {
    CAPTURE(key);
    CHECK_FALSE(rows[0][key].get<std::string>().empty());
  }
  CHECK(rows[0]["rounds"] == 1);
  CHECK(rows[0]["cores"] > 0);
  CHECK_FALSE(has_leftovers(cli.folder().path()));
  for (const json& row : rows) {
    if (!is_skipped(row)) check_measured(row);
  }
  if (is_skipped(rows[0])) CODEWAKE_SKIP("built without quill");
  if (is_skipped(rows[3])) CODEWAKE_SKIP("built without spdlog");
}

TEST_CASE("bench measures the ring, bursts, commits, look-ups and memory") {
  const CommandLine cli;
  for (const json& row : measure(cli, "ring.shared")) check_measured(row);
  for (const json& row : measure(cli, "burst.*2threads")) {
    if (!is_skipped(row)) check_measured(row);
  }
  for (const char* query : {"sqlite.lookup", "sqlite.page", "sqlite.exceptions"}) {
    for (const json& row : measure(cli, query)) {
      CHECK(row["ours"] > 0);
      CHECK(row["peer"].is_null());
    }
  }
  for (const char* stacks : {"capture", "throw", "symbolize"}) {
    for (const json& row : measure(cli, stacks)) {
      CAPTURE(row.dump());
      if (!is_skipped(row)) CHECK(row["ours"].is_number());
    }
  }
  for (const json& row : measure(cli, "raceway.sink")) {
    CAPTURE(row.dump());
    if (is_skipped(row)) continue;
    CHECK(row["ours"] > 0);
    CHECK(row["note"].is_null());
  }
  const json lost = measure(cli, "sustained.lost");
  if (!is_skipped(lost.at(0))) CHECK(lost.at(0)["ours"] == 0);
}

TEST_CASE("bench skips what its plugin is missing for, and says so") {
  CommandLine cli;
  cli.set("CODE_WAKE_PLUGIN_PATH", cli.folder().path().string());
  const json rows = measure(cli, "ring.*");
  REQUIRE(rows.size() == 2);
  for (const json& row : rows) {
    if (!is_skipped(row)) CODEWAKE_SKIP("the adapter is installed on this machine");
    CHECK(row["note"].get<std::string>().find("code_wake_sqlite_store") != std::string::npos);
    CHECK(row["ours"].is_null());
    CHECK(row["met"].is_null());
  }
}

TEST_CASE("bench --list shows what there is, with goals") {
  const CommandLine cli;
  const ChildResult table = cli.run({"bench", "--list"});
  CHECK(table.exit_code == 0);
  CHECK(table.err.empty());
  CHECK(table.out.starts_with("NAME "));
  CHECK(lines_of(table.out).size() == 50);
  const json rows = cli.run_json({"bench", "--list", "--filter", "sqlite.commit*", "--format", "json"});
  REQUIRE(rows.size() == 2);
  CHECK(rows[0]["name"] == "sqlite.commit.1000");
  CHECK(rows[0]["goal"] == ">= 2x");
}

TEST_CASE("bench that is used wrongly says what to do instead") {
  const CommandLine cli;
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"bench", "--filter", "nonsense"}, {"bench", "--quick", "--large"}, {"bench", "--rounds", "0"}}) {
    const ChildResult result = cli.run(arguments);
    INFO(result.err);
    CHECK(result.exit_code == 2);
    CHECK(result.out.empty());
    CHECK(is_one_complaint(result.err));
  }
  CHECK(cli.run({"bench", "--filter", "nonsense"}).err.find("--list") != std::string::npos);
}

TEST_CASE("bench names a folder that it cannot use") {
  const CommandLine cli;
  const ChildResult result =
      cli.run({"bench", "--quick", "--filter", "log", "--folder", "/nonexistent/folder"});
  CHECK(result.exit_code == 1);
  CHECK(result.out.empty());
  CHECK(is_one_complaint(result.err));
  CHECK(result.err.find("/nonexistent/folder") != std::string::npos);
}

TEST_CASE("A goal is met by the median, and never where something went wrong") {
  const Goal at_least{.kind = Goal::Kind::ratio_at_least, .bound = 2};
  CHECK(is_met(at_least, Samples{.ours = {6, 1, 4}, .peer = {2, 2, 2}}) == true);
  CHECK(is_met(at_least, Samples{.ours = {6, 1, 3}, .peer = {2, 2, 2}}) == false);
  const Goal at_most{.kind = Goal::Kind::ratio_at_most, .bound = 0.5};
  CHECK(is_met(at_most, Samples{.ours = {1}, .peer = {2}}) == true);
  CHECK(is_met(at_most, Samples{.ours = {1.1}, .peer = {2}}) == false);
  CHECK(is_met(at_most, Samples{.ours = {1}, .peer = {2}, .note = "", .counts_as_met = false}) == false);
  const Goal value{.kind = Goal::Kind::value_at_most, .bound = 20};
  CHECK(is_met(value, Samples{.ours = {20}}) == true);
  CHECK(is_met(value, Samples{.ours = {20.1}}) == false);
  const Goal rate{.kind = Goal::Kind::value_at_least, .bound = 20};
  CHECK(is_met(rate, Samples{.ours = {20}}) == true);
  CHECK(is_met(rate, Samples{.ours = {19.9, 30, 19.9}}) == false);
  CHECK(to_string(rate, "events/s") == ">= 20 events/s");
  CHECK(is_met(value, Samples{}) == std::nullopt);
  CHECK(is_met({}, Samples{.ours = {1}}) == std::nullopt);
}

TEST_CASE("Medians, quantiles and ratios") {
  using namespace codewake::cli::bench;
  CHECK(median_of({3, 1, 2}) == 2);
  CHECK(median_of({4, 1, 2, 3}) == 2.5);
  std::vector<double> values = {5, 4, 3, 2, 1};
  CHECK(quantile_of(values, 0) == 1);
  CHECK(quantile_of(values, 1) == 5);
  CHECK(quantile_of(values, 0.75) == 4);
  CHECK(smallest_step_of({30, 10, 10, 11, 15}) == 4);
  CHECK(smallest_step_of({10, 10}) == 0);
  std::vector<double> readings = {10, 20, 20, 20, 20, 30, 30, 30};
  CHECK(quantile_of_steps(readings, 0.5, 10) == 22.5);
  CHECK(spread_of({7, 3, 5}).low == 3);
  CHECK(spread_of({7, 3, 5}).high == 7);
  CHECK(ratios_of({4, 9}, {2, 3}) == std::vector<double>{2, 3});
  CHECK(ratios_of({4}, {0}).empty());
}
