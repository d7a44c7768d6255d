#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "adapters/writing.hpp"
#include "codewake/postgres_store.hpp"
#include "codewake/stacktrace.hpp"
#include "proxy.hpp"
#include "server.hpp"
#include "support/child.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kUnavailable = StoreError::Kind::unavailable;
constexpr auto kRejected = StoreError::Kind::rejected;
constexpr auto kInDoubt = StoreError::Kind::in_doubt;

/// Every row of events_data under the key `sqlstate` fails with its value for a code; under `sometimes`, only
/// the first two times.
void fail_as_told(const Database& database) {
  database.exec(R"(
    CREATE SEQUENCE tries;
    CREATE FUNCTION fail_as_told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF (NEW.key = 'sqlstate' AND NEW.val ~ '^[0-9A-Z]{5}$') OR (NEW.key = 'sometimes' AND nextval('tries') <= 2) THEN
        RAISE EXCEPTION 'as told' USING ERRCODE = NEW.val;
      END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER fail_as_told BEFORE INSERT ON events_data FOR EACH ROW EXECUTE FUNCTION fail_as_told())");
}

TEST_CASE(
    "what the server says becomes unavailable, rejected or in doubt by its SQLSTATE, and nothing is stored") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  store.get_apps();
  fail_as_told(database);
  const std::map<std::string, StoreError::Kind> kinds = {
      {"08006", kUnavailable}, {"08007", kInDoubt},     {"22001", kRejected},    {"22021", kRejected},
      {"2200H", kUnavailable}, {"23502", kRejected},    {"23503", kUnavailable}, {"23505", kUnavailable},
      {"23514", kRejected},    {"25006", kUnavailable}, {"40001", kUnavailable}, {"40003", kInDoubt},
      {"40P01", kUnavailable}, {"42501", kUnavailable}, {"42P01", kUnavailable}, {"53100", kUnavailable},
      {"53300", kUnavailable}, {"54000", kRejected},    {"55P03", kUnavailable}, {"57014", kUnavailable},
      {"57P01", kUnavailable}, {"58030", kUnavailable}, {"P0001", kRejected},    {"XX000", kUnavailable}};
  for (const auto& each : kinds) {  // clang 14 captures no structured binding
    const std::string sqlstate = each.first;
    const StoreError::Kind kind = each.second;
    CAPTURE(sqlstate);
    const std::vector<std::string> values = {sqlstate};
    const std::string message = store_error(kind, [&] { write_events(store, "app", "sqlstate", values); });
    CHECK(contains(message, "as told (SQLSTATE " + sqlstate + ");"));
    CHECK(contains(message, "writing a batch failed"));
  }
  CHECK(store.get_processes({}).empty());
  write_events(store, "app", "key", numbered("v", 1));
  CHECK(store.get_processes({}).size() == 1);
}

TEST_CASE("a deadlock and a serialization failure that pass are not seen") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  store.get_apps();
  fail_as_told(database);
  for (const char* sqlstate : {"40001", "40P01"}) {
    database.exec("SELECT setval('tries', 1, false)");
    const std::vector<std::string> values = {sqlstate};
    write_events(store, "app", "sometimes", values);
  }
  CHECK(store.get_processes({}).size() == 2);
  CHECK(store.get_events_by_data({{"sometimes", "40P01"}}).size() == 1);
}

TEST_CASE("two writers of the same stack traces in opposite order do not fail each other") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  std::vector<Stacktrace> traces;
  for (std::uint32_t i = 0; i < 200; ++i) {
    traces.emplace_back(std::vector<Frame>{{.filename = "f.cpp", .lineno = i, .src = "f();"}});
  }
  const auto write = [&](bool backwards) {
    PostgresStore store(database.dsn());
    const ProcessInfo info{.app_name = "app"};
    const BatchProcess process{.info = &info};
    std::vector<Stacktrace> own = traces;  // a trace is not for two threads at once
    for (int round = 0; round < 10; ++round) {
      std::vector<BatchEvent> events;
      for (std::size_t i = 0; i < own.size(); ++i) {
        events.push_back({.when = info.run_ts, .stacktrace = &own[backwards ? own.size() - 1 - i : i]});
      }
      store.write({.processes = std::span(&process, 1), .events = events});
    }
  };
  auto one = std::async(std::launch::async, write, false),
       other = std::async(std::launch::async, write, true);
  CHECK_NOTHROW(one.get());
  CHECK_NOTHROW(other.get());
  CHECK(database.number("SELECT count(*) FROM stacktraces") == 200);
  CHECK(database.number("SELECT count(*) FROM stackframes") == 200);
}

