// Frames that are resolved after they were stored: what is left in the tables, and what other processes
// remember.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "codewake/digest.hpp"
#include "codewake/frame.hpp"
#include "codewake/sqlite_store.hpp"
#include "codewake/stacktrace.hpp"
#include "support.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

Frame unresolved(std::uint64_t offset) {
  return {.filename = "/usr/bin/shop",
          .src = "+" + std::to_string(offset),
          .module = "/usr/bin/shop",
          .build_id = "0123",
          .offset = offset};
}

Frame resolved(std::uint64_t offset) {
  return {.filename = "shop.cpp",
          .lineno = 7,
          .src = "sell();",
          .function = "main",
          .module = "/usr/bin/shop",
          .build_id = "0123",
          .offset = offset};
}

Id write_one(SqliteStore& store, const std::vector<Frame>& frames) {
  const ProcessInfo info{.app_name = "app"};
  const Stacktrace stack(frames);
  const BatchProcess process{.info = &info};
  const BatchEvent event{.when = info.run_ts, .stacktrace = &stack};
  return store.write({.processes = {&process, 1}, .events = {&event, 1}}).event_ids[0];
}

/// Events without their stack trace, frames without theirs, stack traces without events.
void check_nothing_dangles(Database& database) {
  CHECK(database.number("SELECT count(*) FROM events WHERE stacktrace_id NOT IN (SELECT id FROM "
                        "stacktraces)") == 0);
  CHECK(database.number("SELECT count(*) FROM stackframes WHERE stacktrace_id NOT IN (SELECT id FROM "
                        "stacktraces)") == 0);
  CHECK(database.number("SELECT count(*) FROM stacktraces WHERE id NOT IN (SELECT stacktrace_id FROM "
                        "events)") == 0);
}

TEST_CASE("replaced and merged frames leave no row behind, and digests are those of the new frames") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  Database database(folder / "events.sqlite");
  for (const std::uint64_t offset : {1, 2, 3}) write_one(store, {unresolved(offset), unresolved(9)});
  std::vector<StacktraceRecord> found = store.get_stacktraces_to_symbolize(0, 10);
  REQUIRE(found.size() == 3);
  const std::vector<Frame> same = {resolved(1), resolved(1), resolved(9)};
  found[0].frames = same;
  found[1].frames = same;
  found[2].frames = {resolved(3)};
  CHECK(store.replace_frames(found) == FramesReplaced{.replaced = 2, .merged = 1});
  check_nothing_dangles(database);
  CHECK(database.number("SELECT count(*) FROM stacktraces") == 2);
  CHECK(database.number("SELECT count(*) FROM stackframes") == 4);
  CHECK(database.number("SELECT count(*) FROM stacktraces WHERE hex(digest) IN (upper('" +
                        to_hex(digest_of(same)) + "'), upper('" + to_hex(digest_of(found[2].frames)) +
                        "'))") == 2);
}

TEST_CASE("a writer does not go on with the stack trace that another process gave other frames") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  SqliteStore other(dsn_of(folder / "events.sqlite"));
  Database database(folder / "events.sqlite");
  const std::vector<Frame> old_frames = {unresolved(1)};
  write_one(store, old_frames);
  write_one(store, {resolved(1)});
  for (const bool merged : {true, false}) {
    std::vector<StacktraceRecord> found = other.get_stacktraces_to_symbolize(0, 10);
    REQUIRE(found.size() == 1);
    found[0].frames = merged ? std::vector{resolved(1)} : std::vector{resolved(1), resolved(2)};
    CHECK(other.replace_frames(found) ==
          (merged ? FramesReplaced{.merged = 1} : FramesReplaced{.replaced = 1}));
    const auto again = store.get_event_by_id(write_one(store, old_frames));
    REQUIRE(again.has_value());
    CHECK(again->frames == old_frames);
    check_nothing_dangles(database);
  }
}

TEST_CASE("stack traces that are not resolved are found by the indexes") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  write_one(store, {unresolved(1)});
  Database database(folder / "events.sqlite");
  for (const char* sql :
       {"SELECT s.id FROM stacktraces s WHERE s.id > 1 AND EXISTS (SELECT 1 FROM stackframes f WHERE "
        "f.stacktrace_id = s.id AND f.lineno = 0) ORDER BY s.id LIMIT 10",
        "UPDATE events SET stacktrace_id = 1 WHERE stacktrace_id = 2",
        "DELETE FROM stackframes WHERE stacktrace_id = 1"}) {
    CAPTURE(sql);
    std::string plan;
    for (const auto& row : database.rows("EXPLAIN QUERY PLAN " + std::string(sql))) plan += row[3] + "\n";
    CAPTURE(plan);
    CHECK(contains(plan, "SEARCH"));
    CHECK_FALSE(contains(plan, "SCAN"));
    CHECK_FALSE(contains(plan, "TEMP B-TREE"));
  }
}

}  // namespace
}  // namespace codewake::testing
