// What was recorded, on a terminal, in a pipe, and in a spreadsheet.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "command_line.hpp"
#include "listing.hpp"

using codewake::cli::csv_field;
using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using nlohmann::json;

namespace {

/// Clears a terminal, sets its title, and reorders what follows.
constexpr std::string_view kHostile = "a\x1b[2J\x1b]0;t\x07\u009b31m\u202eb\U000e0041";

/// Whether a terminal would act on something in it, but for the ends of lines.
bool acts_on_terminal(std::string_view text) {
  for (const char* const sequence : {"\u009b", "\u202e", "\U000e0041"}) {
    if (text.find(sequence) != std::string_view::npos) return true;
  }
  return std::ranges::any_of(text, [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r') || c == 0x7F;
  });
}

}  // namespace

TEST_CASE("Whatever was recorded, a terminal does not act on it, in any format") {
  const CommandLine cli;
  const std::string pair = "event=" + std::string(kHostile);
  REQUIRE(cli.run({"log", pair}).exit_code == 0);
  for (const char* format : {"table", "json", "ndjson", "csv"}) {
    CAPTURE(format);
    const ChildResult listed =
        cli.run_on_terminal({"events", "--limit", "1", "--format", format, "--color", "never"}, 200);
    CHECK(listed.exit_code == 0);
    CHECK(listed.out.find("202e") != std::string::npos);
    CHECK_FALSE(acts_on_terminal(listed.out));
  }
  const json id = cli.run_json({"events", "--limit", "1", "--format", "json"})[0]["id"];
  for (const char* format : {"table", "json"}) {
    const ChildResult shown =
        cli.run_on_terminal({"event", id.dump(), "--format", format, "--color", "never"}, 200);
    CHECK(shown.out.find("202e") != std::string::npos);
    CHECK_FALSE(acts_on_terminal(shown.out));
  }
}

TEST_CASE("JSON on a terminal is the same JSON, and a pipe gets what was recorded") {
  const CommandLine cli;
  REQUIRE(cli.run({"log", "event=" + std::string(kHostile)}).exit_code == 0);
  const std::vector<std::string> words = {"events", "--limit", "1", "--format", "json"};
  const std::string value = cli.run_json(words)[0]["data"][0]["value"];
  CHECK(value == kHostile);
  CHECK(json::parse(cli.run_on_terminal(words, 200).out)[0]["data"][0]["value"] == kHostile);
  const std::string csv = cli.run({"events", "--limit", "1", "--format", "csv"}).out;
  CHECK(csv.find("\u202eb\U000e0041") != std::string::npos);
}

TEST_CASE("--csv-safe keeps a spreadsheet from taking text for a formula") {
  CHECK(csv_field("=1+1") == "=1+1");
  for (const std::string text : {"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"}) {
    CAPTURE(text);
    CHECK(csv_field(text, {.is_safe = true}) == "\"'" + text + "\"");
  }
  CHECK(csv_field("a;=1", {.is_safe = true}) == "\"a;=1\"");
  CHECK(csv_field("=\"x\"", {.is_safe = true}) == "\"'=\"\"x\"\"\"");
  CHECK(csv_field("", {.is_safe = true}) == "\"\"");
  CHECK(csv_field(-5, {.is_safe = true}) == "-5");
  CHECK(csv_field(nullptr, {.is_safe = true}).empty());
  CHECK(csv_field("\x1b\n", {.is_visible = true}) == "\\x1b\\n");
  CHECK(csv_field("\t=1", {.is_visible = true, .is_safe = true}) == "\"\\t=1\"");

  CommandLine cli;
  cli.set("CODE_WAKE_APP_NAME", "=cmd|' /C calc'!A0");
  REQUIRE(cli.run({"log", "event=x"}).exit_code == 0);
  const std::string csv = cli.run({"apps", "--format", "csv", "--csv-safe"}).out;
  CHECK(csv.find("\"'=cmd|' /C calc'!A0\"") != std::string::npos);
  CHECK(cli.run({"apps", "--format", "csv"}).out.find("'=cmd") == std::string::npos);
}
