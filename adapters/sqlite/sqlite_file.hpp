// The files that SQLite has open for a connection, as its VFS knows them.
#pragma once

#include <sqlite3.h>

namespace codewake::internal {

/// `which`: SQLITE_FCNTL_FILE_POINTER is the database, SQLITE_FCNTL_JOURNAL_POINTER its WAL or journal. Null
/// where it is not open.
inline sqlite3_file* file_of(sqlite3* connection, int which) noexcept {
  sqlite3_file* file = nullptr;
  const bool is_found = sqlite3_file_control(connection, "main", which, &file) == SQLITE_OK;
  return is_found && file != nullptr && file->pMethods != nullptr ? file : nullptr;
}

}  // namespace codewake::internal
