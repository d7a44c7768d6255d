#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/sqlite_store.hpp"
#include "support.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

std::string config_error(const std::vector<std::string>& parameters) {
  try {
    const SqliteStore store(parameters);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "";
}

TEST_CASE("parameters of the SQLite store that make no sense are refused, each with what to write instead") {
  CHECK(config_error({}).find("no SQLite database is named") != std::string::npos);
  CHECK(config_error({"/tmp/x.sqlite"}).find("sqlite:////absolute/path") != std::string::npos);
  CHECK(config_error({"postgresql://host/db"}).find("no DSN of an SQLite database") != std::string::npos);
  CHECK(config_error({"sqlite://host/db"}).find("names a host") != std::string::npos);
  CHECK(config_error({"sqlite:////x", "colour=red"}).find("\"colour\" is unknown; known parameters are") !=
        std::string::npos);
  CHECK(config_error({"sqlite:////x?colour=red"}).find("\"colour\" is unknown") != std::string::npos);
  CHECK(config_error({"sqlite:////x", "synchronous"}).find("has no value") != std::string::npos);
  CHECK(config_error({"sqlite:////x", "synchronous=maybe"}).find("off, normal or full") != std::string::npos);
  for (const char* mode : {"", "0400", "0606", "0700", "1600", "rw", "0x180", "600 "}) {
    CAPTURE(mode);
    CHECK(config_error({"sqlite:////x", std::string("mode=") + mode}).find("write mode=0600") !=
          std::string::npos);
  }
  for (const char* group : {"", "no such group", "-1", "4294967295", "99999999999"}) {
    CAPTURE(group);
    CHECK(config_error({"sqlite:////x", std::string("group=") + group}).find("is no group of this system") !=
          std::string::npos);
  }
  for (const char* size :
       {"", "0MiB", "512", "1KiB", "-1MiB", "1.5GiB", "1025GiB", "99999999999999999999MiB"}) {
    CAPTURE(size);
    CHECK(config_error({"sqlite:////x", std::string("wal_limit=") + size}).find("write wal_limit=512MiB") !=
          std::string::npos);
  }
  for (const char* duration : {"", "soon", "-1s", "1h", "nan", "1e9"}) {
    CAPTURE(duration);
    for (const char* key : {"busy_timeout=", "read_timeout="})
      CHECK(config_error({"sqlite:////x", std::string(key) + duration}).find("is no duration") !=
            std::string::npos);
  }
}

TEST_CASE("parameters of the SQLite store that make sense are taken, those of Python's driver too") {
  for (const char* dsn : {"sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite+pysqlite:///:memory:",
                          "sqlite:///:memory:?timeout=10&check_same_thread=false&synchronous=full"}) {
    CAPTURE(dsn);
    CHECK(SqliteStore(std::string(dsn)).get_apps().empty());
  }
  CHECK(config_error({"sqlite:///:memory:", "busy_timeout=500ms", "synchronous=off"}).empty());
  CHECK(config_error({"sqlite:////x?mode=0660&group=root"}).empty());
  CHECK(config_error({"sqlite:////x", "wal_limit=1024GiB"}).empty());
  CHECK(config_error({"sqlite:////x", "mode=600", "group=4711", "wal_limit=1MiB"}).empty());
}

TEST_CASE("making a SQLite store touches no file, nor do reads; the first write makes it") {
  const TemporaryFolder folder;
  SqliteStore store(
      dsn_of(folder / "odd name?#%.sqlite").replace(dsn_of(folder.path()).size() + 9, 3, "%3F%23%25"));
  CHECK(std::filesystem::is_empty(folder.path()));
  CHECK(store.get_apps().empty());
  CHECK(store.get_events({}).events.empty());
  CHECK(store.get_positions("").empty());
  CHECK(std::filesystem::is_empty(folder.path()));
  store.insert_app("app", {});
  CHECK(store.get_apps().size() == 1);
  CHECK(std::filesystem::exists(folder / "odd name?#%.sqlite"));
}

TEST_CASE("reads of a database that is missing make no folder, and see it once another process has made it") {
  const TemporaryFolder folder;
  const auto file = folder / "missing" / "too" / "events.sqlite";
  SqliteStore store(dsn_of(file));
  CHECK(store.get_apps().empty());
  CHECK(store.get_exceptions({}).empty());
  CHECK(std::filesystem::is_empty(folder.path()));
  SqliteStore(dsn_of(file)).insert_app("app", {});
  CHECK(store.get_apps().size() == 1);
}

}  // namespace
}  // namespace codewake::testing
