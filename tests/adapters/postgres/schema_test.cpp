#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "adapters/writing.hpp"
#include "codewake/postgres_store.hpp"
#include "server.hpp"
#include "support/child.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string older_ddl() {
  return read_file(test_data("reference/pycodewake-schema-postgres.sql"));
}

/// What Code Wake for Python wrote: an app in two versions, one of them twice, two events, a stack trace.
void make_older(const Database& database) {
  database.exec(older_ddl());
  database.exec(R"(
    INSERT INTO environments(name) VALUES('production');
    INSERT INTO apps(name) VALUES('shop');
    INSERT INTO app_vsns(vsn, app_id) VALUES('1.0', 1), ('1.0', 1), ('2.0', 1);
    INSERT INTO processes(run_ts, environment_id, pid, username, fqdn, exe_path, app_id, app_vsn_id)
      VALUES(1795311246.779324, 1, 20444, 'shop', 'localhost', '/usr/bin/python3', 1, 2),
            (1795311247, NULL, NULL, NULL, NULL, NULL, 1, 3);
    INSERT INTO stacktraces(digest) VALUES(sha256('stack'));
    INSERT INTO stackframes(stacktrace_id, filename, lineno, src) VALUES(1, 'main.py', 1, 'main()'),
      (1, 'shop.py', 22, 'raise Broken()');
    INSERT INTO events(when_ts, process_id, digest, stacktrace_id)
      VALUES(1795311246.9, 1, sha256('data'), 1), (1795311247.5, 2, NULL, NULL);
    INSERT INTO events_data("key", val, event_id) VALUES('event', 'fault', 1), ('doing', NULL, 1))");
}

Rows columns_of(const Database& database) {
  return database.rows(
      "SELECT table_name, column_name, is_nullable, data_type FROM information_schema.columns "
      "WHERE table_schema = 'public' ORDER BY table_name, column_name");
}

Rows indexes_of(const Database& database) {
  return database.rows(
      "SELECT regexp_replace(indexdef, 'INDEX [^ ]+', '') FROM pg_indexes WHERE schemaname = 'public' ORDER "
      "BY 1");
}

TEST_CASE(
    "a new database has the columns, keys and unique names of the reference, and no more than it adds") {
  CODEWAKE_NEEDS_SERVER();
  const Database made, reference;
  PostgresStore(made.dsn()).get_apps();
  reference.exec(older_ddl());
  const Rows ours = columns_of(made);
  for (std::vector<std::string> column : columns_of(reference)) {
    CAPTURE(column[0] + "." + column[1]);
    if (column[3] == "integer") column[3] = "bigint";
    CHECK(std::find(ours.begin(), ours.end(), column) != ours.end());
  }
  for (const auto& column : ours) {
    const bool is_added = column[0] == "journals" || column[0] == "codewake_schema" ||
                          column[0] == "trace_events" || column[0] == "event_traces" ||
                          (column[0] == "stackframes" && column[2] == "YES");
    if (!is_added)
      CHECK(reference.number("SELECT count(*) FROM information_schema.columns WHERE table_name = '" +
                             column[0] + "' AND column_name = '" + column[1] + "'") == 1);
  }
  const Rows indexes = indexes_of(made);
  for (const auto& index : indexes_of(reference)) {
    CAPTURE(index[0]);
    CHECK(std::find(indexes.begin(), indexes.end(), index) != indexes.end());
  }
  CHECK(made.number("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid IN "
                    "('events'::regclass, 'events_data'::regclass)") == 0);
}

TEST_CASE("what Code Wake for Python inserts goes on working, beside the store, with ids from one sequence") {
  CODEWAKE_NEEDS_SERVER();
  for (const bool older : {false, true}) {
    CAPTURE(older);
    const Database database;
    if (older) make_older(database);
    PostgresStore store(database.dsn());
    write_events(store, "app", "key", numbered("v", 3));
    const auto id = database.number(
        "INSERT INTO events(when_ts, process_id) SELECT 1, max(id) FROM processes RETURNING id");
    database.exec("INSERT INTO events_data(\"key\", val, event_id) VALUES('key', 'python', " +
                  std::to_string(id) + ")");
    write_events(store, "app", "key", numbered("w", 3));
    CHECK(store.get_events_by_data({{"key", "python"}}).size() == 1);
    CHECK(store.get_events_by_data({{"key", "w2"}}).size() == 1);
    CHECK(store.get_events_by_data({}).size() == (older ? 9 : 7));
  }
}

