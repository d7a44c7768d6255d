#include "schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "codewake/errors.hpp"
#include "pair_index.hpp"

namespace codewake::internal {
namespace {

struct Table {
  std::string_view name;
  std::array<std::string_view, 9> columns;  ///< behind the last: empty ones
  const char* ddl;
};

/// As Code Wake for Python makes them; types and constraints are its contract.
std::span<const Table> older_tables() {
  // Nothing to destroy: threads write until the very end.
  static constexpr Table tables[] = {
      {"environments",
       {"id", "name"},
       "CREATE TABLE environments (id INTEGER NOT NULL, name VARCHAR NOT NULL, PRIMARY KEY (id), UNIQUE "
       "(name))"},
      {"apps",
       {"id", "name"},
       "CREATE TABLE apps (id INTEGER NOT NULL, name VARCHAR NOT NULL, PRIMARY KEY (id), UNIQUE (name))"},
      {"stacktraces",
       {"id", "digest"},
       "CREATE TABLE stacktraces (id INTEGER NOT NULL, digest BINARY NOT NULL, PRIMARY KEY (id), UNIQUE "
       "(digest))"},
      {"app_vsns",
       {"id", "vsn", "app_id"},
       "CREATE TABLE app_vsns (id INTEGER NOT NULL, vsn VARCHAR NOT NULL, app_id INTEGER NOT NULL, PRIMARY "
       "KEY (id), "
       "FOREIGN KEY(app_id) REFERENCES apps (id))"},
      {"stackframes",
       {"id", "stacktrace_id", "filename", "lineno", "src"},
       "CREATE TABLE stackframes (id INTEGER NOT NULL, stacktrace_id INTEGER NOT NULL, filename VARCHAR NOT "
       "NULL, "
       "lineno INTEGER NOT NULL, src VARCHAR, PRIMARY KEY (id), FOREIGN KEY(stacktrace_id) REFERENCES "
       "stacktraces "
       "(id))"},
      {"processes",
       {"id", "run_ts", "environment_id", "pid", "username", "fqdn", "exe_path", "app_id", "app_vsn_id"},
       "CREATE TABLE processes (id INTEGER NOT NULL, run_ts FLOAT NOT NULL, environment_id INTEGER, pid "
       "INTEGER, "
       "username VARCHAR, fqdn VARCHAR, exe_path VARCHAR, app_id INTEGER NOT NULL, app_vsn_id INTEGER, "
       "PRIMARY KEY "
       "(id), FOREIGN KEY(environment_id) REFERENCES environments (id), FOREIGN KEY(app_id) REFERENCES apps "
       "(id), "
       "FOREIGN KEY(app_vsn_id) REFERENCES app_vsns (id))"},
      {"events",
       {"id", "when_ts", "process_id", "digest", "stacktrace_id"},
       "CREATE TABLE events (id INTEGER NOT NULL, when_ts FLOAT NOT NULL, process_id INTEGER NOT NULL, "
       "digest BINARY, "
       "stacktrace_id INTEGER, PRIMARY KEY (id), FOREIGN KEY(process_id) REFERENCES processes (id), FOREIGN "
       "KEY(stacktrace_id) REFERENCES stacktraces (id))"},
      {"events_data",
       {"id", "key", "val", "event_id"},
       "CREATE TABLE events_data (id INTEGER NOT NULL, \"key\" VARCHAR NOT NULL, val VARCHAR, event_id "
       "INTEGER NOT "
       "NULL, PRIMARY KEY (id), FOREIGN KEY(event_id) REFERENCES events (id))"},
  };
  return tables;
}

struct AddedColumn {
  std::string_view name;
  const char* ddl;
};

constexpr std::array<AddedColumn, 4> kFrameColumns = {{
    {"function", "ALTER TABLE stackframes ADD COLUMN \"function\" VARCHAR"},
    {"module", "ALTER TABLE stackframes ADD COLUMN \"module\" VARCHAR"},
    {"build_id", "ALTER TABLE stackframes ADD COLUMN \"build_id\" VARCHAR"},
    {"offset", "ALTER TABLE stackframes ADD COLUMN \"offset\" INTEGER"},
}};

// Two Python processes that met a version for the first time at once made two rows of it: the lowest id
// stays.
constexpr const char* kMergeVersions = R"(
UPDATE processes SET app_vsn_id = (
    SELECT min(kept.id) FROM app_vsns AS kept JOIN app_vsns AS own ON own.id = processes.app_vsn_id
    WHERE kept.app_id = own.app_id AND kept.vsn = own.vsn)
  WHERE app_vsn_id IN (SELECT id FROM app_vsns)
    AND app_vsn_id NOT IN (SELECT min(id) FROM app_vsns GROUP BY app_id, vsn);
DELETE FROM app_vsns WHERE id NOT IN (SELECT min(id) FROM app_vsns GROUP BY app_id, vsn);
)";

constexpr const char* kAdditions = R"(
CREATE UNIQUE INDEX codewake_app_vsns_unique ON app_vsns(app_id, vsn);
CREATE INDEX codewake_stackframes_stacktrace ON stackframes(stacktrace_id);
CREATE INDEX codewake_processes_app ON processes(app_id, run_ts);
CREATE INDEX codewake_events_when ON events(when_ts);
CREATE INDEX codewake_events_process ON events(process_id, when_ts);
CREATE INDEX codewake_events_stacktrace ON events(when_ts) WHERE stacktrace_id IS NOT NULL;
CREATE INDEX codewake_events_of_stacktrace ON events(stacktrace_id, when_ts) WHERE stacktrace_id IS NOT NULL;
CREATE INDEX codewake_events_process_stacktrace ON events(process_id, stacktrace_id, when_ts)
  WHERE stacktrace_id IS NOT NULL;
CREATE INDEX codewake_exception_types ON events_data(event_id, id, val) WHERE "key" = 'exception.type';
CREATE INDEX codewake_events_data_event ON events_data(event_id);
CREATE TABLE journals (segment VARCHAR NOT NULL, position INTEGER NOT NULL, process_id INTEGER NOT NULL,
  PRIMARY KEY (segment));
CREATE TABLE codewake_schema (version INTEGER NOT NULL);
)";

