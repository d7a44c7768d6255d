// Help, versions, and being used wrongly.
#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "codewake/version.hpp"
#include "command_line.hpp"

using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::is_one_complaint;

namespace {

const std::vector<std::string> kCommands = {
    "log",    "events",    "event", "exceptions", "processes", "apps",  "config",        "plugins",
    "retain", "symbolize", "bench", "completion", "traces",    "trace", "critical-path", "services"};

void check_used_wrongly(const std::vector<std::string>& arguments, const std::string& what) {
  const CommandLine cli;
  const ChildResult result = cli.run(arguments);
  INFO(result.err);
  CHECK(result.exit_code == 2);
  CHECK(result.out.empty());
  CHECK(is_one_complaint(result.err));
  CHECK(result.err.find(what) != std::string::npos);
}

}  // namespace

TEST_CASE("The help of the program lists every command") {
  const CommandLine cli;
  const ChildResult result = cli.run({"--help"});
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  for (const std::string& command : kCommands)
    CHECK(result.out.find("\n  " + command + " ") != std::string::npos);
  CHECK(result.out.find("\nExamples:\n  codewake ") != std::string::npos);
}

TEST_CASE("The help of every command has examples, and needs no configuration") {
  CommandLine cli;
  cli.set("CODE_WAKE_CONFIG", "/nonexistent");
  for (const std::string& command : kCommands) {
    CAPTURE(command);
    const ChildResult result = cli.run({command, "--help"});
    CHECK(result.exit_code == 0);
    CHECK(result.err.empty());
    CHECK(result.out.find("Usage: codewake " + command) != std::string::npos);
    const std::size_t examples = result.out.find("\nExample");
    REQUIRE(examples != std::string::npos);
    CHECK(result.out.find("codewake ", examples) != std::string::npos);
  }
}

TEST_CASE("--version prints the library's version") {
  const CommandLine cli;
  CHECK(cli.run({"--version"}).out == std::string("codewake ") + CODEWAKE_VERSION + "\n");
}

TEST_CASE("Being used wrongly is exit code 2 and one line that says what and how") {
  check_used_wrongly({}, "'codewake --help'");
  check_used_wrongly({"nonsense"}, "'codewake --help'");
  check_used_wrongly({"events", "--nonsense"}, "'codewake events --help'");
  check_used_wrongly({"events", "nonsense"}, "nonsense");
  check_used_wrongly({"events", "--where", "key"}, "--where: 'key' has no value");
  check_used_wrongly({"events", "--limit", "many"}, "--limit");
  check_used_wrongly({"events", "--limit", "-1"}, "--limit");
  check_used_wrongly({"events", "--format", "xml"}, "--format");
  check_used_wrongly({"events", "--color", "pink"}, "--color");
  check_used_wrongly({"events", "--since", "yesterday-ish"}, "'yesterday-ish' is no time; write 2026-11-22");
  check_used_wrongly({"event"}, "id");
  check_used_wrongly({"event", "first"}, "first");
  check_used_wrongly({"exceptions", "--limit", "0"}, "--limit");
  check_used_wrongly({"completion", "tcsh"}, "tcsh");
  check_used_wrongly({"events", "--no\nsense\x1b[31m"}, "--no sense\\x1b[31m");
}
