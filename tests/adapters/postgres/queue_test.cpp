// A queue before a server that fails in every way: nothing is lost, nothing is stored twice, nobody waits.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "adapters/writing.hpp"
#include "codewake/postgres_store.hpp"
#include "proxy.hpp"
#include "server.hpp"
#include "support/journal_folder.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A program that logs without a pause, and its queue.
class Load {
 public:
  Load(const Database& database, const std::string& dsn) : database_(database), store_(options(), dsn) {
    store_.insert_process({.app_name = "load"}, false);
    for (int thread = 0; thread < 2; ++thread) {
      threads_.emplace_back([this, thread] {
        while (!stopping_) {
          log(thread);
          std::this_thread::sleep_for(milliseconds(1));
        }
      });
    }
  }

  ~Load() { stop(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  /// Until so many more events are stored.
  void wait_for_stored(std::uint64_t more) const {
    const std::uint64_t wanted = store_.stats().stored + more;
    while (store_.stats().stored < wanted) std::this_thread::sleep_for(milliseconds(1));
  }

  /// Until the queue says that it cannot store, for this reason.
  void wait_for_problem(const std::string& reason) const {
    while (store_.stats().problem.find(reason) == std::string::npos)
      std::this_thread::sleep_for(milliseconds(1));
  }

  void finish_and_check() {
    stop();
    const bool all = store_.shutdown(seconds(60));
    CHECK_MESSAGE(all, store_.stats().problem);
    const std::int64_t logged = logged_;
    CHECK(store_.stats().accepted == static_cast<std::uint64_t>(logged));
    CHECK(store_.stats().rejected == 0);
    CHECK(database_.number("SELECT count(*) FROM events") == logged);
    CHECK(database_.number("SELECT count(*) FROM events_data") == logged);
    CHECK(database_.number("SELECT count(DISTINCT val) FROM events_data") == logged);
    CHECK(database_.number("SELECT count(*) FROM processes") == 1);
    CHECK(longest_.load() < seconds(2));  // a machine that is busy with other tests stops threads for a while
  }

 private:
  Config::Queue options() const {
    Config::Queue options;
    options.journal = journal_.path().string();
    options.interval = milliseconds(2);
    options.batch = 200;
    return options;
  }

  void stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  void log(int thread) {
    const std::string value = std::to_string(thread) + "/" + std::to_string(logged_++);
    const AttributeArgument attribute("key", value);
    const auto before = std::chrono::steady_clock::now();
    store_.insert_event({.data = std::span(&attribute, 1)});
    const auto took = std::chrono::steady_clock::now() - before;
    if (took > longest_.load()) longest_ = took;
  }

  const Database& database_;
  const JournalFolder journal_;
  PostgresQueueStore store_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> logged_{0};
  std::atomic<std::chrono::steady_clock::duration> longest_{};
  std::vector<std::thread> threads_;
};

TEST_CASE("a server that is stopped and started under load costs nothing") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  Load load(database, database.dsn());
  for (int round = 0; round < 4; ++round) {
    load.wait_for_stored(50);
    Server::instance().crash();
    std::this_thread::sleep_for(milliseconds(100));  // so that attempts fail
    Server::instance().start();
  }
  load.finish_and_check();
}

TEST_CASE("connections that are killed under load cost nothing") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  Load load(database, database.dsn());
  for (int round = 0; round < 15; ++round) {
    load.wait_for_stored(20);
    database.exec(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'codewake' "
        "AND datname = current_database()");
  }
  load.finish_and_check();
}

TEST_CASE("answers to COMMIT that are lost under load store nothing twice") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  Proxy proxy(Server::instance().socket());
  Load load(database, "postgresql://tester@127.0.0.1:" + std::to_string(proxy.port()) + "/" +
                          database.name() + "?sslmode=disable&gssencmode=disable");
  int round = 0;
  for (const Proxy::Fate fate : {Proxy::Fate::done, Proxy::Fate::dropped, Proxy::Fate::done_late,
                                 Proxy::Fate::done, Proxy::Fate::done_late}) {
    load.wait_for_stored(20);
    proxy.cut_at_commit(fate);
    ++round;
    while (proxy.met() < round) std::this_thread::sleep_for(milliseconds(1));
  }
  load.finish_and_check();
}