// What is not NULL in data, clock and locks is JSON. The look-up of a variable needs no other kinds than
// state changes. Retention asks whether a process has trace events.
constexpr const char* kTraceTables = R"(
CREATE TABLE trace_events (id INTEGER PRIMARY KEY, event_id TEXT NOT NULL, trace_id TEXT NOT NULL,
  span_id TEXT NOT NULL, upstream_span_id TEXT, parent_id TEXT, process_id INTEGER NOT NULL,
  when_ts FLOAT NOT NULL, duration FLOAT, kind TEXT NOT NULL, access TEXT, name TEXT NOT NULL, file TEXT,
  line INTEGER, service TEXT NOT NULL, instance TEXT NOT NULL, environment TEXT NOT NULL,
  execution TEXT NOT NULL, thread TEXT NOT NULL, step INTEGER NOT NULL, data TEXT, clock TEXT, locks TEXT);
CREATE INDEX codewake_trace_events_trace ON trace_events(trace_id, when_ts);
CREATE INDEX codewake_trace_events_variable ON trace_events(name, when_ts) WHERE kind = 'StateChange';
CREATE INDEX codewake_trace_events_when ON trace_events(when_ts);
CREATE INDEX codewake_trace_events_process ON trace_events(process_id, when_ts);
CREATE TABLE event_traces (event_id INTEGER PRIMARY KEY, trace_id TEXT NOT NULL, span_id TEXT NOT NULL);
CREATE INDEX codewake_event_traces_trace ON event_traces(trace_id);
CREATE TRIGGER codewake_event_traces_gone AFTER DELETE ON events BEGIN
  DELETE FROM event_traces WHERE event_id = OLD.id;
END;
)";

std::set<std::string, std::less<>> columns_of(Connection& connection, std::string_view table) {
  std::set<std::string, std::less<>> columns;
  Query query(connection, "SELECT name FROM pragma_table_info(?)", table);
  while (query.step()) columns.insert(query.text(0));
  return columns;
}

void check_columns(const Table& table, const std::set<std::string, std::less<>>& columns,
                   const std::string& path) {
  for (const std::string_view column : table.columns) {
    if (column.empty()) break;
    if (columns.contains(column)) continue;
    throw StoreError(
        StoreError::Kind::unavailable,
        fmt::format("SQLite database {}: its table {} is another program's: it has no column {}; "
                    "name another file; this one was left as it is",
                    path, table.name, column));
  }
}

