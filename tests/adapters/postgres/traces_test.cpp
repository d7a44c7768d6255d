// Trace events in the database: their rows, how an older one comes by the tables, and which index is used.
#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "adapters/tracing.hpp"
#include "adapters/writing.hpp"
#include "codewake/postgres_store.hpp"
#include "server.hpp"
#include "support/child.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

using Rows = std::vector<std::vector<std::string>>;

/// Takes away what version 2 of the tables has added.
void make_version_1(const Database& database) {
  database.exec("DROP TABLE trace_events, event_traces; UPDATE codewake_schema SET version = 1");
}

Rows schema_of(const Database& database) {
  Rows all = database.rows(
      "SELECT table_name, column_name, is_nullable, data_type, collation_name FROM "
      "information_schema.columns "
      "WHERE table_schema = 'public' ORDER BY table_name, ordinal_position");
  for (auto& index :
       database.rows("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname")) {
    all.push_back(std::move(index));
  }
  return all;
}

TEST_CASE("a trace event is a row that plain SQL reads") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  write_row_examples(store);
  CHECK(database.rows(kRowExamples) == row_examples());
  CHECK(database.rows("SELECT event_id, trace_id, span_id FROM event_traces") ==
        Rows{{"1", "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"}});
  CHECK(database.rows("SELECT l FROM trace_events, json_array_elements_text(locks::json) l") ==
        Rows{{"cart mutex"}});
  CHECK(database.number("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid IN "
                        "('trace_events'::regclass, 'event_traces'::regclass)") == 0);
}

TEST_CASE("a database of version 1 gets the tables of traces and keeps all that it had") {
  CODEWAKE_NEEDS_SERVER();
  const Database database, fresh;
  PostgresStore(fresh.dsn()).get_apps();
  {
    PostgresStore store(database.dsn());
    write_events(store, "app", "key", numbered("v", 100));
  }
  make_version_1(database);
  PostgresStore store(database.dsn());
  CHECK(store.get_traces({}).empty());
  CHECK(database.rows("SELECT version FROM codewake_schema") == Rows{{"2"}});
  CHECK(schema_of(database) == schema_of(fresh));
  write_traces(store, 20, 4);
  CHECK(store.get_traces({}).size() == 5);
  CHECK(store.get_events({.limit = 1'000}).events.size() == 105);
}

TEST_CASE("eight processes that open a database of version 1 at once make one of version 2 of it") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore(database.dsn()).get_apps();
  make_version_1(database);
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    children.push_back(start_child([&] {
      PostgresStore store(database.dsn());
      write_traces(store, 10, 5, static_cast<std::uint64_t>(10 * i));
    }));
  }
  for (const pid_t child : children) CHECK(wait_for(child) == 0);
  CHECK(database.rows("SELECT version FROM codewake_schema") == Rows{{"2"}});
  CHECK(database.number("SELECT count(DISTINCT trace_id) FROM trace_events") == 16);
}

TEST_CASE("a database from before there were traces that may only be read is read without an upgrade") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  {
    PostgresStore store(database.dsn());
    write_events(store, "app", "key", numbered("v", 2));
  }
  make_version_1(database);
  database.exec("ALTER DATABASE " + database.name() + " SET default_transaction_read_only = on");
  PostgresStore store(database.dsn());
  CHECK(store.get_events_by_data({{"key", "v1"}}).size() == 1);
  CHECK(store.get_trace_events({}).events.empty());
  CHECK(store.get_traces({}).empty());
  CHECK(store.get_events_of_trace(numbered_id<TraceId>(1), 10).empty());
  CHECK(store.count_older(now() + std::chrono::hours(1)) == Removed{.events = 2, .processes = 1});
  CHECK(contains(store_error(StoreError::Kind::unavailable, [&] { write_traces(store, 1, 1); }), "25006"));
}

TEST_CASE("another program's table of trace events is refused, and the database left as it is") {
  CODEWAKE_NEEDS_SERVER();
  for (const std::string table : {"trace_events", "event_traces"}) {
    CAPTURE(table);
    const Database database;
    PostgresStore(database.dsn()).get_apps();
    make_version_1(database);
    database.exec("CREATE TABLE " + table + "(what TEXT)");
    const Rows before = schema_of(database);
    PostgresStore store(database.dsn());
    CHECK(contains(store_error(StoreError::Kind::unavailable, [&] { store.insert_app("app", {}); }),
                   "its table " + table + " is another program's; name another database"));
    CHECK(schema_of(database) == before);
    CHECK(database.rows("SELECT version FROM codewake_schema") == Rows{{"1"}});
  }
}

