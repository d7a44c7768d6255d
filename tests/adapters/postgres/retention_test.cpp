// Removing what is old beside writers that still refer to it.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "adapters/writing.hpp"
#include "codewake/frame.hpp"
#include "codewake/postgres_store.hpp"
#include "codewake/stacktrace.hpp"
#include "server.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

Time at(std::int64_t seconds) {
  return Time(std::chrono::seconds(1'700'000'000 + seconds));
}

Stacktrace stack_of(const std::string& function) {
  return Stacktrace(
      std::vector<Frame>{{.filename = "main.cpp", .lineno = 1, .src = "main();", .function = function}});
}

/// A batch of one event of this time, of a new process that began then or of one that is known.
Id write_one(Store& store, Time when, const Stacktrace* stack, Id process_id = 0) {
  const ProcessInfo info{.run_ts = when, .app_name = "app"};
  const BatchProcess process{.id = process_id, .info = process_id == 0 ? &info : nullptr};
  const BatchEvent event{.when = when, .stacktrace = stack};
  return store.write({.processes = {&process, 1}, .events = {&event, 1}}).process_ids[0];
}

/// Until a session of the database waits for a lock.
void wait_for_a_waiter(const Database& database) {
  do {
    database.exec("SELECT pg_stat_clear_snapshot()");  // a transaction sees the first one for ever
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  } while (database.number("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                           "wait_event_type = 'Lock'") == 0);
}

std::int64_t dangling(const Database& database) {
  return database.number(
      "SELECT count(*) FROM events e WHERE stacktrace_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "
      "stacktraces s JOIN stackframes f ON f.stacktrace_id = s.id WHERE s.id = e.stacktrace_id)");
}

TEST_CASE("a stack trace that a batch is just referring to is kept") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  const Stacktrace stack = stack_of("shared");
  const Id process = write_one(store, at(0), &stack);
  // Another writer's transaction, in the middle.
  database.exec("BEGIN; SELECT id FROM stacktraces FOR KEY SHARE");
  Removed removed;
  std::thread remover([&] { removed = store.remove_older(at(5), 100); });
  wait_for_a_waiter(database);
  database.exec("INSERT INTO events(when_ts, process_id, stacktrace_id) SELECT 1700000010, " +
                std::to_string(process) + ", id FROM stacktraces; COMMIT");
  remover.join();
  CHECK(removed == Removed{.events = 1});
  CHECK(database.number("SELECT count(*) FROM events") == 1);
  CHECK(dangling(database) == 0);
}

TEST_CASE("a batch that comes just after its stack trace was removed inserts it anew") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  const Stacktrace stack = stack_of("shared");
  const Id process = write_one(store, at(0), &stack);
  // Another remover's transaction, in the middle.
  database.exec(
      "BEGIN; DELETE FROM events; SELECT id FROM stacktraces FOR UPDATE; DELETE FROM stackframes; "
      "DELETE FROM stacktraces");
  std::thread writer([&] { write_one(store, at(10), &stack, process); });
  wait_for_a_waiter(database);
  database.exec("COMMIT");
  writer.join();
  CHECK(database.number("SELECT count(*) FROM events") == 1);
  CHECK(dangling(database) == 0);
}

TEST_CASE("a process that a batch is just referring to is kept") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  const Id process = write_one(store, at(0), nullptr);
  CHECK(store.remove_older(at(5), 100) == Removed{.events = 1});
  database.exec("BEGIN; SELECT id FROM processes FOR KEY SHARE");
  CHECK(store.remove_older(at(5), 100).empty());
  database.exec("ROLLBACK");
  CHECK(store.remove_older(at(5), 100) == Removed{.processes = 1});
  store_error(StoreError::Kind::rejected, [&] { write_one(store, at(10), nullptr, process); });
}

TEST_CASE("concurrent batches and removals of the same stack traces leave neither gaps nor orphans") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  constexpr int kWriters = 3, kRounds = 60, kRemovers = 2;
  std::atomic<int> writing{kWriters};
  std::atomic<std::uint64_t> removed{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kWriters; ++thread) {
    threads.emplace_back([&, thread] {
      PostgresStore store(database.dsn());
      const Stacktrace own = stack_of("shared");
      const Stacktrace other = stack_of("other");
      const Id process = write_one(store, at(100), nullptr);
      for (int i = 0; i < kRounds; ++i) {
        write_one(store, at(0), &own, process);
        write_one(store, at((i + thread) % 3 == 0 ? 100 : 0), &other, process);
      }
      --writing;
    });
  }
  for (int thread = 0; thread < kRemovers; ++thread) {
    threads.emplace_back([&] {
      PostgresStore store(database.dsn());
      while (true) {
        const bool last = writing == 0;
        const Removed slice = store.remove_older(at(5), 3);
        removed += slice.events;
        if (last && slice.empty()) return;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(removed.load() == std::uint64_t{kWriters * kRounds * 5 / 3});
  CHECK(database.number("SELECT count(*) FROM events") == kWriters + kWriters * kRounds / 3);
  CHECK(dangling(database) == 0);
  CHECK(database.number("SELECT count(*) FROM stacktraces") == 1);
  CHECK(database.number("SELECT count(*) FROM stackframes") == 1);
}

}  // namespace
}  // namespace codewake::testing
