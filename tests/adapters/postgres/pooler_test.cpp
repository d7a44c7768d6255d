// Behind a pooler of transactions: each goes to whichever of the server's connections is idle, and other
// clients have had it before.
#include <doctest/doctest.h>

#include <exception>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "adapters/writing.hpp"
#include "codewake/postgres_store.hpp"
#include "pooler.hpp"
#include "server.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

#define CODEWAKE_NEEDS_POOLER()                                                                  \
  do {                                                                                           \
    CODEWAKE_NEEDS_SERVER();                                                                     \
    if (const std::string missing = Pooler::missing(); !missing.empty()) CODEWAKE_SKIP(missing); \
  } while (false)

/// Stores that write and read at once, in threads of their own; what failed, each message once on a line.
std::string write_at_once(const std::string& dsn, int stores, int batches) {
  std::mutex mutex;
  std::set<std::string> failures;
  std::vector<std::thread> threads;
  for (int number = 0; number < stores; ++number) {
    threads.emplace_back([&, number] {
      try {
        PostgresStore store(dsn);
        for (int batch = 0; batch < batches; ++batch) {
          const int events = batch % 10 == 0 ? 600 : 20;  // by COPY, and by INSERT
          write_events(store, "app-" + std::to_string(number), "key",
                       numbered(std::to_string(number) + "/" + std::to_string(batch) + "/",
                                static_cast<std::size_t>(events)));
          if (batch % 5 == 0) store.get_events({.limit = 5});
        }
      } catch (const std::exception& error) {
        const std::lock_guard lock(mutex);
        failures.insert(error.what());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::string lines;
  for (const std::string& failure : failures) lines += failure + '\n';
  return lines;
}

std::int64_t events_of(int stores, int batches) {
  return std::int64_t{stores} * (batches / 10 * 600 + batches * 9 / 10 * 20);
}

TEST_CASE("four stores on two connections of a pooler lose nothing, and none fails") {
  CODEWAKE_NEEDS_POOLER();
  constexpr int kStores = 4, kBatches = 100;
  for (const char* query : {"", "&prepared_statements=off"}) {
    CAPTURE(query);
    const Database database;
    const Pooler pooler(Server::instance(), 2);
    CHECK(write_at_once(pooler.dsn(database, query), kStores, kBatches) == "");
    CHECK(database.number("SELECT count(DISTINCT val) FROM events_data") == events_of(kStores, kBatches));
    CHECK(database.number("SELECT count(*) FROM events") == events_of(kStores, kBatches));
    CHECK(database.number("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                          "pid <> pg_backend_pid()") <= 2);
  }
}

TEST_CASE("a pooler that uses each of its connections once is not noticed") {
  CODEWAKE_NEEDS_POOLER();
  constexpr int kStores = 3, kBatches = 50;
  const Database database;
  const Pooler pooler(Server::instance(), 2, "server_lifetime = 0");
  CHECK(write_at_once(pooler.dsn(database), kStores, kBatches) == "");
  CHECK(database.number("SELECT count(DISTINCT val) FROM events_data") == events_of(kStores, kBatches));
}

TEST_CASE("no setting of a store is left to the pooler's other clients") {
  CODEWAKE_NEEDS_POOLER();
  const Database database;
  const Pooler pooler(Server::instance(), 1);
  const std::string settings =
      "SELECT name, setting FROM pg_settings WHERE source IN ('session', 'client') AND name <> "
      "'application_name' AND name NOT LIKE 'transaction%' ORDER BY name";  // as this transaction has them
  pqxx::connection other(pooler.conninfo(database.name()));
  const auto as_text = [&] {
    std::string text;
    for (const pqxx::row& row : pqxx::nontransaction(other).exec(settings)) {
      text += std::string(row[0].c_str()) + "=" + row[1].c_str() + "\n";
    }
    return text;
  };
  const std::string before = as_text();
  PostgresStore store(pooler.dsn(database, "&statement_timeout=7s"));
  write_events(store, "app", "key", numbered("v", 10));
  write_events(store, "app", "key", numbered("v", 5'000));
  store.insert_app("other", {});
  store.get_events({});
  store.get_traces({});
  store.get_exceptions({});
  store.remove_older(Time(), 10);
  CHECK(as_text() == before);
}

}  // namespace
}  // namespace codewake::testing
