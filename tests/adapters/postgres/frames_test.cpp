// Frames that are resolved after they were stored, beside other sessions in the middle of theirs.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "adapters/writing.hpp"
#include "codewake/digest.hpp"
#include "codewake/frame.hpp"
#include "codewake/postgres_store.hpp"
#include "codewake/stacktrace.hpp"
#include "server.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

const std::vector<Frame> kUnresolved = {
    {.filename = "/usr/bin/shop", .src = "+0x1", .module = "/usr/bin/shop", .build_id = "0123", .offset = 1}};
const std::vector<Frame> kResolved = {{.filename = "shop.cpp",
                                       .lineno = 7,
                                       .src = "sell();",
                                       .function = "main",
                                       .module = "/usr/bin/shop",
                                       .build_id = "0123",
                                       .offset = 1}};

void write_one(Store& store, const std::vector<Frame>& frames) {
  const ProcessInfo info{.app_name = "app"};
  const Stacktrace stack(frames);
  const BatchProcess process{.info = &info};
  const BatchEvent event{.when = info.run_ts, .stacktrace = &stack};
  store.write({.processes = {&process, 1}, .events = {&event, 1}});
}

std::vector<StacktraceRecord> resolved_in(Store& store) {
  std::vector<StacktraceRecord> found = store.get_stacktraces_to_symbolize(0, 10);
  for (StacktraceRecord& stacktrace : found) stacktrace.frames = kResolved;
  return found;
}

/// Until a session of the database waits for a lock.
void wait_for_a_waiter(const Database& database) {
  do {
    database.exec("SELECT pg_stat_clear_snapshot()");  // a transaction sees the first one for ever
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  } while (database.number("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                           "wait_event_type = 'Lock'") == 0);
}

/// So many events and stack traces, each of which has one frame, and nothing without what it belongs to.
void check_rows(const Database& database, int events, int stacktraces) {
  CHECK(database.number("SELECT count(*) FROM events e JOIN stacktraces s ON s.id = e.stacktrace_id JOIN "
                        "stackframes f ON f.stacktrace_id = s.id") == events);
  CHECK(database.number("SELECT count(*) FROM events") == events);
  CHECK(database.number("SELECT count(*) FROM stacktraces") == stacktraces);
  CHECK(database.number("SELECT count(*) FROM stackframes") == stacktraces);
}

TEST_CASE("an event that a batch is just storing moves with its stack trace") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  write_one(store, kResolved);
  write_one(store, kUnresolved);
  const std::vector<StacktraceRecord> resolved = resolved_in(store);
  REQUIRE(resolved.size() == 1);
  // Another writer's transaction, in the middle.
  database.exec("BEGIN; SELECT id FROM stacktraces FOR KEY SHARE");
  FramesReplaced replaced;
  std::thread replacer([&] { replaced = store.replace_frames(resolved); });
  wait_for_a_waiter(database);
  database.exec("INSERT INTO events(when_ts, process_id, stacktrace_id) SELECT 1700000010, process_id, " +
                std::to_string(resolved[0].id) + " FROM events LIMIT 1; COMMIT");
  replacer.join();
  CHECK(replaced == FramesReplaced{.merged = 1});
  check_rows(database, 3, 1);
}

TEST_CASE("a batch that comes just after its stack trace was given other frames inserts it anew") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  write_one(store, kUnresolved);
  // Another session that replaces frames, in the middle.
  database.exec("BEGIN; SELECT id FROM stacktraces FOR UPDATE; UPDATE stacktraces SET digest = '\\x" +
                to_hex(digest_of(kResolved)) +
                "'; UPDATE stackframes SET src = 'sell();', lineno = 7, \"function\" = 'main'");
  std::thread writer([&] { write_one(store, kUnresolved); });
  wait_for_a_waiter(database);
  database.exec("COMMIT");
  writer.join();
  check_rows(database, 2, 2);
  CHECK(store.replace_frames(resolved_in(store)) == FramesReplaced{.merged = 1});
  check_rows(database, 2, 1);
}

TEST_CASE("a stack trace that a batch is just storing is found by those that become equal to it") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  write_one(store, kUnresolved);
  const std::vector<StacktraceRecord> resolved = resolved_in(store);
  database.exec(
      "BEGIN; INSERT INTO stacktraces(digest) VALUES ('\\x" + to_hex(digest_of(kResolved)) +
      "'); INSERT INTO stackframes(stacktrace_id, filename, lineno, src) SELECT max(id), "
      "'shop.cpp', 7, 'sell();' FROM stacktraces; INSERT INTO events(when_ts, process_id, "
      "stacktrace_id) SELECT 1700000010, process_id, (SELECT max(id) FROM stacktraces) FROM events");
  FramesReplaced replaced;
  std::thread replacer([&] { replaced = store.replace_frames(resolved); });
  wait_for_a_waiter(database);
  database.exec("COMMIT");
  replacer.join();
  CHECK(replaced == FramesReplaced{.merged = 1});
  check_rows(database, 2, 1);
}

}  // namespace
}  // namespace codewake::testing