TEST_CASE("a lock that another program keeps is unavailable once statement_timeout is over") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store({database.dsn(), "statement_timeout=1s"});
  store.insert_app("app", {});
  database.exec("BEGIN");
  database.exec("LOCK TABLE apps");
  const std::string message = store_error(kUnavailable, [&] { store.insert_app("other", {}); });
  CHECK((contains(message, "57014") || contains(message, "55P03")));
  database.exec("COMMIT");
  CHECK(store.insert_app("other", {}).app.id > 1);
}

TEST_CASE("a server that hangs holds nobody up for longer than the timeouts") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn("&connect_timeout=2&statement_timeout=1s"));
  store.insert_app("app", {});
  Server::instance().freeze(true);
  const auto before = std::chrono::steady_clock::now();
  const std::string message = store_error(kUnavailable, [&] { store.insert_app("other", {}); });
  const auto took = std::chrono::steady_clock::now() - before;
  Server::instance().freeze(false);
  CHECK((contains(message, "silent") || contains(message, "timeout expired")));
  CHECK(took < seconds(20));  // two seconds each, on a machine that is not loaded
  CHECK(store.insert_app("other", {}).app.id > 1);
}

TEST_CASE("a network that drops everything delays no call for longer than the timeouts") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  Proxy proxy(Server::instance().socket());
  PostgresStore store("postgresql://tester@127.0.0.1:" + std::to_string(proxy.port()) + "/" +
                      database.name() +
                      "?sslmode=disable&gssencmode=disable&connect_timeout=2&statement_timeout=1s");
  const std::vector<std::string> few = numbered("v", 10), many = numbered("v", 50'000);
  const std::map<std::string, std::function<void()>> calls = {
      {"a read", [&] { store.get_apps(); }},
      {"a small batch", [&] { write_events(store, "app", "key", few); }},
      {"a large batch, in the middle of COPY", [&] { write_events(store, "app", "key", many); }},
      {"a transaction by libpqxx", [&] { store.insert_app("app", {}); }}};
  std::int64_t stored = 0;
  for (const auto& each : calls) {
    const std::string what = each.first;
    CAPTURE(what);
    CHECK_NOTHROW(each.second());
    const std::int64_t before = database.number("SELECT count(*) FROM events");
    proxy.be_silent_after(what.starts_with("a large") ? 1 << 20 : 1);
    const auto began = std::chrono::steady_clock::now();
    // Connecting anew takes two seconds more, and fails as well.
    store_error(kUnavailable, each.second);
    CHECK(std::chrono::steady_clock::now() - began < seconds(20));
    proxy.be_silent(false);
    CHECK_NOTHROW(store.get_apps());
    stored = database.number("SELECT count(*) FROM events");
    CHECK(stored == before);
  }
  CHECK(stored == 50'010);
}

TEST_CASE("connections that the server ends in the middle of anything lose and double nothing") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  store.get_apps();
  std::atomic<bool> done{false};
  std::thread killer([&] {
    const Database elsewhere;
    while (!done) {
      elsewhere.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" +
                     database.name() + "' AND application_name = 'codewake'");
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  const ProcessInfo info{.app_name = "app"};
  const BatchProcess process{.info = &info};
  const std::vector<std::string> values = numbered("v", 400);
  std::uint64_t told = 0, next = 1;
  for (int round = 0; round < 150; ++round) {
    const bool copies = round % 3 == 0;  // 1,200 rows
    std::vector<AttributeView> attributes;
    for (std::size_t i = 0; i < (copies ? values.size() : 20); ++i) attributes.push_back({"key", values[i]});
    std::vector<BatchEvent> events;
    for (const AttributeView& attribute : attributes) {
      events.push_back({.when = info.run_ts, .has_data = true, .data = std::span(&attribute, 1)});
    }
    const JournalPosition position{.segment = "run/1", .position = next};
    try {
      store.write(
          {.processes = std::span(&process, 1), .events = events, .positions = std::span(&position, 1)});
      told += events.size();
      ++next;
    } catch (const StoreError& error) {
      REQUIRE(error.kind() != kRejected);
      std::vector<StoredPosition> positions;
      while (true) {
        try {
          positions = store.get_positions("run/");
          break;
        } catch (const StoreError&) {
          std::this_thread::sleep_for(milliseconds(1));
        }
      }
      if (!positions.empty() && positions[0].position == next) {
        CHECK(error.kind() == kInDoubt);
        told += events.size();
        ++next;
      }
    }
  }
  done = true;
  killer.join();
  CHECK(database.number("SELECT count(*) FROM events") == static_cast<std::int64_t>(told));
  CHECK(database.number("SELECT position FROM journals") == static_cast<std::int64_t>(next - 1));
}

TEST_CASE("a server that is not there is one clear error, and the store goes on when it comes") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  store.insert_app("app", {});
  CHECK(store.get_apps().size() == 1);
  Server::instance().crash();
  CHECK(contains(store_error(kUnavailable, [&] { store.insert_app("other", {}); }),
                 "check that the server runs"));
  store_error(kUnavailable, [&] { store.get_apps(); });
  Server::instance().start();
  CHECK(store.insert_app("other", {}).app.id > 1);
  CHECK(store.get_apps().size() == 2);
}

TEST_CASE("a server that was restarted between two calls is not noticed") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  write_events(store, "app", "key", numbered("v", 2));
  CHECK(store.get_apps().size() == 1);
  Server::instance().crash();
  Server::instance().start();
  write_events(store, "app", "key", numbered("w", 2));
  CHECK(store.get_events_by_data({{"key", "w1"}}).size() == 1);
}