TEST_CASE("a database of Code Wake for Python is upgraded in place and keeps all that it had") {
  CODEWAKE_NEEDS_SERVER();
  const Database database, fresh;
  make_older(database);
  PostgresStore store(database.dsn());
  const auto events = store.get_events_by_data({});
  REQUIRE(events.size() == 2);
  CHECK(events[0].data == Attributes{{"event", "fault"}, {"doing", nullptr}});
  CHECK(events[0].digest.has_value());
  REQUIRE(events[0].frames.size() == 2);
  CHECK(events[0].frames[0].filename == "shop.py");
  CHECK(events[0].frames[1].src == "main()");
  CHECK_FALSE(events[1].digest.has_value());
  CHECK(store.get_process_by_id(1)->app_vsn == AppVersionRecord{1, "1.0", 1});  // two rows of it became one
  CHECK(store.get_process_by_id(2)->app_vsn == AppVersionRecord{3, "2.0", 1});
  CHECK(store.get_app_vsns(1).size() == 2);
  CHECK(store.get_events_by_data({{"doing", std::nullopt}}).size() == 1);
  PostgresStore(fresh.dsn()).get_apps();
  CHECK(columns_of(database) == columns_of(fresh));
  CHECK(indexes_of(database) == indexes_of(fresh));
  database.exec("SELECT setval('events_id_seq', 3000000000)");  // no longer four bytes
  write_events(store, "app", "key", numbered("v", 1));
  CHECK(store.get_events_by_data({{"key", "v0"}}).at(0).id == 3'000'000'001);
}

TEST_CASE("a database of Code Wake for Python that may only be read is read without an upgrade") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  make_older(database);
  database.exec("ALTER DATABASE " + database.name() + " SET default_transaction_read_only = on");
  PostgresStore store(database.dsn());
  CHECK(store.get_events_by_data({}).size() == 2);
  CHECK(store.get_events_by_data({{"event", "fault"}}).size() == 1);
  CHECK(store.get_events({.where = {{"event", "fault"}}}).events.size() == 1);
  CHECK(store.get_exceptions({}).size() == 1);
  CHECK(store.get_event_by_id(1)->frames.size() == 2);
  CHECK(store.get_positions("").empty());
  CHECK(contains(store_error(StoreError::Kind::unavailable, [&] { store.insert_app("app", {}); }), "25006"));
  CHECK(database.number("SELECT count(*) FROM pg_class WHERE relname = 'codewake_schema'") == 0);
}

TEST_CASE("a database of a newer version is refused, also one that is upgraded while it is open") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  store.insert_app("app", {});
  CHECK(store.get_apps().size() == 1);
  database.exec("UPDATE codewake_schema SET version = 99");
  for (const auto& work :
       std::vector<std::function<void()>>{[&] { store.insert_app("other", {}); },
                                          [&] { write_events(store, "other", "key", numbered("v", 1)); },
                                          [&] { PostgresStore(database.dsn()).get_apps(); }}) {
    CHECK(contains(store_error(StoreError::Kind::unavailable, work),
                   "its schema has version 99, this library "
                   "knows 2 at most"));
  }
  CHECK(store.get_apps().size() == 1);
}

TEST_CASE("another program's table of the same name is refused and left as it is") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  database.exec("CREATE TABLE events(id BIGINT PRIMARY KEY, title TEXT)");
  PostgresStore store(database.dsn());
  CHECK(contains(store_error(StoreError::Kind::unavailable, [&] { store.insert_app("app", {}); }),
                 "its table events is another program's: it has no column when_ts"));
  CHECK(database.number("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 1);
  database.exec("DROP TABLE events");
  CHECK(store.insert_app("app", {}).app.id == 1);
}

TEST_CASE("tables that are dropped while they are open are made anew") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  store.insert_app("app", {});
  database.exec("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
  CHECK(contains(store_error(StoreError::Kind::unavailable, [&] { store.insert_app("app", {}); }), "42P01"));
  CHECK(store.insert_app("app", {}).app.id == 1);
}

TEST_CASE("a schema that the search path names is used, and no other is touched") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  database.exec("CREATE SCHEMA mine");
  PostgresStore store(database.dsn("&options=-csearch_path%3Dmine"));
  write_events(store, "app", "key", numbered("v", 2));
  CHECK(store.get_events_by_data({{"key", "v1"}}).size() == 1);
  CHECK(database.number("SELECT count(*) FROM mine.events") == 2);
  CHECK(database.number("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0);
}

TEST_CASE("a database whose encoding cannot hold every text is refused") {
  CODEWAKE_NEEDS_SERVER();
  const Database database("ENCODING 'LATIN1'");
  PostgresStore store(database.dsn());
  CHECK(contains(store_error(StoreError::Kind::unavailable, [&] { store.insert_app("app", {}); }),
                 "its encoding is LATIN1"));
}

TEST_CASE("eight processes that open a database for the first time at once make one of it") {
  CODEWAKE_NEEDS_SERVER();
  for (const bool older : {false, true}) {
    CAPTURE(older);
    const Database database;
    if (older) database.exec(older_ddl());
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
      children.push_back(start_child([&] { PostgresStore(database.dsn()).insert_app("app", "1.0"); }));
    }
    for (const pid_t child : children) CHECK(wait_for(child) == 0);
    CHECK(database.number("SELECT count(*) FROM codewake_schema") == 1);
    CHECK(database.number("SELECT count(*) FROM apps WHERE name = 'app'") == 1);
    CHECK(database.number("SELECT count(*) FROM app_vsns") == 1);
  }
}

}  // namespace
}  // namespace codewake::testing
