#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "codewake/sqlite_store.hpp"
#include "support.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

using Rows = std::vector<std::vector<std::string>>;

const std::vector<std::string> kOlderTables = {"environments", "apps",      "stacktraces", "app_vsns",
                                               "stackframes",  "processes", "events",      "events_data"};

/// Name, type, NOT NULL and place in the primary key, without the columns that were added.
Rows columns_of(Database& database, const std::string& table) {
  return database.rows(
      "SELECT name, type, \"notnull\", pk FROM pragma_table_info('" + table +
      "') WHERE NOT (name IN ('function', 'module', 'build_id', 'offset') AND \"notnull\" = 0) ORDER BY cid");
}

Rows unique_of(Database& database, const std::string& table) {
  return database.rows("SELECT l.origin, i.name FROM pragma_index_list('" + table +
                       "') l JOIN pragma_index_info(l.name) i WHERE l.origin IN ('u', 'pk')");
}

/// A write that adds nothing makes a database, and upgrades an older one.
void open_once(const std::filesystem::path& file) {
  SqliteStore(dsn_of(file)).forget_positions("none");
}

TEST_CASE("a new database has the tables of the reference, apart from the columns that were added") {
  const TemporaryFolder folder;
  open_once(folder / "new.sqlite");
  Database made(folder / "new.sqlite");
  Database reference(folder / "ddl.sqlite");
  reference.exec(read_file(test_data("reference/pycodewake-schema-sqlite.sql")));
  for (const std::string& table : kOlderTables) {
    CAPTURE(table);
    CHECK(columns_of(made, table) == columns_of(reference, table));
    CHECK(unique_of(made, table) == unique_of(reference, table));
    CHECK(made.rows("SELECT * FROM pragma_foreign_key_list('" + table + "')") ==
          reference.rows("SELECT * FROM pragma_foreign_key_list('" + table + "')"));
  }
  CHECK(made.rows("PRAGMA journal_mode") == Rows{{"wal"}});
}

TEST_CASE("an upgraded database has the tables, indexes and triggers of a new one") {
  const TemporaryFolder folder;
  const auto older = copy_reference(folder.path());
  open_once(older);
  open_once(folder / "new.sqlite");
  const std::string additions =
      "SELECT type, name, sql FROM sqlite_master WHERE name LIKE 'codewake%' OR name IN ('journals', "
      "'trace_events', 'event_traces') ORDER BY 1, 2";
  Database upgraded(older), made(folder / "new.sqlite");
  CHECK(upgraded.rows(additions) == made.rows(additions));
  CHECK(upgraded.rows("SELECT name, type, \"notnull\" FROM pragma_table_info('stackframes')") ==
        made.rows("SELECT name, type, \"notnull\" FROM pragma_table_info('stackframes')"));
}

TEST_CASE("versions that two Python processes inserted twice become one, and no process loses its version") {
  const TemporaryFolder folder;
  const auto file = copy_reference(folder.path());
  {
    Database database(file);
    database.exec(
        "INSERT INTO app_vsns(id, vsn, app_id) VALUES(10, '1.0.0', 1), (11, '1.0.0', 1), (12, '1.0.0', 2)");
    database.exec("UPDATE processes SET app_vsn_id = 11 WHERE id = 1");
    database.exec("UPDATE processes SET app_vsn_id = 12 WHERE id = 3");
  }
  SqliteStore store(dsn_of(file));
  CHECK(store.get_process_by_id(1)->app_vsn == AppVersionRecord{1, "1.0.0", 1});
  CHECK(store.get_process_by_id(3)->app_vsn == AppVersionRecord{12, "1.0.0", 2});
  CHECK(store.get_app_vsns(1) == std::vector<AppVersionRecord>{{1, "1.0.0", 1}, {2, "2.0.0", 1}});
  // As the older system left it: a process of app 2 with the version of app 1.
  CHECK(store.get_process_by_id(2)->app.id == 2);
  CHECK(store.get_process_by_id(2)->app_vsn == AppVersionRecord{1, "1.0.0", 1});
}