TEST_CASE("a database that is not there, and a user that is not, are each one clear error") {
  CODEWAKE_NEEDS_SERVER();
  const std::string at = "?host=" + Server::instance().socket_folder();
  Server::instance();
  PostgresStore nowhere("postgresql://tester@/nowhere" + at);
  CHECK(contains(store_error(kUnavailable, [&] { nowhere.get_apps(); }),
                 "database \"nowhere\" does not exist"));
  PostgresStore nobody("postgresql://nobody@/postgres" + at);
  CHECK(contains(store_error(kUnavailable, [&] { nobody.get_apps(); }), "role \"nobody\" does not exist"));
}

TEST_CASE("a server that may only be read is unavailable, and the store looks for a better one each time") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  write_events(store, "app", "key", numbered("v", 1));
  const std::string alter = "ALTER DATABASE " + database.name();
  database.exec(alter + " SET default_transaction_read_only = on");
  database.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'codewake'");
  for (int i = 0; i < 2; ++i) {
    CHECK(contains(store_error(kUnavailable, [&] { write_events(store, "app", "key", numbered("w", 1)); }),
                   "25006"));
  }
  CHECK(store.get_events_by_data({{"key", "v0"}}).size() == 1);
  database.exec("SET transaction_read_only = off; SET default_transaction_read_only = off; " + alter +
                " RESET default_transaction_read_only");
  write_events(store, "app", "key", numbered("w", 1));
  CHECK(store.get_events_by_data({{"key", "w0"}}).size() == 1);
}

TEST_CASE("where the answer to COMMIT is lost, the write is in doubt, stored or not") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  Proxy proxy(Server::instance().socket());
  PostgresStore store("postgresql://tester@127.0.0.1:" + std::to_string(proxy.port()) + "/" +
                      database.name() + "?sslmode=disable&gssencmode=disable");
  write_events(store, "app", "key", numbered("before", 1));
  for (const Proxy::Fate fate : {Proxy::Fate::done, Proxy::Fate::dropped, Proxy::Fate::done_late}) {
    const auto stored = database.number("SELECT count(*) FROM processes");
    proxy.cut_at_commit(fate);
    const ProcessInfo info{.app_name = "app"};
    const BatchProcess process{.info = &info};
    const std::string segment = "run-" + std::to_string(proxy.met()) + "/a";
    const JournalPosition position{.segment = segment, .position = 7};
    const std::string message = store_error(kInDoubt, [&] {
      store.write({.processes = std::span(&process, 1), .events = {}, .positions = std::span(&position, 1)});
    });
    CHECK(contains(message, "while COMMIT was under way"));
    // What get_positions answers is final, also where the server has yet to read the COMMIT.
    const auto positions = store.get_positions(segment);
    CHECK(positions.size() == (fate == Proxy::Fate::dropped ? 0 : 1));
    CHECK(database.number("SELECT count(*) FROM processes") ==
          stored + static_cast<std::int64_t>(positions.size()));
  }
  CHECK(proxy.met() == 3);
}

