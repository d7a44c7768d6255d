// `codewake recover`: the journals of this user, and of all.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "codewake/config.hpp"
#include "codewake/plugin.hpp"
#include "codewake/process.hpp"
#include "command_line.hpp"
#include "support/other_user.hpp"
#include "support/skip.hpp"

using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::is_one_complaint;
using codewake::testing::lines_of;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// A command line with a journal folder that all users may use, and a database that is this user's.
class RecoveringCommandLine : public CommandLine {
 public:
  RecoveringCommandLine() {
    chmod(folder().path().c_str(), 0755);
    fs::create_directory(journal());
    chmod(journal().c_str(), 01777);
    configure("store: {adapter: \"code_wake_sqlite_store,SqliteStore\", config: \"" + dsn("new.sqlite") +
              "\"}\nqueue: {journal: " + journal().string() + "}\n");
    REQUIRE(run({"log", "event=first"}).exit_code == 0);
  }

  fs::path journal() const { return folder() / "journal"; }

  /// A program of this or the other user logs an event, and is killed.
  void leave_event(bool as_other) const {
    const pid_t child = codewake::testing::start_child([&] {
      setenv("CODE_WAKE_QUEUE_JOURNAL", journal().c_str(), 1);
      setenv("CODE_WAKE_CRASHES_SIGNALS", "false", 1);
      // The other user may not be able to look into the folder that the tests are in.
      const auto store = codewake::load_store("code_wake_sqlite_store", "SqliteQueueStore",
                                              {dsn("new.sqlite")}, codewake::Config::load().plugin_path);
      if (as_other) codewake::testing::become_other_user();
      setenv("CODE_WAKE_CRASHES_SIGNALS", "false", 1);
      auto& process = codewake::Process::instance({.app_name = "left", .store = store});
      process.log({{"event", "left"}});
      kill(getpid(), SIGKILL);
    });
    REQUIRE(codewake::testing::wait_for(child) == -SIGKILL);
  }
};

}  // namespace

TEST_CASE("recover says what it found, and leaves nothing") {
  const RecoveringCommandLine cli;
  cli.leave_event(false);
  const json found = cli.run_json({"recover", "--format", "json"});
  REQUIRE(found.size() == 1);
  CHECK(found[0]["state"] == "recovered");
  CHECK(found[0]["user"] == nullptr);
  CHECK(cli.run_json({"events", "--where", "event=left", "--format", "json"}).size() == 1);
  CHECK(cli.run_json({"recover", "--format", "json"}).empty());
}

TEST_CASE("recover --all-users stores what programs of others left, and says whose it was") {
  if (const std::string reason = codewake::testing::why_no_other_user(); !reason.empty())
    CODEWAKE_SKIP(reason);
  const RecoveringCommandLine cli;
  cli.leave_event(true);
  CHECK(cli.run_json({"recover", "--format", "json"}).empty());
  const ChildResult result = cli.run({"recover", "--all-users"});
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK(lines_of(result.out)[0].find("USER") != std::string::npos);
  CHECK(result.out.find("nobody") != std::string::npos);
  CHECK(result.out.find("recovered") != std::string::npos);
  CHECK(cli.run_json({"events", "--where", "event=left", "--format", "json"}).size() == 1);
  CHECK(cli.run_json({"processes", "--app", "left", "--format", "json"})[0]["username"] == "nobody");
}

TEST_CASE("recover --all-users is for root, and says so in a line") {
  if (const std::string reason = codewake::testing::why_no_other_user(); !reason.empty())
    CODEWAKE_SKIP(reason);
  const RecoveringCommandLine cli;
  // Of the other user's own, where the program can be reached at all.
  const fs::path database = cli.folder() / "theirs.sqlite";
  const ChildResult result = codewake::testing::in_child([&] {
    codewake::testing::become_other_user();
    if (access(std::getenv("CODEWAKE_EXECUTABLE"), X_OK) != 0) std::exit(codewake::testing::kNoMounts);
    execl(std::getenv("CODEWAKE_EXECUTABLE"), "codewake", "recover", "--all-users", "--store",
          ("sqlite:///" + database.string()).c_str(), static_cast<char*>(nullptr));
    std::exit(1);
  });
  if (result.exit_code == codewake::testing::kNoMounts)
    CODEWAKE_SKIP("the other user cannot reach the program");
  CHECK(result.exit_code == 1);
  CHECK(is_one_complaint(result.err));
}
