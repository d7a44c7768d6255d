// What people see on a terminal, and what goes elsewhere.
#include <doctest/doctest.h>

#include <algorithm>
#include <clocale>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "command_line.hpp"
#include "text.hpp"

using codewake::cli::display_width;
using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::lines_of;

namespace {

/// The text without its colours.
std::string without_colors(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      i = text.find('m', i);
      if (i == std::string::npos) break;
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace

TEST_CASE("On a terminal no line of a table is wider than the terminal") {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  const CommandLine cli;
  for (const std::uint16_t columns : {std::uint16_t{80}, std::uint16_t{120}, std::uint16_t{200}}) {
    CAPTURE(columns);
    const ChildResult result = cli.run_on_terminal({"events"}, columns);
    CHECK(result.exit_code == 0);
    std::size_t widest = 0;
    for (const std::string& line : lines_of(without_colors(result.out))) {
      widest = std::max(widest, display_width(line));
    }
    CHECK(widest == columns);  // event 17 has a value that no terminal is wide enough for
    CHECK(result.out.find("…") != std::string::npos);
  }
}

TEST_CASE("On a terminal a table is coloured, unless that is not wanted") {
  CommandLine cli;
  const auto is_coloured = [&](const std::vector<std::string>& arguments) {
    return cli.run_on_terminal(arguments, 80).out.find('\x1b') != std::string::npos;
  };
  CHECK(is_coloured({"apps"}));
  CHECK(is_coloured({"event", "20"}));
  CHECK_FALSE(is_coloured({"apps", "--color", "never"}));
  cli.set("NO_COLOR", "1");
  CHECK_FALSE(is_coloured({"apps"}));
  CHECK(is_coloured({"apps", "--color", "always"}));
  cli.set("NO_COLOR", std::nullopt);
  cli.set("TERM", "dumb");
  CHECK_FALSE(is_coloured({"apps"}));
}

TEST_CASE("Elsewhere there is no colour unless it is asked for, and nothing is cut") {
  const CommandLine cli;
  const std::string plain = cli.run({"events"}).out;
  CHECK(plain.find('\x1b') == std::string::npos);
  CHECK(plain.find("…") == std::string::npos);
  CHECK(plain.find(std::string(1000, 'x')) != std::string::npos);
  const std::string coloured = cli.run({"events", "--color", "always"}).out;
  CHECK(coloured.find("\x1b[1m") != std::string::npos);
  CHECK(without_colors(coloured) == plain);
}

TEST_CASE("Formats for machines are the same on a terminal") {
  const CommandLine cli;
  std::string on_terminal = cli.run_on_terminal({"apps", "--format", "ndjson", "--color", "always"}, 20).out;
  std::erase(on_terminal, '\r');  // a terminal adds these
  CHECK(on_terminal == cli.run({"apps", "--format", "ndjson"}).out);
}

TEST_CASE("Recorded control characters do not reach a terminal") {
  const CommandLine cli;
  REQUIRE(cli.run({"log", "evil=\x1b]0;title\x07\x1b[2J", "--app", "\x1b[31mred"}).exit_code == 0);
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"events", "--color", "never"},
                                                    {"event", "44", "--color", "never"},
                                                    {"processes", "--color", "never"},
                                                    {"apps", "--color", "never"}}) {
    const std::string out = cli.run_on_terminal(arguments, 200).out;
    CHECK(out.find('\x1b') == std::string::npos);
    CHECK(out.find('\x07') == std::string::npos);
    CHECK(out.find("\\x1b") != std::string::npos);
  }
}
