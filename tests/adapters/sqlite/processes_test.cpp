// Several processes on one database: writing at once, killed in the middle, forked.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "codewake/sqlite_store.hpp"
#include "support.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

using Rows = std::vector<std::vector<std::string>>;

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

TEST_CASE("eight processes that write at once lose nothing, and none fails") {
  constexpr int kProcesses = 8, kBatches = 40, kEvents = 25;
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  std::vector<pid_t> children;
  for (int child = 0; child < kProcesses; ++child) {
    children.push_back(start_child([&, child] {
      SqliteStore store(dsn_of(file));
      for (int batch = 0; batch < kBatches; ++batch) {
        write_events(store, "app-" + std::to_string(batch % 5), "key",
                     numbered(std::to_string(child) + "/" + std::to_string(batch) + "/", kEvents));
      }
    }));
  }
  for (const pid_t child : children) CHECK(wait_for(child) == 0);
  Database database(file);
  CHECK(database.number("SELECT count(DISTINCT val) FROM events_data") == kProcesses * kBatches * kEvents);
  CHECK(database.number("SELECT count(*) FROM events") == kProcesses * kBatches * kEvents);
  CHECK(
      database.number(
          "SELECT count(*) FROM events_data d JOIN events e ON e.id = d.event_id JOIN processes p ON p.id = "
          "e.process_id JOIN apps a ON a.id = p.app_id") == kProcesses * kBatches * kEvents);
  CHECK(database.number("SELECT count(*) FROM apps") == 5);
  CHECK(database.number("SELECT count(*) FROM app_vsns") == 5);
  CHECK(database.rows("PRAGMA integrity_check") == Rows{{"ok"}});
}

TEST_CASE("a process that is killed while it writes leaves whole batches and a sound database") {
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  constexpr int kEvents = 50;
  std::int64_t told = 0;
  for (int round = 0; round < 10; ++round) {
    int pipe_ends[2];
    REQUIRE(pipe(pipe_ends) == 0);
    const pid_t child = start_child([&] {
      SqliteStore store(dsn_of(file));
      const std::vector<std::string> values = numbered("v", kEvents);
      while (true) {
        write_events(store, "app", "key", values);
        require(write(pipe_ends[1], "x", 1) == 1, "pipe");
      }
    });
    close(pipe_ends[1]);
    char stored = 0;
    for (int i = 0; i <= round * 3 && read(pipe_ends[0], &stored, 1) == 1; ++i) ++told;
    kill(child, SIGKILL);
    CHECK(wait_for(child) == -SIGKILL);
    while (read(pipe_ends[0], &stored, 1) == 1) ++told;
    close(pipe_ends[0]);
  }
  SqliteStore store(dsn_of(file));
  const auto processes = static_cast<std::int64_t>(store.get_processes({}).size());
  CHECK(processes >= told);
  CHECK(processes <= told + 10);  // a batch may have been stored and not been told of
  Database database(file);
  CHECK(database.number("SELECT count(*) FROM events") == processes * kEvents);
  CHECK(database.number("SELECT count(*) FROM events_data") == processes * kEvents);
  CHECK(database.rows("PRAGMA integrity_check") == Rows{{"ok"}});
}

TEST_CASE("parent and child of a fork both go on, with a connection each") {
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  SqliteStore store(dsn_of(file));
  const std::vector<std::string> values = numbered("v", 10);
  write_events(store, "before", "key", values);
  CHECK(store.get_apps().size() == 1);
  store.at_fork(ForkPhase::before);
  const pid_t child = start_child([&] {
    store.at_fork(ForkPhase::after_in_child);
    for (int i = 0; i < 20; ++i) write_events(store, "child", "key", values);
    require(store.get_apps().size() >= 2, "the child reads");
  });
  store.at_fork(ForkPhase::after_in_parent);
  for (int i = 0; i < 20; ++i) write_events(store, "parent", "key", values);
  CHECK(wait_for(child) == 0);
  CHECK(store.get_apps().size() == 3);
  CHECK(store.get_processes({}).size() == 41);
  CHECK(store.get_events_by_data({}).size() == 410);
  CHECK(Database(file).rows("PRAGMA integrity_check") == Rows{{"ok"}});
}

TEST_CASE("a child that outlives its parent keeps what it writes") {
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  auto store = std::make_unique<SqliteStore>(dsn_of(file));
  store->insert_app("before", {});
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  store->at_fork(ForkPhase::before);
  const pid_t child = start_child([&] {
    store->at_fork(ForkPhase::after_in_child);
    store->insert_app("child, while the parent has it open", {});
    char go = 0;
    require(read(pipe_ends[0], &go, 1) == 1, "pipe");
    store->insert_app("child, after the parent closed it", {});
  });
  store->at_fork(ForkPhase::after_in_parent);
  store->insert_app("parent", {});
  store.reset();  // the last connection of this process, not of all
  REQUIRE(write(pipe_ends[1], "x", 1) == 1);
  CHECK(wait_for(child) == 0);
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  CHECK(SqliteStore(dsn_of(file)).get_apps().size() == 4);
}

TEST_CASE("a child starts with an empty database in memory, the parent keeps its own") {
  SqliteStore store("sqlite:///:memory:");
  store.insert_app("app", {});
  store.at_fork(ForkPhase::before);
  const pid_t child = start_child([&] {
    store.at_fork(ForkPhase::after_in_child);
    require(store.get_apps().empty(), "it is empty");
    require(store.insert_app("own", {}).app.id == 1, "it can be written");
  });
  store.at_fork(ForkPhase::after_in_parent);
  CHECK(wait_for(child) == 0);
  CHECK(store.get_apps().size() == 1);
}

}  // namespace
}  // namespace codewake::testing
