#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "adapters/writing.hpp"
#include "codewake/postgres_store.hpp"
#include "server.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

/// How often the tables that grow have been read from end to end. Waits for the store's connections to be
/// gone: that is when a connection's numbers are told.
std::int64_t full_scans(const Database& database) {
  while (database.number(
             "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'codewake' AND datname = "
             "current_database()") > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return database.number(
      "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname IN ('events', 'events_data')");
}

TEST_CASE("look-ups by data, pages, exceptions and single events read no table from end to end") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  {
    PostgresStore store(database.dsn());
    write_events(store, "app", "key", numbered("v", 20'000));
    write_events(store, "app", "common", std::vector<std::string>(20'000, "yes"));
    write_rare_events(store, 20, 40'000);
    CHECK(store.shutdown(std::chrono::seconds(5)));
  }
  for (const bool analyzed : {false, true}) {
    CAPTURE(analyzed);
    if (analyzed) database.exec("ANALYZE");
    const std::int64_t before = full_scans(database);
    PostgresStore store(database.dsn());
    const auto found = store.get_events_by_data({{"key", "v777"}});
    REQUIRE(found.size() == 1);
    CHECK(store.get_events_by_data({{"common", "yes"}, {"key", "v1"}}).empty());
    CHECK(store.get_events_by_data({{"key", "nothing"}}).empty());
    CHECK(store.get_event_by_id(found[0].id).has_value());
    CHECK(store.get_events({.where = {{"key", "v777"}}}).events.size() == 1);
    EventPage page = store.get_events({.limit = 50});
    CHECK(page.events.size() == 50);
    CHECK(store.get_events({.limit = 50, .cursor = page.next}).events.size() == 50);
    CHECK(store.get_events({.process_id = found[0].process_id, .limit = 50}).events.size() == 50);
    CHECK(store.get_events({.app_name = "app", .limit = 50}).events.size() == 50);
    check_rare_events_are_found(store, 20);
    CHECK(store.shutdown(std::chrono::seconds(5)));
    CHECK(full_scans(database) == before);
  }
}

}  // namespace
}  // namespace codewake::testing
