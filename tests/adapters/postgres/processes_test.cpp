// Several processes on one database: writing at once, killed in the middle, forked.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "adapters/writing.hpp"
#include "codewake/postgres_store.hpp"
#include "codewake/process.hpp"
#include "server.hpp"
#include "support/child.hpp"
#include "support/journal_folder.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

TEST_CASE("six processes that write to PostgreSQL at once lose nothing, and none fails") {
  CODEWAKE_NEEDS_SERVER();
  constexpr int kProcesses = 6, kBatches = 30, kEvents = 25;
  const Database database;
  std::vector<pid_t> children;
  for (int child = 0; child < kProcesses; ++child) {
    children.push_back(start_child([&, child] {
      PostgresStore store(database.dsn());
      for (int batch = 0; batch < kBatches; ++batch) {
        write_events(store, "app-" + std::to_string(batch % 5), "key",
                     numbered(std::to_string(child) + "/" + std::to_string(batch) + "/", kEvents));
      }
    }));
  }
  for (const pid_t child : children) CHECK(wait_for(child) == 0);
  CHECK(database.number("SELECT count(DISTINCT val) FROM events_data") == kProcesses * kBatches * kEvents);
  CHECK(database.number(
            "SELECT count(*) FROM events_data d JOIN events e ON e.id = d.event_id JOIN processes p "
            "ON p.id = e.process_id JOIN apps a ON a.id = p.app_id") == kProcesses * kBatches * kEvents);
  CHECK(database.number("SELECT count(*) FROM apps") == 5);
  CHECK(database.number("SELECT count(*) FROM app_vsns") == 5);
}

TEST_CASE("a process that is killed while it writes to PostgreSQL leaves whole batches") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore(database.dsn()).get_apps();
  for (const int events : {50, 2'000}) {  // by INSERT, and by COPY
    std::int64_t told = 0;
    database.exec("TRUNCATE events, events_data, processes CASCADE");
    for (int round = 0; round < 4; ++round) {
      int pipe_ends[2];
      REQUIRE(pipe(pipe_ends) == 0);
      const pid_t child = start_child([&] {
        PostgresStore store(database.dsn());
        const std::vector<std::string> values = numbered("v", events);
        while (true) {
          write_events(store, "app", "key", values);
          require(write(pipe_ends[1], "x", 1) == 1, "pipe");
        }
      });
      close(pipe_ends[1]);
      char stored = 0;
      for (int i = 0; i <= round && read(pipe_ends[0], &stored, 1) == 1; ++i) ++told;
      kill(child, SIGKILL);
      CHECK(wait_for(child) == -SIGKILL);
      while (read(pipe_ends[0], &stored, 1) == 1) ++told;
      close(pipe_ends[0]);
    }
    // What the server has yet to finish is finished when it lets the tables go.
    database.exec("BEGIN; LOCK TABLE processes, events, events_data; COMMIT");
    const auto processes = database.number("SELECT count(*) FROM processes");
    CHECK(processes >= told);
    CHECK(processes <= told + 4);  // a batch may have been stored and not been told of
    CHECK(database.number("SELECT count(*) FROM events") == processes * events);
    CHECK(database.number("SELECT count(*) FROM events_data") == processes * events);
  }
}

TEST_CASE("parent and child of a fork both go on, and the child does not end the parent's connections") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  const std::vector<std::string> values = numbered("v", 10);
  write_events(store, "before", "key", values);
  CHECK(store.get_apps().size() == 1);
  const std::string connections =
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'codewake' AND datname = current_database() "
      "ORDER BY 1";
  const auto before = database.rows(connections);
  CHECK(before.size() == 2);
  store.at_fork(ForkPhase::before);
  const pid_t child = start_child([&] {
    store.at_fork(ForkPhase::after_in_child);
    for (int i = 0; i < 10; ++i) write_events(store, "child", "key", values);
    require(store.get_apps().size() >= 2, "the child reads");
    require(store.shutdown(std::chrono::seconds(5)), "the child closes");
  });
  store.at_fork(ForkPhase::after_in_parent);
  for (int i = 0; i < 10; ++i) write_events(store, "parent", "key", values);
  CHECK(wait_for(child) == 0);
  CHECK(store.get_apps().size() == 3);
  CHECK(store.get_processes({}).size() == 21);
  CHECK(store.get_events_by_data({}).size() == 210);
  const auto after = database.rows(connections);
  for (const auto& connection : before) {
    CHECK(std::find(after.begin(), after.end(), connection) != after.end());
  }
}

TEST_CASE("a program logs to PostgreSQL through the queue, whatever its text is, and so does its child") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  const JournalFolder journal;
  // Ends without handlers: LeakSanitizer would look for the threads that other cases had in this program.
  const pid_t program = start_child([&] {
    Config::Queue options;
    options.journal = journal.path().string();
    auto& process = Process::instance(
        {.app_name = "shop", .store = std::make_shared<PostgresQueueStore>(options, database.dsn())});
    const std::string nul("a\0b", 3);
    process.log({{"nul", nul}, {"bad", "\xff\xc3"}, {"null", nullptr}});
    const auto stored = process.log({{"who", "parent"}}, {.inc_st = true, .sync = true});
    require(stored && !stored->frames.empty(), "the stack is stored");
    const pid_t child = start_child([&] {
      require(process.log({{"who", "child"}}, {.sync = true}).has_value(), "the child's event is stored");
      require(process.shutdown(std::chrono::seconds(20)), "the child stores all");
    });
    require(wait_for(child) == 0, "the child");
    require(process.log({{"who", "parent, later"}}, {.sync = true}).has_value(), "stored");
    require(process.shutdown(std::chrono::seconds(20)), "all is stored");
  });
  CHECK(wait_for(program) == 0);
  PostgresStore store(database.dsn());
  CHECK(store.get_processes({}).size() == 2);
  CHECK(store.get_events_by_data({}).size() == 4);
  CHECK(store
            .get_events_by_data({{"nul",
                                  "a\xe2\x90\x80"
                                  "b"}})
            .size() == 1);
  CHECK(store.get_events_by_data({{"bad", "\xef\xbf\xbd\xef\xbf\xbd"}, {"null", std::nullopt}}).size() == 1);
}

}  // namespace
}  // namespace codewake::testing