TEST_CASE("names of a megabyte are stored, and found, though no index takes them") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  std::string name;
  for (int i = 0; name.size() < (1 << 20); ++i) name += std::to_string(i * 7919);  // does not compress away
  BatchTraceEvent event;
  event.kind = TraceKind::state_change;
  event.trace_id = numbered_id<TraceId>(1);
  event.texts.name = event.texts.service = event.texts.execution = name;
  const ProcessInfo info{.app_name = "app"};
  const BatchProcess process{.info = &info};
  store.write({.processes = {&process, 1}, .trace_events = {&event, 1}});
  const auto found = store.get_trace_events({.variable = name}).events;
  REQUIRE(found.size() == 1);
  CHECK(found[0].texts.name == name);
  CHECK(store.get_traces({}).at(0).root == name);
}

TEST_CASE("events whose numbers were set back by hand are of the trace that they are logged in") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  write_traces(store, 4, 2);
  database.exec("DELETE FROM events; SELECT setval(pg_get_serial_sequence('events', 'id'), 1, false)");
  const BatchResult again = write_traces(store, 4, 2, 100);
  REQUIRE(again.event_ids == std::vector<Id>{1, 2});
  CHECK(store.get_event_by_id(1)->trace->trace_id == numbered_id<TraceId>(100));
}

/// How often the tables of traces have been read from end to end, see index_test.cpp.
std::int64_t full_scans(const Database& database) {
  while (database.number(
             "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'codewake' AND datname = "
             "current_database()") > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return database.number(
      "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname IN ('trace_events', "
      "'event_traces')");
}

TEST_CASE("look-ups of traces read no table from end to end, and not more rows than they must") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  {
    PostgresStore store(database.dsn());
    write_traces(store, 40'000, 20);
    CHECK(store.shutdown(std::chrono::seconds(5)));
  }
  const auto rows_read = [&] {
    return database.number(
        "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname IN ('trace_events', "
        "'event_traces')");
  };
  for (const bool analyzed : {false, true}) {
    CAPTURE(analyzed);
    if (analyzed) database.exec("VACUUM ANALYZE");
    const std::int64_t scans = full_scans(database);
    const std::int64_t read = rows_read();
    PostgresStore store(database.dsn());
    const TraceId trace = numbered_id<TraceId>(700);
    CHECK(store.get_trace_events({.trace_id = trace}).events.size() == 20);
    const TraceEventPage page = store.get_trace_events({.variable = "variable 3", .limit = 50});
    CHECK(page.events.size() == 50);
    CHECK(
        store.get_trace_events({.variable = "variable 3", .limit = 50, .cursor = page.next}).events.size() ==
        50);
    CHECK(store.get_trace_events({.trace_id = trace, .variable = "variable 3"}).events.size() == 2);
    const Time from = trace_time(39'000), to = trace_time(39'100);
    CHECK(store.get_trace_events({.from = from, .to = to}).events.size() == 100);
    CHECK(store.get_trace_events({.variable = "variable 3", .from = from, .to = to}).events.size() == 10);
    CHECK(store.get_traces({.limit = 10}).size() == 10);
    CHECK(store.get_traces({.from = from, .to = to}).size() == 5);
    const auto of_trace = store.get_events_of_trace(trace, 10);
    REQUIRE(of_trace.size() == 1);
    CHECK(store.get_event_by_id(of_trace[0].id)->trace->trace_id == trace);
    CHECK(store.get_events({.limit = 50}).events.size() == 50);
    CHECK(store.remove_older(trace_time(0), 100).empty());
    CHECK(store.shutdown(std::chrono::seconds(5)));
    CHECK(full_scans(database) == scans);
    CHECK(rows_read() - read < 5'000);
  }
  PostgresStore store(database.dsn());
  CHECK(store.get_traces({.limit = 5'000}).size() == 2'000);  // by the index of traces
}

}  // namespace
}  // namespace codewake::testing