TEST_CASE("a server that turns read-only, and locks that last, are waited for behind the queue") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  Load load(database, database.dsn("&statement_timeout=100ms"));
  load.wait_for_stored(20);
  const std::string alter = "ALTER DATABASE " + database.name();
  database.exec(alter + " SET default_transaction_read_only = on");
  database.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'codewake'");
  std::this_thread::sleep_for(milliseconds(150));
  database.exec("SET default_transaction_read_only = off; " + alter + " RESET default_transaction_read_only");
  load.wait_for_stored(20);
  database.exec("BEGIN; LOCK TABLE events");
  std::this_thread::sleep_for(milliseconds(250));
  database.exec("COMMIT");
  load.wait_for_stored(20);
  load.finish_and_check();
}

TEST_CASE("a batch that takes longer than statement_timeout is stored in smaller ones") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore(database.dsn()).get_apps();
  database.exec(
      "CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN PERFORM pg_sleep(0.005); RETURN NEW; END'; "
      "CREATE TRIGGER slow BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION take_time()");
  const JournalFolder journal;
  Config::Queue options;
  options.journal = journal.path().string();
  options.interval = seconds(10);  // until there is a whole batch
  options.batch = 300;
  constexpr int kEvents = 600;
  PostgresQueueStore store(options, database.dsn("&statement_timeout=500ms"));
  store.insert_process({.app_name = "app"}, false);
  for (int i = 0; i < kEvents; ++i) {
    const std::string value = std::to_string(i);
    const AttributeArgument attribute("key", value);
    store.insert_event({.data = std::span(&attribute, 1)});
  }
  CHECK_MESSAGE(store.flush(seconds(100)), store.stats().problem);
  CHECK(store.stats().stored == kEvents);
  CHECK(database.number("SELECT count(*) FROM events") == kEvents);
  CHECK(database.number("SELECT count(DISTINCT val) FROM events_data") == kEvents);
  CHECK(database.number("SELECT count(DISTINCT xmin::text) FROM events") > 2);  // transactions
}

TEST_CASE("a standby that takes over has all that was stored, and gets the rest") {
  CODEWAKE_NEEDS_SERVER();
  Server primary{Server::Setup{}};
  Server standby{{.primary = &primary}};
  Database database("", primary);
  primary.exec("ALTER SYSTEM SET synchronous_standby_names = '*'");  // behind the standby's copy of it
  primary.exec("DO 'BEGIN PERFORM pg_reload_conf(); END'");
  const auto followers = [&] {
    return database.number("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'");
  };
  while (followers() != 1) std::this_thread::sleep_for(milliseconds(5));
  Load load(database, "postgresql://tester@/" + database.name() + "?host=" + primary.socket_folder() + "," +
                          standby.socket_folder() + "&target_session_attrs=read-write");
  load.wait_for_stored(200);
  primary.crash();
  std::this_thread::sleep_for(milliseconds(100));  // so that attempts meet a standby that only reads
  standby.promote();
  database.move_to(standby);
  load.wait_for_stored(200);
  load.finish_and_check();
}

TEST_CASE("a full disk is waited for behind the queue until there is room again") {
  CODEWAKE_NEEDS_SERVER();
  if (const std::string missing = Server::missing_disk(); !missing.empty()) CODEWAKE_SKIP(missing);
  Server server{{.disk = "size=32m"}};
  server.exec("CREATE TABLESPACE small LOCATION '" + server.disk() + "'");
  const Database database("TABLESPACE small", server);
  Load load(database, database.dsn());
  load.wait_for_stored(50);
  const std::string filler = server.disk() + "/filler";
  server.exec("COPY (SELECT 1) TO PROGRAM 'cat /dev/zero >" + filler + " || true'");
  load.wait_for_problem("53100");
  std::this_thread::sleep_for(milliseconds(300));  // so that the journal has more than a batch
  server.exec("COPY (SELECT 1) TO PROGRAM 'rm " + filler + "'");
  load.wait_for_stored(200);
  load.finish_and_check();
}

TEST_CASE("an event that the database refuses is set aside, and those beside it are stored") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  PostgresStore(database.dsn()).get_apps();
  database.exec("ALTER TABLE events_data ADD CHECK (val <> 'refused')");
  const JournalFolder journal;
  Config::Queue options;
  options.journal = journal.path().string();
  PostgresQueueStore store(options, database.dsn());
  store.insert_process({.app_name = "app"}, false);
  for (int i = 0; i < 100; ++i) {
    const AttributeArgument attribute("key", i == 50 ? "refused" : "fine");
    store.insert_event({.data = std::span(&attribute, 1)});
  }
  CHECK(store.flush(seconds(60)));
  CHECK(store.stats().rejected == 1);
  CHECK(store.stats().stored == 99);
  CHECK(database.number("SELECT count(*) FROM events") == 99);
}

}  // namespace
}  // namespace codewake::testing
