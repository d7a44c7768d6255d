// Trace events in the file: their rows, how an older database comes by the tables, and which index is used.
#include <doctest/doctest.h>

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "adapters/tracing.hpp"
#include "codewake/sqlite_store.hpp"
#include "support.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

using Rows = std::vector<std::vector<std::string>>;

const char* const kSchema = "SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2";

TEST_CASE("a trace event is a row that plain SQL reads") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  write_row_examples(store);
  Database database(folder / "events.sqlite");
  CHECK(database.rows(kRowExamples) == row_examples());
  CHECK(database.rows("SELECT event_id, trace_id, span_id FROM event_traces") ==
        Rows{{"1", "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"}});
  CHECK(database.rows("SELECT value FROM trace_events, json_each(locks) WHERE clock IS NOT NULL") ==
        Rows{{"cart mutex"}});
}

TEST_CASE("a database of version 1 gets the tables of traces and keeps all that it had") {
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  SqliteStore(dsn_of(folder / "new.sqlite")).forget_positions("none");  // makes the file
  {
    SqliteStore store(dsn_of(file));
    write_events(store, "app", "key", numbered("v", 100));
  }
  Database database(file);
  make_version_1(database);
  const auto before = older_rows(database);
  SqliteStore store(dsn_of(file));
  CHECK(store.get_traces({}).empty());
  CHECK(database.rows("SELECT version FROM codewake_schema") == Rows{{"2"}});
  CHECK(database.rows(kSchema) == Database(folder / "new.sqlite").rows(kSchema));
  CHECK(older_rows(database) == before);
  write_traces(store, 20, 4);
  CHECK(store.get_traces({}).size() == 5);
  CHECK(store.get_events({.limit = 1'000}).events.size() == 105);
}

TEST_CASE("a database of Code Wake for Python takes trace events, and its events are of no trace") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(copy_reference(folder.path())));
  write_traces(store, 20, 4);
  CHECK(store.get_traces({}).size() == 5);
  CHECK(store.get_event_by_id(1)->trace == std::nullopt);
  CHECK(store.get_event_by_id(44)->trace.has_value());
}

TEST_CASE("eight processes that open a database of version 1 at once make one of version 2 of it") {
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  SqliteStore(dsn_of(file)).forget_positions("none");  // makes the file
  {
    Database database(file);
    make_version_1(database);
  }
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    children.push_back(start_child([&] {
      SqliteStore store(dsn_of(file));
      write_traces(store, 10, 5, static_cast<std::uint64_t>(10 * i));
    }));
  }
  for (const pid_t child : children) CHECK(wait_for(child) == 0);
  Database database(file);
  CHECK(database.rows("SELECT version FROM codewake_schema") == Rows{{"2"}});
  CHECK(database.number("SELECT count(DISTINCT trace_id) FROM trace_events") == 16);
  CHECK(database.rows("PRAGMA integrity_check") == Rows{{"ok"}});
}

TEST_CASE("another program's table of trace events is refused, and the database left as it is") {
  for (const char* table : {"trace_events", "event_traces"}) {
    CAPTURE(table);
    const TemporaryFolder folder;
    const auto file = folder / "events.sqlite";
    SqliteStore(dsn_of(file)).forget_positions("none");  // makes the file
    Database database(file);
    make_version_1(database);
    database.exec(std::string("CREATE TABLE ") + table + "(what TEXT)");
    const Rows before = database.rows(kSchema);
    SqliteStore store(dsn_of(file));
    CHECK(contains(store_error(StoreError::Kind::unavailable, [&] { store.insert_app("app", {}); }),
                   std::string("its table ") + table + " is another program's; name another file"));
    CHECK(database.rows(kSchema) == before);
    CHECK(database.rows("SELECT version FROM codewake_schema") == Rows{{"1"}});
  }
}

TEST_CASE("an event that is deleted by hand takes its tie along") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  write_traces(store, 20, 4);
  Database database(folder / "events.sqlite");
  database.exec("DELETE FROM events WHERE id > 2");
  CHECK(database.number("SELECT count(*) FROM event_traces") == 2);
  write_events(store, "app", "key", numbered("v", 1));  // under the id of a deleted one
  CHECK(store.get_event_by_id(3)->trace == std::nullopt);
}

