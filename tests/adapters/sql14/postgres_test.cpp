// The same name on a PostgreSQL server; what that store does is tested in its own folder.
#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "adapters/postgres/server.hpp"
#include "codewake/postgres_store.hpp"
#include "codewake/sql14_store.hpp"
#include "support/journal_folder.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

TEST_CASE("events reach PostgreSQL through Sql14Store and through Sql14QueueStore") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  const JournalFolder journal;
  const AttributeArgument attribute("who", "sql14");
  const EventInput event{.data = std::span(&attribute, 1)};
  Sql14Store store(database.dsn());
  store.insert_process({.app_name = "shop", .app_vsn = "1.0", .env_name = "test"});
  const auto stored = store.insert_event(event, true);
  REQUIRE(stored);
  CHECK(store.get_event_by_id(stored->id) == stored);

  Config::Queue options;
  options.journal = journal.path().string();
  Sql14QueueStore queueing(options, database.dsn());
  CHECK(queueing.queues());
  queueing.insert_process({.app_name = "queueing shop"}, false);
  for (int i = 0; i < 100; ++i) queueing.insert_event(event);
  CHECK(queueing.shutdown(std::chrono::seconds(60)));
  CHECK(database.number("SELECT count(*) FROM events") == 101);
  CHECK(store.get_events_by_data({{"who", "sql14"}}).size() == 101);
  CHECK(store.get_apps().size() == 2);
  CHECK(store.identity() == PostgresStore(database.dsn()).identity());
}

}  // namespace
}  // namespace codewake::testing