TEST_CASE("few events without a journal take one round trip, and are in doubt where its answer is lost") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  Proxy proxy(Server::instance().socket());
  PostgresStore store("postgresql://tester@127.0.0.1:" + std::to_string(proxy.port()) + "/" +
                      database.name() + "?sslmode=disable&gssencmode=disable&prepared_statements=off");
  const ProcessInfo info{.app_name = "app"};
  const BatchProcess unknown{.info = &info};
  const Id id = store.write({.processes = std::span(&unknown, 1), .events = {}}).process_ids.at(0);
  const BatchProcess process{.id = id};
  const std::vector<AttributeView> first{{"n", "one"}, {"none", std::nullopt}};
  const std::vector<AttributeView> second{{"n", "two"}};
  const std::vector<BatchEvent> events{{.when = now(), .has_data = true, .data = first},
                                       {.when = now()},
                                       {.when = now(), .has_data = true, .data = second}};
  const Batch batch{.processes = std::span(&process, 1), .events = events};
  BatchResult result = store.write(batch);
  std::int64_t writes = 1;
  int trips = 0;
  while (trips != 1 && writes < 20) {  // two where the machine took more than a moment
    const int before = proxy.trips();
    result = store.write(batch);
    trips = proxy.trips() - before;
    ++writes;
  }
  CHECK(trips == 1);
  CHECK(result.process_ids == std::vector<Id>{id});
  REQUIRE(result.event_ids.size() == 3);
  const auto found = store.get_events_by_data({{"n", "two"}});
  REQUIRE(found.size() == static_cast<std::size_t>(writes));
  CHECK(found.back().id == result.event_ids[2]);
  CHECK(database.number("SELECT count(*) FROM events WHERE digest IS NULL") == writes);
  CHECK(database.number("SELECT count(*) FROM events_data WHERE val IS NULL AND event_id = " +
                        std::to_string(result.event_ids[0])) == 1);

  const BatchProcess stranger{.id = id + 1000};
  CHECK(contains(
      store_error(kRejected, [&] { store.write({.processes = std::span(&stranger, 1), .events = events}); }),
      "there is no process"));
  std::int64_t stored = 3 * writes;
  for (const Proxy::Fate fate : {Proxy::Fate::done, Proxy::Fate::dropped, Proxy::Fate::done_late}) {
    store.write(batch);
    proxy.lose_next_commit(fate);
    CHECK(contains(store_error(kInDoubt, [&] { store.write(batch); }), "while COMMIT was under way"));
    stored += fate == Proxy::Fate::dropped ? 3 : 6;
    std::int64_t found_now = 0;  // what comes late may still be on its way
    for (int i = 0; i < 400 && (found_now = database.number("SELECT count(*) FROM events")) != stored; ++i) {
      std::this_thread::sleep_for(milliseconds(25));
    }
    CHECK(found_now == stored);
  }
}

TEST_CASE("the same for a transaction that is no batch") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  Proxy proxy(Server::instance().socket());
  PostgresStore store("postgresql://tester@127.0.0.1:" + std::to_string(proxy.port()) + "/" +
                      database.name() + "?sslmode=disable&gssencmode=disable");
  store.get_apps();
  for (const Proxy::Fate fate : {Proxy::Fate::done, Proxy::Fate::dropped}) {
    const std::string app = "app-" + std::to_string(proxy.met());
    proxy.cut_at_commit(fate);
    const std::string message = store_error(kInDoubt, [&] { store.insert_app(app, "1"); });
    CHECK(contains(message, "while COMMIT was under way"));
    CHECK(store.insert_app(app, "1").app.name == app);
  }
  CHECK(proxy.met() == 2);
  CHECK(store.get_apps().size() == 2);
}

TEST_CASE("a value of 10 MiB is stored, found and read") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  const std::vector<std::string> values = {std::string(10 << 20, 'v')};
  write_events(store, "app", "key", values);
  const auto found = store.get_events_by_data({{"key", values[0]}});
  REQUIRE(found.size() == 1);
  CHECK(found[0].data[0].value == values[0]);
}

TEST_CASE("a batch of many events goes in by COPY as a small one does by INSERT, all of it or nothing") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  store.get_apps();
  fail_as_told(database);
  const auto values = numbered("v", 5'000);
  const BatchResult result = write_events(store, "app", "key", values);
  CHECK(store.get_event_by_id(result.event_ids[4'999])->data == Attributes{{"key", "v4999"}});
  auto bad = values;
  bad[4'000] = "22000";
  store_error(kRejected, [&] { write_events(store, "app", "sqlstate", bad); });
  CHECK(store.get_processes({}).size() == 1);
  CHECK(database.number("SELECT count(*) FROM events_data") == 5'000);
  write_events(store, "app", "key", values);
  CHECK(store.get_events_by_data({{"key", "v4999"}}).size() == 2);
}

TEST_CASE("rows that another program deletes are not taken for there") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore store(database.dsn());
  write_events(store, "app", "key", numbered("v", 1));
  database.exec("TRUNCATE apps, app_vsns, environments, processes CASCADE");
  write_events(store, "app", "key", numbered("v", 1));
  const auto processes = store.get_processes({});
  REQUIRE(processes.size() == 1);
  CHECK(processes[0].app.name == "app");
  CHECK(processes[0].app_vsn.has_value());
  CHECK(processes[0].environment.has_value());
}

}  // namespace
}  // namespace codewake::testing
