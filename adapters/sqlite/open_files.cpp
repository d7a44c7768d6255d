#include "open_files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "descriptors.hpp"
#include "sqlite_file.hpp"

namespace codewake::internal {
namespace {

// https://www.sqlite.org/fileformat2.html#file_change_counter: a checkpoint only ever makes it larger, modulo
// 2^32.
constexpr sqlite3_int64 kChangeCounterAt = 24;

/// What the database says without its WAL, 0 where it is empty; nothing where it cannot be read.
std::optional<std::uint32_t> change_counter(sqlite3* connection) noexcept {
  sqlite3_file* const file = file_of(connection, SQLITE_FCNTL_FILE_POINTER);
  if (file == nullptr) return std::nullopt;
  std::array<unsigned char, 4> bytes{};
  const int code =
      file->pMethods->xRead(file, bytes.data(), static_cast<int>(bytes.size()), kChangeCounterAt);
  if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) return std::nullopt;
  std::uint32_t counter = 0;
  for (const unsigned char byte : bytes) counter = counter << 8 | byte;
  return counter;
}

/// Of what SQLite has open, which may have lost its name to another file since it was opened; `path` where
/// that cannot be learned.
std::optional<FileIdentity> identity_of_open(sqlite3_file* file, const std::string& path) noexcept {
  UsedFile used;
  char first = 0;
  if (file != nullptr) static_cast<void>(file->pMethods->xRead(file, &first, sizeof first, 0));
  const std::optional<FileIdentity> identity = used.identity();
  return identity ? identity : identity_of(path);
}

/// By a lock of readers, which they share: SQLite locks a place in the file for it, where no other connection
/// of this process has that already.
std::optional<FileIdentity> identity_of_shared_memory(sqlite3* connection, const std::string& path) noexcept {
  constexpr int kLastReadLock = 7, kOne = 1;
  sqlite3_file* const database = file_of(connection, SQLITE_FCNTL_FILE_POINTER);
  // Without a WAL there is no shared memory, which an older SQLite does not look at.
  const bool has_wal = file_of(connection, SQLITE_FCNTL_JOURNAL_POINTER) != nullptr;
  if (database == nullptr || database->pMethods->iVersion < 2 || !has_wal) return identity_of(path);
  UsedFile used;
  const int code =
      database->pMethods->xShmLock(database, kLastReadLock, kOne, SQLITE_SHM_LOCK | SQLITE_SHM_SHARED);
  if (code == SQLITE_OK)
    database->pMethods->xShmLock(database, kLastReadLock, kOne, SQLITE_SHM_UNLOCK | SQLITE_SHM_SHARED);
  const std::optional<FileIdentity> identity = used.identity();
  return identity ? identity : identity_of(path);
}

bool is_older(std::uint32_t change, std::uint32_t than) noexcept {
  return static_cast<std::int32_t>(change - than) < 0;
}

void raise_to(std::atomic<std::uint32_t>& newest, std::uint32_t to) noexcept {
  std::uint32_t known = newest;
  while (is_older(known, to) && !newest.compare_exchange_weak(known, to)) continue;
}

}  // namespace

std::optional<FileIdentity> identity_of(const std::string& path) noexcept {
  struct stat file {};
  if (lstat(path.c_str(), &file) != 0) return std::nullopt;
  return FileIdentity{file.st_dev, file.st_ino};
}

std::string_view to_text(Replaced how) noexcept {
  switch (how) {
    case Replaced::no:
      return "was not replaced";
    case Replaced::database:
      return "was deleted, moved or replaced";
    case Replaced::older_content:
      return "was overwritten with an older copy";
    case Replaced::wal:
      break;
    case Replaced::shared_memory:
      return "has lost its shared memory (-shm), which was deleted or replaced";
  }
  return "has lost its WAL, which was deleted or replaced";
}

OpenFiles::OpenFiles(const std::string& path, bool has_wal, sqlite3* connection)
    : connection_(connection),
      database_{path, identity_of_open(file_of(connection, SQLITE_FCNTL_FILE_POINTER), path)},
      wal_{path + "-wal", std::nullopt},
      shared_memory_{path + "-shm", std::nullopt} {
  if (!has_wal) return;
  wal_.identity = identity_of_open(file_of(connection, SQLITE_FCNTL_JOURNAL_POINTER), wal_.path);
  shared_memory_.identity = identity_of_shared_memory(connection, shared_memory_.path);
  if (const std::optional<std::uint32_t> change = change_counter(connection)) {
    has_change_ = true;
    newest_change_ = *change;
  }
}

Replaced OpenFiles::look() noexcept {
  if (!database_.is_at_path()) return Replaced::database;
  if (has_older_content()) return Replaced::older_content;
  if (wal_.identity && !wal_.is_at_path()) return Replaced::wal;
  if (shared_memory_.identity && !shared_memory_.is_at_path()) return Replaced::shared_memory;
  return Replaced::no;
}

bool OpenFiles::has_older_content() noexcept {
  if (!has_change_) return false;
  const std::uint32_t newest = newest_change_;
  const std::optional<std::uint32_t> now = change_counter(connection_);
  if (!now || *now == newest) return false;
  if (is_older(*now, newest)) return true;
  raise_to(newest_change_, *now);
  return false;
}

void OpenFiles::note_change(const OpenFiles& seen_by) noexcept {
  if (has_change_ && seen_by.has_change_) raise_to(newest_change_, seen_by.newest_change_.load());
}

bool OpenFiles::shares_files_with(const OpenFiles& other) const noexcept {
  return database_.identity == other.database_.identity && wal_.identity == other.wal_.identity &&
         shared_memory_.identity == other.shared_memory_.identity;
}

void OpenFiles::remove_wal() const noexcept {
  for (const Noted* file : {&wal_, &shared_memory_}) {
    if (file->identity && file->is_at_path()) unlink(file->path.c_str());
  }
}

}  // namespace codewake::internal
