// Which store a URL means, and what is said of URLs that mean none.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "adapters/writing.hpp"
#include "codewake/errors.hpp"
#include "codewake/plugin.hpp"
#include "codewake/sql14_store.hpp"
#include "codewake/sqlite_store.hpp"
#include "support/temporary_folder.hpp"
#ifdef CODEWAKE_HAS_POSTGRES
#include "codewake/postgres_store.hpp"
#endif

namespace codewake::testing {
namespace {

using Parameters = std::vector<std::string>;

std::string config_error(const Parameters& parameters) {
  try {
    const Sql14Store store(parameters);
  } catch (const ConfigError& e) {
    return e.what();
  }
  FAIL_CHECK("no ConfigError was thrown");
  return "";
}

TEST_CASE("an sqlite URL means what it means to SqliteStore, whatever driver it names") {
  for (const char* dsn : {"sqlite:////tmp/a/../some_file.sqlite", "sqlite:///relative.sqlite", "sqlite://",
                          "sqlite:///:memory:", "SQLite+pysqlite:////tmp/x.sqlite?timeout=5"}) {
    CAPTURE(dsn);
    CHECK(Sql14Store(dsn).identity() == SqliteStore(dsn).identity());
  }
  const Parameters more = {"sqlite:////tmp/x.sqlite", "busy_timeout=1s", "synchronous=full"};
  CHECK(Sql14Store(more).identity() == SqliteStore(more).identity());
}

#ifdef CODEWAKE_HAS_POSTGRES
TEST_CASE("a postgresql URL means what it means to PostgresStore, whatever driver it names") {
  const std::string rest = "://shop:secret@db.example:5433/wake?sslmode=require";
  const std::string identity = PostgresStore("postgresql" + rest).identity();
  for (const char* scheme :
       {"postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg", "PostgreSQL"}) {
    CAPTURE(scheme);
    CHECK(Sql14Store(scheme + rest).identity() == identity);
  }
  CHECK(Sql14Store(Parameters{"postgresql" + rest, "statement_timeout=1s"}).identity() == identity);
}
#else
TEST_CASE("without the PostgreSQL adapter, a postgresql URL is an error that says so") {
  const std::string said = config_error({"postgresql://shop:secret@db.example/wake"});
  CHECK(contains(said, "built without PostgreSQL"));
  CHECK(contains(said, "-Dadapter_postgres=enabled"));
}
#endif

TEST_CASE("another scheme is refused, with what there is and without the password") {
  for (const char* dsn : {"mysql+pymysql://shop:secret@db/wake", "http://shop:secret@db",
                          "sqlites://shop:secret@db", "postgresqls://shop:secret@db/x"}) {
    const std::string said = config_error({dsn});
    CAPTURE(said);
    CHECK(contains(said, "names neither an SQLite nor a PostgreSQL database"));
    CHECK(contains(said, "sqlite:////absolute/path"));
    CHECK(contains(said, "postgresql://user:password@host:port/database"));
    CHECK_FALSE(contains(said, "secret"));
  }
  CHECK(contains(config_error({}), "no database is named"));
  CHECK(contains(config_error({"/var/lib/events.sqlite"}), "sqlite:"));
}

TEST_CASE("what follows the URL is for the store that it means") {
  CHECK(contains(config_error({"sqlite:///x", "synchronous=maybe"}), "synchronous=maybe"));
  CHECK(contains(config_error({"sqlite:///x", "statement_timeout=1s"}), "statement_timeout"));
#ifdef CODEWAKE_HAS_POSTGRES
  CHECK(contains(config_error({"postgresql:///x", "statement_timeout=soon"}), "statement_timeout=soon"));
#endif
}

TEST_CASE("the plugin has both classes under the names of the older system") {
  const TemporaryFolder folder;
  const std::string dsn = "sqlite:///" + (folder / "events.sqlite").string();
  const auto path = Config::load().plugin_path;
  const auto store = load_store("code_wake_sql14_store", "Sql14Store", {dsn}, path);
  CHECK_FALSE(store->queues());
  CHECK(store->insert_app("shop", "1.0").app_vsn);
  const auto queueing = load_store("code_wake_sql14_store", "Sql14QueueStore", {dsn}, path);
  CHECK(queueing->queues());
  CHECK(queueing->get_apps().size() == 1);
  CHECK(queueing->identity() == store->identity());
}

}  // namespace
}  // namespace codewake::testing