TEST_CASE("a kind of a newer version is read as a custom event, and text that is no id as none") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  write_traces(store, 1, 1);
  Database(folder / "events.sqlite")
      .exec(
          "UPDATE trace_events SET kind = 'Teleport', access = 'Sniff', event_id = 'x', span_id = 'y', "
          "line = -1, duration = 9e99, name = x'ff00'");
  const TraceEventRecord event = store.get_trace_events({}).events.at(0);
  CHECK(event.kind == TraceKind::custom);
  CHECK_FALSE(event.access.has_value());
  CHECK(event.id.empty());
  CHECK(event.span_id.empty());
  CHECK(event.line == 0);
  CHECK(event.duration == std::chrono::nanoseconds::max());
  CHECK(event.texts.name == "\xef\xbf\xbd\xe2\x90\x80");
}

/// Whether a line of EXPLAIN QUERY PLAN reads more than it must: a table or an index from end to end, or all
/// rows to put them in order. The walk of the newest events follows its index until it has enough.
bool is_long(const std::string& line) {
  return (contains(line, "SCAN e") && !contains(line, "codewake_trace_events_when")) ||
         contains(line, "SCAN trace_events") || contains(line, "SCAN t") ||
         contains(line, "TEMP B-TREE FOR ORDER BY");
}

TEST_CASE("look-ups of traces use the indexes") {
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  {
    SqliteStore store(dsn_of(file));
    write_traces(store, 40'000, 20);
  }
  for (const bool analyzed : {false, true}) {
    CAPTURE(analyzed);
    Database database(file);
    if (analyzed) database.exec("ANALYZE");
    std::set<std::string> statements;
    {
      const Statements watched;
      SqliteStore store(dsn_of(file));
      const TraceId trace = numbered_id<TraceId>(700);
      CHECK(store.get_trace_events({.trace_id = trace}).events.size() == 20);
      const TraceEventPage page = store.get_trace_events({.variable = "variable 3", .limit = 50});
      CHECK(page.events.size() == 50);
      CHECK(store.get_trace_events({.variable = "variable 3", .limit = 50, .cursor = page.next})
                .events.size() == 50);
      CHECK(store.get_trace_events({.trace_id = trace, .variable = "variable 3"}).events.size() == 2);
      const Time from = trace_time(39'000), to = trace_time(39'100);
      CHECK(store.get_trace_events({.from = from, .to = to}).events.size() == 100);
      CHECK(store.get_trace_events({.variable = "variable 3", .from = from, .to = to}).events.size() == 10);
      CHECK(store.get_traces({.limit = 10}).size() == 10);
      CHECK(store.get_traces({.from = from, .to = to}).size() == 5);
      CHECK(store.get_traces({.limit = 5'000}).size() == 2'000);  // by the index of traces
      CHECK(store.remove_older(trace_time(0), 100).empty());
      statements = Statements::sql();
    }
    std::size_t looked_at = 0;
    for (const std::string& sql : statements) {
      if (!contains(sql, "trace_events") || contains(sql, "codewake_schema")) continue;
      ++looked_at;
      for (const auto& row : database.rows("EXPLAIN QUERY PLAN " + sql)) {
        CHECK_MESSAGE(!is_long(row.at(3)), row.at(3), " of ", sql.substr(0, 500));
      }
    }
    CHECK(looked_at > 20);
  }
}

TEST_CASE("ordinary events of a trace are looked up by the index") {
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  SqliteStore store(dsn_of(file));
  write_traces(store, 40'000, 20);
  CHECK(store.get_events_of_trace(numbered_id<TraceId>(700), 10).size() == 1);
  Database database(file);
  for (const auto& row : database.rows(
           "EXPLAIN QUERY PLAN SELECT e.id FROM event_traces t CROSS JOIN events e ON e.id = t.event_id "
           "WHERE t.trace_id = 'x' ORDER BY e.when_ts, e.id LIMIT 10")) {
    CHECK_FALSE(contains(row.at(3), "SCAN"));
  }
}

}  // namespace
}  // namespace codewake::testing
