#include "sqlite_error.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <filesystem>

namespace codewake::internal {
namespace {

int primary_code(const SQLite::Exception& failure) noexcept {
  return failure.getErrorCode() & 0xff;
}

StoreError::Kind kind_of(int code) noexcept {
  switch (code) {
    case SQLITE_TOOBIG:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
      return StoreError::Kind::rejected;
    default:
      return StoreError::Kind::unavailable;
  }
}

std::string remedy(int code, const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  std::error_code ignored;
  switch (code) {
    case SQLITE_FULL:
      return "make room on the disk that holds " + folder;
    case SQLITE_READONLY:
      return "make the file and its folder writable for this user";
    case SQLITE_CANTOPEN:
      if (!std::filesystem::exists(folder, ignored)) return "make the folder " + folder;
      return "let this user read and write the file and its folder";
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return "let this user read and write the file and its folder";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return "find out which process holds its lock for so long, or raise busy_timeout";
    case SQLITE_INTERRUPT:
      return "it takes longer than read_timeout, which bounds reads of a database that this process cannot "
             "write; ask for less, or raise read_timeout if you trust its owner";
    case SQLITE_NOTADB:
      return "name another file; this one was left as it is";
    case SQLITE_CORRUPT:
      return "restore it, or save what `sqlite3 FILE .recover` can read";
    case SQLITE_IOERR:
      return "check the disk, its quota, and the limit of a file's size (ulimit -f)";
    case SQLITE_NOMEM:
      return "give the process more memory";
    case SQLITE_TOOBIG:
      return "record less than 1 GB in one value";
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
      return "record other data";
    default:
      return "check that no other program changed the database's tables";
  }
}

}  // namespace

StoreError to_store_error(const SQLite::Exception& failure, const std::string& path, std::string_view doing) {
  const int code = primary_code(failure);
  return {kind_of(code), fmt::format("SQLite database {}: {} failed: {} (SQLite code {}); {}", path, doing,
                                     failure.what(), failure.getExtendedErrorCode(), remedy(code, path))};
}

StoreError out_of_memory(const std::string& path, std::string_view doing) {
  return {StoreError::Kind::unavailable, fmt::format("SQLite database {}: {} failed: out of memory; {}", path,
                                                     doing, remedy(SQLITE_NOMEM, path))};
}

bool is_transient(const SQLite::Exception& failure) noexcept {
  const int code = primary_code(failure);
  return code == SQLITE_BUSY || code == SQLITE_LOCKED || code == SQLITE_PROTOCOL || code == SQLITE_SCHEMA;
}

bool is_io_error(const SQLite::Exception& failure) noexcept {
  return primary_code(failure) == SQLITE_IOERR;
}

bool is_damage(const SQLite::Exception& failure) noexcept {
  const int code = primary_code(failure);
  return code == SQLITE_CORRUPT || code == SQLITE_NOTADB ||
         failure.getExtendedErrorCode() == SQLITE_IOERR_SHORT_READ;
}

}  // namespace codewake::internal
