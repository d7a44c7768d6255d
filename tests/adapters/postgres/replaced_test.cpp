// A database that is dropped and made anew, or restored from a backup, while a queue writes to it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <pqxx/pqxx>
#include <string>

#include "codewake/postgres_store.hpp"
#include "server.hpp"
#include "support/journal_folder.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A program with a queue before a database that others do to as they like.
class Program {
 public:
  explicit Program(const Database& database) : database_(database), store_(options(), database.dsn()) {
    store_.insert_process({.app_name = "program"}, false);
  }

  void log(const std::string& value, int count) {
    const AttributeArgument data[] = {{"n", value}};
    for (int i = 0; i < count; ++i) store_.insert_event({.data = data});
  }

  void flush() {
    const bool stored = store_.flush(seconds(60));
    CHECK_MESSAGE(stored, store_.stats().problem);
    CHECK(store_.stats().rejected == 0);
    CHECK_FALSE(std::filesystem::exists(journal_.path() / "dead"));
  }

  /// Events of this value that belong to a process of this program.
  std::int64_t stored(const std::string& value) const {
    return database_.number(fmt::format(
        "SELECT count(*) FROM events_data d JOIN events e ON e.id = d.event_id JOIN processes p ON p.id "
        "= e.process_id JOIN apps a ON a.id = p.app_id WHERE d.val = '{}' AND a.name = 'program'",
        value));
  }

 private:
  Config::Queue options() const {
    Config::Queue options;
    options.journal = journal_.path().string();
    options.interval = milliseconds(2);
    return options;
  }

  const Database& database_;
  JournalFolder journal_;
  PostgresQueueStore store_;
};

/// In the place of a database, this one: no connection to either survives it.
void replace(const Database& database, const std::string& by) {
  database.disconnect();
  const Server& server = Server::instance();
  const std::string name = database.name();
  server.exec(fmt::format("ALTER DATABASE \"{}\" ALLOW_CONNECTIONS false", name));
  server.exec(
      fmt::format("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", name));
  while (true) {
    try {
      server.exec(fmt::format("DROP DATABASE \"{}\"", name));
      break;
    } catch (const pqxx::failure&) {
      // A connection is still going.
    }
  }
  server.exec(by);
}

}  // namespace

TEST_CASE("a database that is dropped and made anew has the process again, and every event from then on") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  Program program(database);
  program.log("before", 100);
  program.flush();
  replace(database, fmt::format("CREATE DATABASE \"{}\"", database.name()));
  program.log("after", 100);
  program.flush();
  CHECK(program.stored("after") == 100);
  CHECK(program.stored("before") == 0);
  CHECK(database.number("SELECT count(*) FROM processes") == 1);
}

TEST_CASE("and so has one whose tables are dropped") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  Program program(database);
  program.log("before", 100);
  program.flush();
  database.exec("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
  program.log("after", 100);
  program.flush();
  CHECK(program.stored("after") == 100);
}

TEST_CASE("and one whose rows are deleted, with another program's process under the same id") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  Program program(database);
  program.log("before", 100);
  program.flush();
  database.exec(
      "TRUNCATE journals, events, events_data, processes, apps RESTART IDENTITY CASCADE; INSERT INTO "
      "apps(name) VALUES('other');"
      "INSERT INTO processes(app_id, run_ts) VALUES(1, 0)");
  program.log("after", 100);
  program.flush();
  CHECK(program.stored("after") == 100);
}

TEST_CASE("a database that is restored from a backup goes on from there") {
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  Program program(database);
  const std::string backup = database.name() + "_backup";
  program.log("kept", 100);
  program.flush();
  database.disconnect();
  const Server& server = Server::instance();
  const auto close = [&] {
    server.exec(fmt::format("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
                            database.name()));
  };
  for (bool copied = false; !copied;) {
    try {
      close();
      server.exec(fmt::format("CREATE DATABASE \"{}\" TEMPLATE \"{}\"", backup, database.name()));
      copied = true;
    } catch (const pqxx::failure&) {
      // A connection is still going.
    }
  }
  program.log("gone with the newer state", 100);
  program.flush();
  replace(database, fmt::format("ALTER DATABASE \"{}\" RENAME TO \"{}\"", backup, database.name()));
  program.log("after", 100);
  program.flush();
  CHECK(program.stored("kept") == 100);
  CHECK(program.stored("after") == 100);
  CHECK(program.stored("gone with the newer state") == 0);
  CHECK(database.number("SELECT count(*) FROM processes") == 1);
}

}  // namespace codewake::testing