void make_tables(Connection& connection, const std::string& path) {
  for (const Table& table : older_tables()) {
    const auto columns = columns_of(connection, table.name);
    if (columns.empty()) {
      connection.exec(table.ddl);
    } else {
      check_columns(table, columns, path);
    }
  }
  const auto frame_columns = columns_of(connection, "stackframes");
  for (const AddedColumn& column : kFrameColumns) {
    if (!frame_columns.contains(column.name)) connection.exec(column.ddl);
  }
  connection.exec(kMergeVersions);
  connection.exec(kAdditions);
  connection.exec(kPairIndexTables);
  Query(connection, "INSERT INTO codewake_schema(version) VALUES(?)", kAdditionsVersion).run();
}

void make_trace_tables(Connection& connection, const std::string& path) {
  for (const char* table : {"trace_events", "event_traces"}) {
    if (columns_of(connection, table).empty()) continue;
    throw StoreError(StoreError::Kind::unavailable,
                     fmt::format("SQLite database {}: its table {} is another program's; name another file; "
                                 "this one was left as it is",
                                 path, table));
  }
  connection.exec(kTraceTables);
}

bool is_of_older_tables(std::string_view name) {
  return std::ranges::any_of(older_tables(), [&](const Table& table) { return table.name == name; });
}

/// Judged by the SQL alone, for that is what SQLite runs. A trigger at a table, and a view in its place, have
/// the table's name in their SQL, in some case.
bool is_unknown(std::string_view sql) {
  for (const std::string_view harmless : {"CREATE TABLE ", "CREATE INDEX ", "CREATE UNIQUE INDEX "}) {
    if (sql.starts_with(harmless)) return false;
  }
  for (const std::string_view own : {std::string_view(kTraceTables), std::string_view(kPairIndexTables)}) {
    if (sql.starts_with("CREATE TRIGGER codewake_") && own.find(sql) != own.npos) return false;
  }
  std::string lower(sql);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const auto names = [&](std::string_view table) { return lower.find(table) != lower.npos; };
  constexpr std::string_view kAdded[] = {"codewake_", "journals", "trace_events", "event_traces"};
  return std::ranges::any_of(kAdded, names) ||
         std::ranges::any_of(older_tables(), [&](const Table& table) { return names(table.name); });
}

std::string describe_unknown(const std::string& type, const std::string& name, const std::string& path) {
  return fmt::format(
      "SQLite database {}: its {} {} is not of Code Wake and would run while this process writes; so nothing "
      "is written; look at it (`.schema` of sqlite3) and remove it (DROP {} \"{}\"), or name another file",
      path, type, name, type, name);
}

}  // namespace

SchemaState inspect_schema(Connection& connection, const SqliteParameters& parameters) {
  SchemaState state;
  std::size_t found = 0;
  bool versioned = false;
  {
    Query query(connection, "SELECT type, name, sql FROM sqlite_master");
    while (query.step()) {
      const std::string type = query.text(0), name = query.text(1);
      if (is_unknown(query.bytes(2))) state.unknown = describe_unknown(type, name, parameters.path);
      if (type != "table") continue;
      if (is_of_older_tables(name)) ++found;
      if (name == "codewake_schema") versioned = true;
    }
  }
  state.complete = found == older_tables().size();
  if (!versioned) return state;
  Query query(connection, "SELECT max(version) FROM codewake_schema");
  if (query.step()) state.version = static_cast<int>(query.integer(0));
  if (state.version > kSchemaVersion) {
    throw StoreError(
        StoreError::Kind::unavailable,
        fmt::format(
            "SQLite database {}: its schema has version {}, this library knows {} at most; use a newer "
            "version of the library; the database was left as it is",
            parameters.path, state.version, kSchemaVersion));
  }
  return state;
}

void refuse_unknown(const SchemaState& state) {
  if (!state.unknown.empty()) throw StoreError(StoreError::Kind::unavailable, state.unknown);
}

void upgrade_schema(Connection& connection, const SqliteParameters& parameters) {
  connection.exec("BEGIN IMMEDIATE");
  try {
    const SchemaState state = inspect_schema(connection, parameters);
    refuse_unknown(state);
    const int version = state.version;
    if (version < kAdditionsVersion) make_tables(connection, parameters.path);
    if (version < kTracesVersion) make_trace_tables(connection, parameters.path);
    if (version < kSchemaVersion)
      Query(connection, "UPDATE codewake_schema SET version = ?", kSchemaVersion).run();
    connection.exec("COMMIT");
  } catch (...) {
    if (sqlite3_get_autocommit(connection.handle()) == 0) {
      // Only what was thrown first says what is wrong.
      sqlite3_exec(connection.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
    throw;
  }
}

}  // namespace codewake::internal
