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

}  // namespace

const char* vfs_that_only_reads() noexcept {
  static sqlite3_vfs vfs;
  static const bool is_there = [] {
    if (usual_vfs() == nullptr) return false;
    vfs = *usual_vfs();
    vfs.pNext = nullptr;
    vfs.zName = "codewake-only-reading";
    vfs.xOpen = &open;
    vfs.xDelete = &refuse_to_delete;
    return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK;
  }();
  return is_there ? vfs.zName : nullptr;
}

}  // namespace codewake::internal
