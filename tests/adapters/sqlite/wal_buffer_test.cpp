// The WAL that is written in large pieces: the same database as without, for whoever looks, at any time.
#include "sqlite/wal_buffer.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>

#include "support.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

/// A connection with the VFS of this name, null for the usual one.
class Writing {
 public:
  Writing(const fs::path& path, const char* vfs) {
    sqlite3* opened = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs);
    connection_.reset(opened);
    if (code != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(opened));
    exec("PRAGMA journal_mode=WAL");
    exec("PRAGMA synchronous=NORMAL");
    exec("PRAGMA cache_size=10");  // pages go to the WAL long before the transaction ends
  }

  void exec(const std::string& sql) {
    if (sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
      throw std::runtime_error(sql + ": " + sqlite3_errmsg(connection_.get()));
  }

 private:
  struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close(connection); }
  };
  std::unique_ptr<sqlite3, Close> connection_;
};

const char* const kTable = "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b BLOB); CREATE INDEX ta ON t(a)";
const char* const kContent = "SELECT id, a, hex(b) FROM t ORDER BY id";

/// What both sides are to do next.
std::string some_statement(std::mt19937& random, bool has_savepoints) {
  const auto upto = [&](unsigned most) { return std::to_string(random() % most); };
  switch (random() % 8) {
    case 0:
      return "UPDATE t SET b = zeroblob(" + upto(6000) + ") WHERE id % 7 = " + upto(7);
    case 1:
      return "DELETE FROM t WHERE id % 11 = " + upto(11);
    case 2:
      return "UPDATE t SET a = a || 'x' WHERE id < " + upto(50);
    case 3:
      return has_savepoints ? "SAVEPOINT s" : "UPDATE t SET a = a || 'y' WHERE id > 50";
    case 4:
      return has_savepoints ? "ROLLBACK TO s" : "DELETE FROM t WHERE id % 13 = " + upto(13);
    default:
      return "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + upto(80) +
             ") INSERT INTO t(a, b) SELECT (i * " + upto(1000) + " % 97) || 'a', zeroblob(" + upto(3000) +
             ") FROM n";
  }
}

/// As if the program had been killed here, and another one had come.
void check_left_behind(const fs::path& file, const fs::path& copy, const std::string& expected_of) {
  for (const char* part : {"", "-wal"}) {
    fs::copy_file(file.string() + part, copy.string() + part, fs::copy_options::overwrite_existing);
  }
  fs::remove(copy.string() + "-shm");
  Database left(copy), expected{fs::path(expected_of)};
  CHECK(left.rows(kContent) == expected.rows(kContent));
  CHECK(left.rows("PRAGMA integrity_check").at(0).at(0) == "ok");
}

TEST_CASE("a WAL that is written in large pieces holds the same after each transaction") {
  REQUIRE(internal::vfs_with_wal_buffer() != nullptr);
  for (const bool is_exclusive : {false, true}) {
    for (unsigned seed = 1; seed <= 4; ++seed) {
      const bool has_savepoints = seed % 2 == 0;
      CAPTURE(seed);
      CAPTURE(is_exclusive);
      const TemporaryFolder folder;
      const fs::path file = folder / "buffered.sqlite", plain_file = folder / "plain.sqlite";
      Writing buffered(file, internal::vfs_with_wal_buffer()), plain(plain_file, nullptr);
      if (is_exclusive) buffered.exec("PRAGMA locking_mode=EXCLUSIVE");
      for (Writing* side : {&buffered, &plain}) side->exec(kTable);
      std::mt19937 random(seed);
      for (int transaction = 0; transaction < 40; ++transaction) {
        const bool commits = random() % 4 != 0;
        std::string script = "BEGIN IMMEDIATE; SAVEPOINT s;";
        for (auto left = random() % 12; left > 0; --left)
          script += some_statement(random, has_savepoints) + ";";
        script += commits ? "COMMIT" : "ROLLBACK";
        if (random() % 10 == 0) script += "; PRAGMA wal_checkpoint";
        if (random() % 15 == 0) script += "; PRAGMA wal_checkpoint(TRUNCATE)";
        for (Writing* side : {&buffered, &plain}) side->exec(script);
        // SQLite 3.40 itself does not find again all that follows ROLLBACK TO in a WAL.
        if (!has_savepoints) check_left_behind(file, folder / "copy.sqlite", plain_file.string());
        if (is_exclusive) continue;
        Database looking(file), expected(plain_file);
        CHECK(looking.rows(kContent) == expected.rows(kContent));
      }
    }
  }
}

TEST_CASE("writers with and without a buffer take turns") {
  const TemporaryFolder folder;
  const fs::path file = folder / "events.sqlite";
  Writing first(file, internal::vfs_with_wal_buffer()), second(file, internal::vfs_with_wal_buffer()),
      plain(file, nullptr);
  first.exec(kTable);
  std::mt19937 random(7);
  std::size_t expected = 0;
  for (int turn = 0; turn < 120; ++turn) {
    Writing& writer = *std::array{&first, &second, &plain}[random() % 3];
    const std::size_t rows = 1 + random() % 60;
    const bool commits = random() % 3 != 0;
    writer.exec("BEGIN IMMEDIATE; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                std::to_string(rows) + ") INSERT INTO t(a, b) SELECT i, zeroblob(1500) FROM n; " +
                (commits ? "COMMIT" : "ROLLBACK"));
    if (commits) expected += rows;
    if (random() % 20 == 0) writer.exec("PRAGMA wal_checkpoint(RESTART)");
    Database looking(file);
    REQUIRE(looking.number("SELECT count(*) FROM t") == static_cast<std::int64_t>(expected));
  }
  CHECK(Database(file).rows("PRAGMA integrity_check").at(0).at(0) == "ok");
}

TEST_CASE("what a WAL takes no more fails its transaction, and the next ones are good") {
  const TemporaryFolder folder;
  const fs::path file = folder / "events.sqlite";
  const ChildResult result = in_child([&] {
    Writing writer(file, internal::vfs_with_wal_buffer());
    writer.exec(kTable);
    writer.exec("INSERT INTO t(a) VALUES('before')");
    signal(SIGXFSZ, SIG_IGN);
    const rlimit none{RLIM_INFINITY, RLIM_INFINITY}, small{400 << 10, RLIM_INFINITY};
    for (const char* rows : {"100", "200", "1000"}) {
      require(setrlimit(RLIMIT_FSIZE, &small) == 0, "setrlimit");
      bool failed = false;
      try {
        writer.exec("BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                    std::string(rows) + ") INSERT INTO t(a, b) SELECT i, zeroblob(3500) FROM n; COMMIT");
      } catch (const std::runtime_error&) {
        failed = true;
      }
      require(failed, rows);
      require(setrlimit(RLIMIT_FSIZE, &none) == 0, "setrlimit");
      try {
        writer.exec("ROLLBACK");
      } catch (const std::runtime_error&) {  // SQLite has done so
      }
      writer.exec("INSERT INTO t(a) VALUES('after')");
    }
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
  Database left(file);
  CHECK(left.number("SELECT count(*) FROM t") == 4);
  CHECK(left.rows("PRAGMA integrity_check").at(0).at(0) == "ok");
}

}  // namespace
}  // namespace codewake::testing
