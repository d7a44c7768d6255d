// What the tests of the SQLite store share: looking into a database without the store.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "adapters/writing.hpp"  // IWYU pragma: export
#include "support/child.hpp"     // IWYU pragma: export

namespace codewake::testing {

/// A connection of the test's own, as any other program would have one. Every call throws std::runtime_error
/// with what SQLite said.
class Database {
 public:
  explicit Database(const std::filesystem::path& path);

  void exec(const std::string& sql);
  /// Every row; a column of any type as its text, NULL as "NULL", a blob as `x'…'`.
  std::vector<std::vector<std::string>> rows(const std::string& sql);
  /// The first column of the first row, as an integer.
  std::int64_t number(const std::string& sql);

 private:
  struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close(connection); }
  };
  std::unique_ptr<sqlite3, Close> connection_;
};

/// Every statement that connections run which are opened while this lives, with what is bound to it.
class Statements {
 public:
  Statements();
  Statements(const Statements&) = delete;
  Statements& operator=(const Statements&) = delete;
  ~Statements();

  static std::set<std::string>& sql();

 private:
  static int watch(sqlite3* connection, char**, const sqlite3_api_routines*);
  static int note(unsigned, void*, void* statement, void*);
};

/// `sqlite:////…` for the path.
std::string dsn_of(const std::filesystem::path& path);

/// A copy, in `folder`, of the database that Code Wake for Python wrote.
std::filesystem::path copy_reference(const std::filesystem::path& folder);

/// Takes away what version 2 of the tables has added.
void make_version_1(Database& database);

/// Every row of the older package's tables in their older columns, ordered by id.
std::vector<std::vector<std::string>> older_rows(Database& database);

}  // namespace codewake::testing
