// Reading a database that another user owns, and may be writing.
#include <doctest/doctest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "codewake/sqlite_store.hpp"
#include "sqlite/only_reading.hpp"
#include "support.hpp"
#include "support/other_user.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;

#define CODEWAKE_NEEDS_OTHER_USER() \
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason)

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A folder like /tmp, with a database that another user of Code Wake for Python has made there.
struct OthersDatabase : TemporaryFolder {
  OthersDatabase() : file(copy_reference(path())) {
    chmod(path().c_str(), 01777);
    if (chown(file.c_str(), kOtherUser, kOtherUser) != 0) throw std::runtime_error("chown");
  }
  const fs::path file;
};

/// More than SQLite's cache holds: a part of it is written to the file before COMMIT.
constexpr const char* kLargeChange =
    "PRAGMA cache_size=2; BEGIN EXCLUSIVE; UPDATE events_data SET event_id = -1; "
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
    "INSERT INTO apps(name) SELECT i || hex(zeroblob(1000)) FROM n";

/// The owner, who is in the middle of a transaction as long as this exists.
class WritingOwner {
 public:
  WritingOwner(const fs::path& file, const std::string& sql) {
    if (pipe(ready_.data()) != 0 || pipe(end_.data()) != 0) throw std::runtime_error("pipe");
    child_ = start_child([&] {
      close(end_[1]);
      become_other_user();
      Database database(file);
      database.exec(sql);
      char byte = 0;
      if (write(ready_[1], &byte, 1) != 1 || read(end_[0], &byte, 1) != 0) _exit(1);
      database.exec("ROLLBACK");
    });
    close(ready_[1]);
    close(end_[0]);
    char byte = 0;
    if (read(ready_[0], &byte, 1) != 1) throw std::runtime_error("the owner did not begin");
  }
  WritingOwner(const WritingOwner&) = delete;
  WritingOwner& operator=(const WritingOwner&) = delete;
  ~WritingOwner() {
    close(end_[1]);
    close(ready_[0]);
    CHECK(wait_for(child_) == 0);
  }

 private:
  std::array<int, 2> ready_{}, end_{};
  pid_t child_ = -1;
};

TEST_CASE("a database that another user is writing without a WAL is read with locks") {
  CODEWAKE_NEEDS_OTHER_USER();
  const OthersDatabase others;
  SqliteStore store({dsn_of(others.file), "busy_timeout=50ms"});
  {
    const WritingOwner owner(others.file, kLargeChange);
    CHECK(fs::exists(others.file.string() + "-journal"));
    const std::string message = store_error(StoreError::Kind::unavailable, [&] { store.get_events({}); });
    CHECK(contains(message, "database is locked"));
  }
  CHECK(store.get_events_by_data({}).size() == 43);
}

TEST_CASE("a journal that another user's program has left keeps its database from being read without locks") {
  CODEWAKE_NEEDS_OTHER_USER();
  const OthersDatabase others;
  const pid_t killed = start_child([&] {
    become_other_user();
    Database database(others.file);
    database.exec(kLargeChange);
    _exit(0);
  });
  CHECK(wait_for(killed) == 0);
  REQUIRE(fs::exists(others.file.string() + "-journal"));
  SqliteStore store(dsn_of(others.file));
  const std::string message = store_error(StoreError::Kind::unavailable, [&] { store.get_events({}); });
  CHECK(contains(message, "nor can it be read"));
}

TEST_CASE("a write that is refused does not open another user's database, at no retry") {
  CODEWAKE_NEEDS_OTHER_USER();
  const OthersDatabase others;
  SqliteStore store(dsn_of(others.file));
  const Statements statements;
  for (int retry = 0; retry < 3; ++retry)
    store_error(StoreError::Kind::unavailable, [&] { store.insert_app("ours", {}); });
  CHECK(Statements::sql().empty());
  CHECK_FALSE(store.get_apps().empty());
  CHECK_FALSE(Statements::sql().empty());
}

TEST_CASE("a read of another user's database ends after read_timeout") {
  CODEWAKE_NEEDS_OTHER_USER();
  const OthersDatabase others;
  Database(others.file)
      .exec(
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
          "INSERT INTO apps(name) SELECT 'app ' || i FROM n");
  SqliteStore hasty({dsn_of(others.file), "read_timeout=0s"});
  const std::string message = store_error(StoreError::Kind::unavailable, [&] { hasty.get_apps(); });
  CHECK(contains(message, "longer than read_timeout"));
  SqliteStore patient(dsn_of(others.file));
  CHECK(patient.get_apps().size() > 100'000);
}

TEST_CASE("a connection that makes no file makes temporary files, for a sorter that needs much memory") {
  const TemporaryFolder folder;
  const fs::path file = folder / "events.sqlite";
  Database(file).exec("CREATE TABLE numbers(i)");
  sqlite3* connection = nullptr;
  REQUIRE(sqlite3_open_v2(file.c_str(), &connection, SQLITE_OPEN_READONLY, internal::vfs_that_only_reads()) ==
          SQLITE_OK);
  sqlite3_exec(connection, "PRAGMA temp_store=FILE; PRAGMA cache_size=10", nullptr, nullptr, nullptr);
  char* error = nullptr;
  const char* const sql =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) "
      "SELECT count(*) FROM (SELECT hex(randomblob(100)) AS text FROM n ORDER BY text LIMIT -1 OFFSET 1)";
  CHECK(sqlite3_exec(connection, sql, nullptr, nullptr, &error) == SQLITE_OK);
  CHECK(std::string(error == nullptr ? "" : error).empty());
  sqlite3_free(error);
  CHECK(sqlite3_exec(connection, "INSERT INTO numbers VALUES(1)", nullptr, nullptr, nullptr) ==
        SQLITE_READONLY);
  sqlite3_close(connection);
}

}  // namespace
}  // namespace codewake::testing