TEST_CASE("a database of a newer version is refused and left as it is") {
  const TemporaryFolder folder;
  const auto file = copy_reference(folder.path());
  Database(file).exec(
      "CREATE TABLE codewake_schema(version INTEGER NOT NULL); INSERT INTO codewake_schema VALUES(99)");
  const std::string before = read_file(file);
  SqliteStore store(dsn_of(file));
  const std::string message =
      store_error(StoreError::Kind::unavailable, [&] { store.insert_app("app", {}); });
  CHECK(message.find(file.string()) != std::string::npos);
  CHECK(message.find("its schema has version 99, this library knows 2 at most") != std::string::npos);
  store_error(StoreError::Kind::unavailable, [&] { store.get_apps(); });
  CHECK(read_file(file) == before);
}

TEST_CASE("a database that a newer version upgrades while it is open takes no more writes") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  store.insert_app("app", {});
  Database(folder / "events.sqlite").exec("UPDATE codewake_schema SET version = 3");
  CHECK(store_error(StoreError::Kind::unavailable, [&] {
          store.insert_app("other", {});
        }).find("version 3") != std::string::npos);
  CHECK(store.get_apps().size() == 1);
}

TEST_CASE("another program's table of the same name is refused, its other tables are not") {
  const TemporaryFolder folder;
  const auto file = folder / "other.sqlite";
  Database(file).exec(
      "CREATE TABLE orders(id INTEGER PRIMARY KEY); CREATE TABLE events(id INTEGER PRIMARY KEY, title TEXT)");
  const std::string before = read_file(file);
  SqliteStore store(dsn_of(file));
  const std::string message =
      store_error(StoreError::Kind::unavailable, [&] { store.insert_app("app", {}); });
  CHECK(message.find("its table events is another program's: it has no column when_ts") != std::string::npos);
  CHECK(read_file(file) == before);
  Database(file).exec("DROP TABLE events");
  CHECK(store.insert_app("app", {}).app.id == 1);
  CHECK(Database(file).number("SELECT count(*) FROM orders") == 0);
}

TEST_CASE("a trigger or view at the tables that is not of the library is named, and does not run") {
  struct Case {
    std::string what, sql, drop;
  };
  for (const Case& each :
       {Case{"trigger spy", "CREATE TRIGGER spy AFTER INSERT ON Apps BEGIN INSERT INTO seen VALUES(1); END",
             "DROP TRIGGER spy"},
        Case{"trigger codewake_event_traces_gone",
             "DROP TRIGGER codewake_event_traces_gone; CREATE TRIGGER codewake_event_traces_gone AFTER "
             "DELETE ON "
             "events BEGIN INSERT INTO seen VALUES(1); END",
             "DROP TRIGGER codewake_event_traces_gone"},
        Case{"view codewake_extra", "CREATE VIEW codewake_extra AS SELECT 1", "DROP VIEW codewake_extra"}}) {
    CAPTURE(each.what);
    const TemporaryFolder folder;
    const auto file = folder / "events.sqlite";
    SqliteStore store(dsn_of(file));
    store.insert_app("before", {});
    Database(file).exec("CREATE TABLE seen(i); CREATE TRIGGER own AFTER DELETE ON seen BEGIN SELECT 1; END");
    store.insert_app("with another program's trigger", {});
    Database(file).exec(each.sql);
    SqliteStore opened_after(dsn_of(file));
    for (SqliteStore* const writer : {&store, &opened_after}) {
      const std::string message =
          store_error(StoreError::Kind::unavailable, [&] { writer->insert_app("app", {}); });
      CHECK(message.find("its " + each.what + " is not of Code Wake") != std::string::npos);
      CHECK(writer->get_apps().size() == 2);
    }
    CHECK(Database(file).number("SELECT count(*) FROM seen") == 0);
    Database(file).exec(each.drop);
    CHECK(store.insert_app("after", {}).app.id == 3);
  }
}

TEST_CASE("eight processes that open a database for the first time at once make one of it") {
  for (const bool older : {false, true}) {
    CAPTURE(older);
    const TemporaryFolder folder;
    const auto file = older ? copy_reference(folder.path()) : folder / "new.sqlite";
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
      children.push_back(start_child([&] { SqliteStore(dsn_of(file)).insert_app("app", "1.0"); }));
    }
    for (const pid_t child : children) CHECK(wait_for(child) == 0);
    Database database(file);
    CHECK(database.number("SELECT count(*) FROM codewake_schema") == 1);
    CHECK(database.number("SELECT count(*) FROM apps WHERE name = 'app'") == 1);
    CHECK(database.rows("PRAGMA integrity_check") == Rows{{"ok"}});
  }
}

}  // namespace
}  // namespace codewake::testing
