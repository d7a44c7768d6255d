#include "only_reading.hpp"

#include <sqlite3.h>

namespace codewake::internal {
namespace {

sqlite3_vfs* usual_vfs() noexcept {
  static sqlite3_vfs* const usual = sqlite3_vfs_find("unix");
  return usual;
}

int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) noexcept {
  // A temporary file, which has no name: SQLite makes, writes and removes it.
  if (name == nullptr) return usual_vfs()->xOpen(usual_vfs(), name, file, flags, out_flags);
  flags = (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
  return usual_vfs()->xOpen(usual_vfs(), name, file, flags, out_flags);
}

int refuse_to_delete(sqlite3_vfs*, const char*, int) noexcept {
  return SQLITE_READONLY;
}

constinit sqlite3_vfs only_reading{};

bool make_vfs() noexcept {
  if (usual_vfs() == nullptr) return false;
  only_reading = *usual_vfs();
  only_reading.pNext = nullptr;
  only_reading.zName = "codewake-only-reading";
  only_reading.xOpen = &open;
  only_reading.xDelete = &refuse_to_delete;
  return true;
}

}  // namespace

const char* vfs_that_only_reads() noexcept {
  static const bool is_made = make_vfs();
  if (!is_made) return nullptr;
  const bool is_there = sqlite3_vfs_find(only_reading.zName) == &only_reading;
  return is_there || sqlite3_vfs_register(&only_reading, 0) == SQLITE_OK ? only_reading.zName : nullptr;
}

void unregister_only_reading() noexcept {
  sqlite3_vfs_unregister(&only_reading);
}

}  // namespace codewake::internal
