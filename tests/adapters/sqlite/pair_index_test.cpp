// The index of pairs: what it finds must be what a scan of the tables finds.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "codewake/sqlite_store.hpp"
#include "support.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

std::vector<std::string> numbered(int from, int count) {
  std::vector<std::string> values;
  for (int i = from; i < from + count; ++i) values.push_back("value " + std::to_string(i));
  return values;
}

std::vector<Id> ids_of(const std::vector<EventRecord>& events) {
  std::vector<Id> ids;
  for (const EventRecord& event : events) ids.push_back(event.id);
  return ids;
}

std::vector<Id> scanned(Database& database, const std::string& value) {
  std::vector<Id> ids;
  for (const auto& row :
       database.rows("SELECT DISTINCT event_id FROM events_data WHERE \"key\" = 'key' AND val = '" + value +
                     "' ORDER BY 1")) {
    ids.push_back(std::stoll(row[0]));
  }
  return ids;
}

void check_found(SqliteStore& store, Database& database, const std::string& value) {
  CAPTURE(value);
  const std::vector<Id> expected = scanned(database, value);
  CHECK(ids_of(store.get_events_by_data({{"key", value}})) == expected);
  std::vector<Id> paged;
  EventQuery query{.where = {{"key", value}}, .limit = 1'000};
  do {
    const EventPage page = store.get_events(query);
    for (const EventRecord& event : page.events) paged.push_back(event.id);
    query.cursor = page.next;
  } while (!query.cursor.empty());
  std::sort(paged.begin(), paged.end());
  CHECK(paged == expected);
}

TEST_CASE("a pair is found in the runs and in the rows behind them, rare or common") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  Database database(folder / "events.sqlite");
  const std::vector<std::string> common(6'000, "common");
  for (int round = 0; round < 12; ++round) {
    write_events(store, "app", "key", common);
    write_events(store, "app", "key", numbered(round * 3'000, 4'000));  // a quarter of them twice
  }
  CHECK(database.number("SELECT count(*) FROM codewake_pair_runs") >= 2);
  CHECK(database.number("SELECT indexed_to < (SELECT max(id) FROM events_data) FROM codewake_pair_state") ==
        1);
  for (const char* value :
       {"value 0", "value 3000", "value 3999", "value 17500", "value 36999", "none", "common"}) {
    check_found(store, database, value);
  }
  CHECK(store.get_events_by_data({{"key", "common"}, {"key", "value 1"}}).empty());
  CHECK(store.get_events_by_data({{"key", "value 1"}}, 2).size() == 1);
  CHECK(store.get_events_by_data({{"key", "value 1"}}, 1).empty());
  CHECK(store.get_events_by_data({{"key", std::nullopt}}).empty());
}

TEST_CASE("rows that another program wrote, changed or deleted are found as they are") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  Database database(folder / "events.sqlite");
  write_events(store, "app", "key", numbered(0, 40'000));
  REQUIRE(database.number("SELECT indexed_to FROM codewake_pair_state") == 40'000);
  database.exec(
      "INSERT INTO events(when_ts, process_id) VALUES(1.0, 1); INSERT INTO events_data(\"key\", val, "
      "event_id) "
      "VALUES('key', 'theirs', 40001), ('key', CAST('blob' AS BLOB), 40001)");
  check_found(store, database, "theirs");
  CHECK(ids_of(store.get_events_by_data({{"key", "blob"}})) == std::vector<Id>{40'001});
  database.exec("UPDATE events_data SET val = 'changed' WHERE id = 39990");
  check_found(store, database, "changed");
  check_found(store, database, "value 39989");
  database.exec("DELETE FROM events_data WHERE id > 39000; DELETE FROM events WHERE id > 39000");
  check_found(store, database, "value 39500");
  write_events(store, "app", "key", numbered(50'000, 100));  // these get the ids of what was deleted
  check_found(store, database, "value 50050");
  database.exec("DELETE FROM events_data; DELETE FROM events");
  check_found(store, database, "value 5");
  write_events(store, "app", "key", numbered(0, 40'000));
  check_found(store, database, "value 5");
}

TEST_CASE("what the writer remembers of its rows counts only as long as they are as it wrote them") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  SqliteStore other(dsn_of(folder / "events.sqlite"));
  Database database(folder / "events.sqlite");
  write_events(store, "app", "key", numbered(0, 10'000));
  write_events(other, "app", "key", numbered(10'000, 10'000));
  write_events(store, "app", "key", numbered(20'000, 10'000));
  database.exec("UPDATE events_data SET val = 'changed' WHERE id = 25000");
  const ProcessInfo info{.app_name = "app"};
  const std::vector<BatchProcess> processes = {{.info = &info}, {.id = 4711}};
  const AttributeView refused{"key", "refused"};
  const std::vector<BatchEvent> events(5'000, {.has_data = true, .data = std::span(&refused, 1)});
  store_error(StoreError::Kind::rejected, [&] { store.write({.processes = processes, .events = events}); });
  write_events(store, "app", "key", numbered(30'000, 2'767));
  CHECK(database.number("SELECT indexed_to FROM codewake_pair_state") == 0);
  write_events(store, "app", "key", numbered(32'767, 1));
  CHECK(database.number("SELECT indexed_to FROM codewake_pair_state") == 32'768);
  write_events(store, "app", "key", numbered(32'768, 32'767));
  CHECK(database.number("SELECT indexed_to FROM codewake_pair_state") == 32'768);
  write_events(store, "app", "key", numbered(65'535, 1));
  CHECK(database.number("SELECT indexed_to FROM codewake_pair_state") == 65'536);
  CHECK(database.number("SELECT sum(entries) FROM codewake_pair_runs") == 65'536);
  for (const char* value :
       {"value 1", "value 15000", "changed", "value 24999", "value 32767", "value 50000", "value 65535"}) {
    check_found(store, database, value);
  }
}

TEST_CASE("ids that are used up or negative are refused, and nothing is stored") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(folder / "events.sqlite"));
  Database database(folder / "events.sqlite");
  store.get_apps();
  for (const char* id : {"-5", "9223372036854775800"}) {
    CAPTURE(id);
    for (const std::string table :
         {"events(id, when_ts, process_id) VALUES(", "events_data(id, event_id, \"key\") VALUES("}) {
      database.exec("INSERT INTO " + table + id + ", 1, 1)");
      store_error(StoreError::Kind::unavailable, [&] { write_events(store, "app", "key", numbered(0, 10)); });
      CHECK(store.get_apps().empty());
      database.exec("DELETE FROM events; DELETE FROM events_data");
    }
  }
  write_events(store, "app", "key", numbered(0, 10));
  check_found(store, database, "value 5");
}

TEST_CASE("runs are merged, and nothing gets lost on the way") {
  const TemporaryFolder folder;
  SqliteStore store({dsn_of(folder / "events.sqlite"), "synchronous=off"});
  constexpr int kEvents = 1'000, kAttributes = 100, kBatches = 12;
  const ProcessInfo info{.app_name = "app"};
  const BatchProcess process{.info = &info};
  for (int batch = 0; batch < kBatches; ++batch) {
    std::vector<std::string> values = numbered(batch * kEvents * kAttributes, kEvents * kAttributes);
    std::vector<AttributeView> attributes;
    for (const std::string& value : values) attributes.push_back({"key", value});
    std::vector<BatchEvent> events(kEvents);
    for (std::size_t i = 0; i < events.size(); ++i) {
      events[i] = {.has_data = true, .data = std::span(attributes).subspan(i * kAttributes, kAttributes)};
    }
    store.write({.processes = std::span(&process, 1), .events = events});
    for (int i = 0; i < 2; ++i)
      store.write({.processes = std::span(&process, 1), .events = std::span(events).first(1)});
  }
  Database database(folder / "events.sqlite");
  while (database.number("SELECT count(*) FROM codewake_pair_runs WHERE level = 1") == 0) {
    const auto before = database.number("SELECT indexed_to FROM codewake_pair_state");
    write_events(store, "app", "key", numbered(2'000'000, 33'000));
    REQUIRE(database.number("SELECT indexed_to FROM codewake_pair_state") > before);
  }
  for (const char* value :
       {"value 0", "value 99", "value 100000", "value 555555", "value 1199999", "value 2000000"}) {
    CAPTURE(value);
    CHECK(ids_of(store.get_events_by_data({{"key", value}})) == scanned(database, value));
  }
}

}  // namespace
}  // namespace codewake::testing
