// How `codewake run --store` hands the DSN over.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "command_line.hpp"

using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::lines_of;
namespace fs = std::filesystem;

namespace {

/// The files with a DSN that are left.
std::vector<fs::path> store_files(const CommandLine& cli) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(cli.folder().path())) {
    if (entry.path().filename().string().starts_with("codewake-run-")) files.push_back(entry.path());
  }
  return files;
}

}  // namespace

TEST_CASE("The DSN is in no environment, but in a private file that is gone afterwards") {
  CommandLine cli;
  cli.set("XDG_RUNTIME_DIR", cli.folder().path().string());
  const ChildResult result = cli.run_shell("codewake run --store " + cli.dsn() +
                                           " -- sh -c 'env; stat -c %a $CODE_WAKE_STORE_CONFIG_FILE; "
                                           "cat $CODE_WAKE_STORE_CONFIG_FILE'");
  CHECK(result.exit_code == 0);
  const std::vector<std::string> lines = lines_of(result.out);
  REQUIRE(lines.size() > 2);
  CHECK(lines.back() == cli.dsn());
  CHECK(lines[lines.size() - 2] == "600");
  CHECK(std::ranges::count_if(
            lines, [&](const std::string& line) { return line.find(cli.dsn()) != std::string::npos; }) == 1);
  CHECK(store_files(cli).empty());
}

TEST_CASE("What the program started reads the store, also after closing its descriptors") {
  CommandLine cli;
  cli.set("XDG_RUNTIME_DIR", cli.folder().path().string());
  cli.set("CODE_WAKE_CONFIG", "");
  const std::string close_all = "for i in 3 4 5 6 7 8 9; do eval \"exec $i>&-\"; done; ";
  const ChildResult result = cli.run_shell("codewake run --store " + cli.dsn() + " -- sh -c '" + close_all +
                                           "sh -c \"unset LD_PRELOAD; codewake apps --format csv\"'");
  CHECK(result.exit_code == 0);
  CHECK(result.out.find("app-a") != std::string::npos);
}

TEST_CASE("The file stays as long as something could read it, and the next run removes it then") {
  CommandLine cli;
  cli.set("XDG_RUNTIME_DIR", cli.folder().path().string());
  const std::string run = "codewake run --store " + cli.dsn() + " -- sh -c ";
  const ChildResult result = cli.run_shell(run + "'sleep 600 & echo $!'");
  const pid_t left = std::atoi(result.out.c_str());
  REQUIRE(left > 1);
  CHECK(store_files(cli).size() == 1);
  CHECK(cli.run_shell(run + "'true'").exit_code == 0);
  CHECK(store_files(cli).size() == 1);
  // The file would stay if its name still stood in the environment of a process.
  REQUIRE(kill(left, SIGKILL) == 0);
  while (true) {  // until the process has given its memory back
    CHECK(cli.run_shell(run + "'true'").exit_code == 0);
    if (store_files(cli).empty()) break;
  }
}

TEST_CASE("A variable with the store's parameters counts more than a file with them") {
  CommandLine cli;
  const auto file = cli.folder().write("parameters", "sqlite:////nonexistent/x.sqlite\n");
  REQUIRE(chmod(file.c_str(), 0600) == 0);
  cli.set("CODE_WAKE_STORE_CONFIG_FILE", file.string());
  CHECK(cli.run({"apps"}).exit_code == 1);
  cli.set("CODE_WAKE_STORE_CONFIG", cli.dsn());
  CHECK(cli.run({"apps"}).exit_code == 0);
  cli.set("CODE_WAKE_STORE_CONFIG", std::nullopt);
  REQUIRE(chmod(file.c_str(), 0644) == 0);
  CHECK(cli.run({"apps"}).err.starts_with("codewake: CODE_WAKE_STORE_CONFIG_FILE: " + file.string() +
                                          ": is open to other users (mode 0644)"));
}
