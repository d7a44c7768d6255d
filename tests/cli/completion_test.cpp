// The completion scripts: made from the commands, and understood by the shells.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "command_line.hpp"
#include "support/skip.hpp"

using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::lines_of;

namespace {

const std::vector<std::string> kCommands = {"log",       "events",    "event",  "exceptions",
                                            "processes", "apps",      "config", "plugins",
                                            "retain",    "symbolize", "bench",  "completion"};

bool has_shell(const CommandLine& cli, const std::string& shell) {
  return cli.run_shell("command -v " + shell).exit_code == 0;
}

/// What bash offers for the last of these words.
std::vector<std::string> bash_offers(const CommandLine& cli, const std::string& words, int last) {
  const ChildResult result = cli.run_shell("bash -c 'source <(codewake completion bash); COMP_WORDS=(" +
                                           words + "); COMP_CWORD=" + std::to_string(last) +
                                           "; _codewake; printf \"%s\\n\" \"${COMPREPLY[@]}\"'");
  CHECK(result.err.empty());
  return lines_of(result.out);
}

}  // namespace

TEST_CASE("Each completion script names every command and the options with their choices") {
  const CommandLine cli;
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    CAPTURE(shell);
    const ChildResult result = cli.run({"completion", shell});
    CHECK(result.exit_code == 0);
    CHECK(result.err.empty());
    for (const std::string& command : kCommands) CHECK(result.out.find(command) != std::string::npos);
    for (const char* text :
         {"where", "no-stacks", "table json ndjson csv", "auto always never", "bash zsh fish"}) {
      CAPTURE(text);
      CHECK(result.out.find(text) != std::string::npos);
    }
  }
}

TEST_CASE("bash completes commands, options and their values") {
  const CommandLine cli;
  if (!has_shell(cli, "bash")) CODEWAKE_SKIP("bash is not installed");
  CHECK(cli.run_shell("codewake completion bash > script && bash -n script").exit_code == 0);
  CHECK(bash_offers(cli, "codewake ev", 1) == std::vector<std::string>{"events", "event"});
  CHECK(bash_offers(cli, "codewake events --st", 2) == std::vector<std::string>{"--stacks", "--store"});
  CHECK(bash_offers(cli, "codewake events --format \"\"", 3) ==
        std::vector<std::string>{"table", "json", "ndjson", "csv"});
  CHECK(bash_offers(cli, "codewake events --format = nd", 4) == std::vector<std::string>{"ndjson"});
  CHECK(bash_offers(cli, "codewake completion f", 2) == std::vector<std::string>{"fish"});
  CHECK(bash_offers(cli, "codewake plugins --st", 2) == std::vector<std::string>{""});
}

TEST_CASE("zsh understands its script") {
  const CommandLine cli;
  if (!has_shell(cli, "zsh")) CODEWAKE_SKIP("zsh is not installed");
  const ChildResult result = cli.run_shell("codewake completion zsh > _codewake && zsh -n _codewake");
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
}

TEST_CASE("fish completes commands, options and their values") {
  const CommandLine cli;
  if (!has_shell(cli, "fish")) CODEWAKE_SKIP("fish is not installed");
  const auto offers = [&](const std::string& line) {
    const ChildResult result =
        cli.run_shell("HOME=$PWD fish -c 'codewake completion fish | source; complete -C \"" + line + "\"'");
    CHECK(result.err.empty());
    std::vector<std::string> words;
    for (const std::string& offer : lines_of(result.out)) words.push_back(offer.substr(0, offer.find('\t')));
    return words;
  };
  CHECK(offers("codewake ev") == std::vector<std::string>{"event", "events"});
  CHECK(offers("codewake events --sta") == std::vector<std::string>{"--stacks"});
  CHECK(offers("codewake events --format nd") == std::vector<std::string>{"ndjson"});
}
