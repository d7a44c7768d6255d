// Files that lose their names between SQLite's opening them and the first look.
#include "sqlite/open_files.hpp"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "sqlite/descriptors.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;

using internal::OpenFiles;
using internal::Replaced;

struct Close {
  void operator()(sqlite3* connection) const noexcept { sqlite3_close_v2(connection); }
};
using Connection = std::unique_ptr<sqlite3, Close>;

/// Of a database with a WAL, and with shared memory.
Connection open(const std::string& file) {
  sqlite3* opened = nullptr;
  REQUIRE(sqlite3_open_v2(file.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "unix") ==
          SQLITE_OK);
  Connection connection(opened);
  REQUIRE(sqlite3_exec(opened, "PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)", nullptr,
                       nullptr, nullptr) == SQLITE_OK);
  return connection;
}

TEST_CASE("a file that lost its name before the first look is not taken for the one that has the name now") {
  struct File {
    const char* suffix;
    Replaced found;
  };
  const internal::GuardedDescriptors guarded;
  const internal::CallsForStore call;
  for (const File& file :
       {File{"", Replaced::database}, File{"-wal", Replaced::wal}, File{"-shm", Replaced::shared_memory}}) {
    for (const bool has_another : {false, true}) {
      CAPTURE(file.suffix);
      CAPTURE(has_another);
      const TemporaryFolder folder;
      const std::string path = (folder / "events.sqlite").string();
      const Connection connection = open(path);
      CHECK(OpenFiles(path, true, connection.get()).look() == Replaced::no);
      fs::remove(path + file.suffix);
      if (has_another) std::ofstream(path + file.suffix);
      OpenFiles files(path, true, connection.get());
      CHECK(files.look() == file.found);
    }
  }
}

TEST_CASE("the files of a connection beside others of its process are known, too") {
  const internal::GuardedDescriptors guarded;
  const internal::CallsForStore call;
  const TemporaryFolder folder;
  const std::string path = (folder / "events.sqlite").string();
  const Connection first = open(path);
  REQUIRE(sqlite3_exec(first.get(), "BEGIN; SELECT * FROM t", nullptr, nullptr, nullptr) == SQLITE_OK);
  fs::remove(path + "-wal");
  sqlite3* opened = nullptr;
  REQUIRE(sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE, "unix") == SQLITE_OK);
  const Connection second(opened);
  static_cast<void>(sqlite3_exec(opened, "PRAGMA schema_version", nullptr, nullptr, nullptr));
  OpenFiles of_first(path, true, first.get()), of_second(path, true, second.get());
  CHECK(of_first.look() == Replaced::wal);
  CHECK(of_second.look() == Replaced::no);
  CHECK_FALSE(of_first.shares_files_with(of_second));
}

}  // namespace
}  // namespace codewake::testing
