// Removing what is old: what other processes remember, what is left in the file, and the index of pairs.
#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "codewake/frame.hpp"
#include "codewake/sqlite_store.hpp"
#include "codewake/stacktrace.hpp"
#include "support.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

constexpr std::size_t kSlice = 10'000;

Time at(std::int64_t seconds) {
  return Time(std::chrono::seconds(1'700'000'000 + seconds));
}

/// One process with so many events of a time, each with its number and with a pair that all have.
std::vector<Id> write_numbered(SqliteStore& store, Time when, int from, int count) {
  const std::vector<std::string> numbers = numbered("", from + count);
  const ProcessInfo info{.run_ts = at(1'000'000), .app_name = "app"};
  const BatchProcess process{.info = &info};
  std::vector<std::vector<AttributeView>> data;
  for (int i = from; i < from + count; ++i) {
    data.push_back({{"n", numbers[static_cast<std::size_t>(i)]}, {"all", "same"}});
  }
  std::vector<BatchEvent> events;
  for (const auto& attributes : data) events.push_back({.when = when, .has_data = true, .data = attributes});
  return store.write({.processes = std::span(&process, 1), .events = events}).event_ids;
}

void remove_all(SqliteStore& store, Time before) {
  while (!store.remove_older(before, kSlice).empty()) {
  }
}

TEST_CASE("runs of the index of pairs go with the events that they name") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  SqliteStore remover(dsn_of(folder / "events.sqlite"));
  Database database(folder / "events.sqlite");
  for (int round = 0; round < 4; ++round) write_numbered(store, at(round), round * 20'000, 20'000);
  const auto runs = [&] { return database.number("SELECT count(*) FROM codewake_pair_runs"); };
  const std::int64_t before = runs();
  REQUIRE(before == 4);
  remove_all(remover, at(2));
  CHECK(runs() == 2);
  CHECK(store.get_events_by_data({{"n", "39999"}}).empty());
  CHECK(store.get_events_by_data({{"n", "40000"}}).size() == 1);
  CHECK(store.get_events_by_data({{"n", "79999"}, {"all", "same"}}).size() == 1);
  CHECK(store.get_events({.where = {{"all", "same"}}, .limit = 50'000}).events.size() == 40'000);
  CHECK(database.number("SELECT count(*) FROM events_data") == 80'000);

  remove_all(remover, at(100));
  CHECK(runs() == 0);
  CHECK(database.number("SELECT count(*) FROM codewake_pair_chunks") == 0);
  CHECK(database.number("SELECT indexed_to FROM codewake_pair_state") == 0);
  CHECK(database.number("SELECT count(*) FROM events_data") == 0);
  write_numbered(store, at(200), 0, 20'000);
  CHECK(store.get_events_by_data({{"n", "19999"}}).size() == 1);
  CHECK(store.get_events_by_data({{"n", "20000"}}).empty());
}

TEST_CASE("the newest ids are given again, and mean the new events only") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  Database database(folder / "events.sqlite");
  write_numbered(store, at(10), 0, 20'000);
  const std::vector<Id> old = write_numbered(store, at(0), 20'000, 20'000);  // logged late
  REQUIRE(database.number("SELECT count(*) FROM codewake_pair_runs") == 2);
  remove_all(store, at(5));
  const std::vector<Id> again = write_numbered(store, at(10), 50'000, 20'000);
  CHECK(again == old);
  for (const char* gone : {"20000", "30000", "39999"}) CHECK(store.get_events_by_data({{"n", gone}}).empty());
  for (const char* there : {"0", "19999", "50000", "69999"}) {
    CHECK(store.get_events_by_data({{"n", there}}).size() == 1);
  }
  CHECK(store.get_events_by_data({{"all", "same"}}).size() == 40'000);
}

TEST_CASE("a writer does not go on with the stack traces and processes that another process removed") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  SqliteStore remover(dsn_of(folder / "events.sqlite"));
  const Frame frame{.filename = "main.cpp", .lineno = 1, .src = "main();", .function = "main"};
  const Stacktrace stack(std::vector<Frame>{frame});
  const ProcessInfo info{.run_ts = at(0), .app_name = "app"};
  const BatchProcess process{.info = &info};
  const BatchEvent event{.when = at(0), .stacktrace = &stack};
  const BatchResult written = store.write({.processes = {&process, 1}, .events = {&event, 1}});
  remove_all(remover, at(5));
  const BatchProcess removed{.id = written.process_ids[0]};
  store_error(StoreError::Kind::rejected, [&] {
    store.write({.processes = {&removed, 1}, .events = {&event, 1}});
  });
  const BatchResult again = store.write({.processes = {&process, 1}, .events = {&event, 1}});
  const auto read = store.get_event_by_id(again.event_ids[0]);
  REQUIRE(read.has_value());
  CHECK(read->frames == std::vector<Frame>{frame});
}

TEST_CASE("the room of what was removed is used again") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  Database database(folder / "events.sqlite");
  write_numbered(store, at(0), 0, 50'000);
  const std::int64_t pages = database.number("PRAGMA page_count");
  for (int round = 1; round <= 5; ++round) {
    write_numbered(store, at(round), 0, 50'000);
    remove_all(store, at(round));
  }
  CHECK(database.number("PRAGMA page_count") < pages * 5 / 2);
}

TEST_CASE("a removal uses the indexes") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  write_numbered(store, at(0), 0, 1);
  Database database(folder / "events.sqlite");
  for (const char* sql :
       {"SELECT id, stacktrace_id FROM events WHERE when_ts < 1.0 ORDER BY when_ts, id LIMIT 10",
        "DELETE FROM events_data WHERE event_id IN (SELECT value FROM json_each('[1]'))",
        "DELETE FROM events WHERE id IN (SELECT value FROM json_each('[1]'))",
        "SELECT 1 FROM events WHERE stacktrace_id = 1 LIMIT 1",
        "DELETE FROM stackframes WHERE stacktrace_id IN (SELECT value FROM json_each('[1]'))"}) {
    CAPTURE(sql);
    std::string plan;
    for (const auto& row : database.rows("EXPLAIN QUERY PLAN " + std::string(sql))) plan += row[3] + "\n";
    CAPTURE(plan);
    CHECK((contains(plan, "SEARCH events") || contains(plan, "SEARCH stackframes")));
    CHECK_FALSE(contains(plan, "TEMP B-TREE"));
  }
}

}  // namespace
}  // namespace codewake::testing
