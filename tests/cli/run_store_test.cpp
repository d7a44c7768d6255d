// How `codewake run --store` hands the DSN over.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "command_line.hpp"
#include "support/child.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::kNoPreloading;
using codewake::testing::kSanitized;
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
  if (kSanitized) CODEWAKE_SKIP(kNoPreloading);
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
  if (kSanitized) CODEWAKE_SKIP(kNoPreloading);
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
  if (kSanitized) CODEWAKE_SKIP(kNoPreloading);
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

TEST_CASE("A file of an ended run is removed if its run had ids of this namespace, and stays otherwise") {
  if (kSanitized) CODEWAKE_SKIP(kNoPreloading);
  CommandLine cli;
  cli.set("XDG_RUNTIME_DIR", cli.folder().path().string());
  struct stat own {};
  REQUIRE(stat("/proc/self/ns/pid", &own) == 0);
  const int ended = codewake::testing::start_child([] {});
  REQUIRE(codewake::testing::wait_for(ended) == 0);
  const auto put = [&](ino_t names) {
    return cli.folder().write(
        "codewake-run-" + std::to_string(names) + "-" + std::to_string(ended) + "-abcdef", "sqlite:///x\n");
  };
  const fs::path here = put(own.st_ino), elsewhere = put(own.st_ino + 1), unknown = put(0);
  CHECK(cli.run_shell("codewake run --store " + cli.dsn() + " -- true").exit_code == 0);
  CHECK_FALSE(fs::exists(here));
  CHECK(fs::exists(elsewhere));
  CHECK(fs::exists(unknown));
}

TEST_CASE("Processes without an environment are waited for together") {
  if (kSanitized) CODEWAKE_SKIP(kNoPreloading);
  CommandLine cli;
  cli.set("XDG_RUNTIME_DIR", cli.folder().path().string());
  std::vector<pid_t> bare;
  for (int i = 0; i < 50; ++i) {
    bare.push_back(codewake::testing::start_child([] {
      char name[] = "sleep", time[] = "600";
      char* const arguments[] = {name, time, nullptr};
      char* const environment[] = {nullptr};
      execve("/bin/sleep", arguments, environment);
      throw std::system_error(errno, std::generic_category(), "/bin/sleep");
    }));
  }
  const auto began = std::chrono::steady_clock::now();
  CHECK(cli.run_shell("codewake run --store " + cli.dsn() + " -- true").exit_code == 0);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(4));  // and not 50 times 100 ms
  for (const pid_t process : bare) {
    kill(process, SIGKILL);
    codewake::testing::wait_for(process);
  }
  CHECK(store_files(cli).empty());
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
