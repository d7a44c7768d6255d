// Invariants:
//  - What is kept lies behind everything that the transaction has written before, so that nothing in the file
//  is
//    older than what SQLite takes to be there. Other writes go through at once, behind what is kept.
//  - Nothing is kept that belongs to a transaction that has ended, nor longer than the lock is held.
//  - Nobody reads the file through this connection, nor is told of a frame in shared memory that is valid,
//  before
//    what is kept has been written. (Frames of a transaction that has not ended are not valid to others.)
#include "wal_buffer.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include "wal_index.hpp"

namespace codewake::internal {
namespace {

// The format of a WAL: https://www.sqlite.org/fileformat2.html#walformat, and walformat.html for the lock.
constexpr int kFrameHeaderBytes = 24;
constexpr int kCommitField = 4;  // four bytes, zero in all frames but the one that ends a transaction
constexpr int kLeastPageBytes = 512;
constexpr int kMostPageBytes = 65'536;
constexpr int kWriteLock = 0, kCheckpointLock = 1;

/// The most that SQLite's own file takes at once.
constexpr std::size_t kBufferBytes = (128 << 10) - 1;

constexpr bool is_page_size(int size) noexcept {
  return size >= kLeastPageBytes && size <= kMostPageBytes && (size & (size - 1)) == 0;
}

/// The end of a WAL that is not written yet.
class Kept {
 public:
  /// Without memory nothing is kept.
  Kept() noexcept : bytes_(new (std::nothrow) char[kBufferBytes]) {}

  int write(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) noexcept {
    const bool is_appended = end_ == 0 || at == end_;
    if (!has_header_ && is_appended && size == kFrameHeaderBytes && keep(from, size, at)) {
      constexpr char kNone[4] = {};
      is_commit_ = std::memcmp(static_cast<const char*>(from) + kCommitField, kNone, sizeof kNone) != 0;
      has_header_ = true;
      return SQLITE_OK;
    }
    if (has_header_ && is_appended && is_page_size(size) && keep(from, size, at)) {
      has_header_ = false;
      const bool is_full = size_ + kFrameHeaderBytes + static_cast<std::size_t>(size) > kBufferBytes;
      return is_commit_ || is_full ? flush(file) : SQLITE_OK;
    }
    if (const int code = flush(file); code != SQLITE_OK) return code;
    end_ = at == 0 ? size : std::max(end_, at + size);  // at 0 the WAL begins anew
    return file->pMethods->xWrite(file, from, size, at);
  }

  int flush(sqlite3_file* file) noexcept {
    has_header_ = false;
    if (size_ == 0) return SQLITE_OK;
    const auto size = static_cast<int>(std::exchange(size_, 0));
    return file->pMethods->xWrite(file, bytes_.get(), size, begin_);
  }

  /// Wherever the next transaction begins, nothing of it is written yet.
  void begin_transaction() noexcept { end_ = 0; }

 private:
  bool keep(const void* from, int size, sqlite3_int64 at) noexcept {
    if (bytes_ == nullptr || size_ + static_cast<std::size_t>(size) > kBufferBytes) return false;
    if (size_ == 0) begin_ = at;
    std::memcpy(bytes_.get() + size_, from, static_cast<std::size_t>(size));
    size_ += static_cast<std::size_t>(size);
    end_ = at + size;
    return true;
  }

  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
  sqlite3_int64 begin_ = 0;
  sqlite3_int64 end_ = 0;    // of what the transaction has written so far; 0: nothing
  bool has_header_ = false;  // last, without its page
  bool is_commit_ = false;
};

/// Behind it lies the usual VFS's file.
struct File {
  sqlite3_file base;  // first: SQLite's part
  File* wal;          // of a database, while that is open
  File* database;     // of a WAL
  Kept* kept;         // likewise
};
static_assert(sizeof(File) % alignof(std::max_align_t) == 0);

File& own(sqlite3_file* file) noexcept {
  return *reinterpret_cast<File*>(file);
}

sqlite3_file* usual(File& file) noexcept {
  return reinterpret_cast<sqlite3_file*>(&file + 1);
}
sqlite3_file* usual(sqlite3_file* file) noexcept {
  return usual(own(file));
}

int flush(File& file) noexcept {
  File* const wal = file.wal != nullptr ? file.wal : &file;
  return wal->kept != nullptr ? wal->kept->flush(usual(*wal)) : SQLITE_OK;
}

/// A method of the usual file, called once nothing is kept.
template <auto kMethod>
struct Flushed;
template <class... Parameters, int (*sqlite3_io_methods::*kMethod)(sqlite3_file*, Parameters...)>
struct Flushed<kMethod> {
  static int call(sqlite3_file* file, Parameters... parameters) noexcept {
    if (const int code = flush(own(file)); code != SQLITE_OK) return code;
    sqlite3_file* const usual_file = usual(file);
    return (usual_file->pMethods->*kMethod)(usual_file, parameters...);
  }
};

/// One that has nothing to do with what is kept.
template <auto kMethod>
struct PassedOn;
template <class... Parameters, int (*sqlite3_io_methods::*kMethod)(sqlite3_file*, Parameters...)>
struct PassedOn<kMethod> {
  static int call(sqlite3_file* file, Parameters... parameters) noexcept {
    sqlite3_file* const usual_file = usual(file);
    return (usual_file->pMethods->*kMethod)(usual_file, parameters...);
  }
};
/// The same of the usual VFS.
template <class Result, class... Parameters, Result (*sqlite3_vfs::*kMethod)(sqlite3_vfs*, Parameters...)>
struct PassedOn<kMethod> {
  static Result call(sqlite3_vfs* vfs, Parameters... parameters) noexcept {
    auto* const usual_vfs = static_cast<sqlite3_vfs*>(vfs->pAppData);
    return (usual_vfs->*kMethod)(usual_vfs, parameters...);
  }
};

int close(sqlite3_file* base) noexcept {
  File& file = own(base);
  // Of no transaction that was committed: what fails here is missed by nobody.
  static_cast<void>(flush(file));
  delete std::exchange(file.kept, nullptr);
  if (file.database != nullptr) file.database->wal = nullptr;
  if (file.wal != nullptr) file.wal->database = nullptr;
  return usual(file)->pMethods->xClose(usual(file));
}

int write(sqlite3_file* base, const void* from, int size, sqlite3_int64 at) noexcept {
  File& file = own(base);
  if (file.kept != nullptr) return file.kept->write(usual(file), from, size, at);
  return usual(file)->pMethods->xWrite(usual(file), from, size, at);
}

/// A WAL comes in place of another only while no other connection is at a checkpoint.
bool is_index_of_another(File& database) noexcept {
  const std::optional<WalIndex> index = wal_index(usual(database), usual(*database.wal));
  return index && index->is_of_another();
}

int lock_shared_memory(sqlite3_file* base, int first, int count, int flags) noexcept {
  File& file = own(base);
  const int code = flush(file);
  const bool locks = (flags & SQLITE_SHM_LOCK) != 0;
  // What fails when a lock is let go belongs to a transaction that is rolled back.
  if (code != SQLITE_OK && locks) return code;
  const int locked = usual(file)->pMethods->xShmLock(usual(file), first, count, flags);
  const bool is_taken = locks && (flags & SQLITE_SHM_EXCLUSIVE) != 0 && locked == SQLITE_OK;
  if (!is_taken || file.wal == nullptr) return locked;
  if (first == kWriteLock) file.wal->kept->begin_transaction();
  if (first == kCheckpointLock && count == 1 && is_index_of_another(file)) {
    usual(file)->pMethods->xShmLock(usual(file), first, count, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
    return SQLITE_BUSY;
  }
  return locked;
}

// What ends a transaction has been written by then, where an error can be told.
void shared_memory_barrier(sqlite3_file* base) noexcept {
  static_cast<void>(flush(own(base)));
  usual(base)->pMethods->xShmBarrier(usual(base));
}

constexpr sqlite3_io_methods make_methods(int version) noexcept {
  using Methods = sqlite3_io_methods;
  Methods methods{};
  methods.iVersion = version;
  methods.xClose = &close;
  methods.xRead = &Flushed<&Methods::xRead>::call;
  methods.xWrite = &write;
  methods.xTruncate = &Flushed<&Methods::xTruncate>::call;
  methods.xSync = &Flushed<&Methods::xSync>::call;
  methods.xFileSize = &Flushed<&Methods::xFileSize>::call;
  methods.xLock = &PassedOn<&Methods::xLock>::call;
  methods.xUnlock = &PassedOn<&Methods::xUnlock>::call;
  methods.xCheckReservedLock = &PassedOn<&Methods::xCheckReservedLock>::call;
  methods.xFileControl = &PassedOn<&Methods::xFileControl>::call;
  methods.xSectorSize = &PassedOn<&Methods::xSectorSize>::call;
  methods.xDeviceCharacteristics = &PassedOn<&Methods::xDeviceCharacteristics>::call;
  methods.xShmMap = &PassedOn<&Methods::xShmMap>::call;
  methods.xShmLock = &lock_shared_memory;
  methods.xShmBarrier = &shared_memory_barrier;
  methods.xShmUnmap = &Flushed<&Methods::xShmUnmap>::call;
  methods.xFetch = &Flushed<&Methods::xFetch>::call;
  methods.xUnfetch = &PassedOn<&Methods::xUnfetch>::call;
  return methods;
}

constexpr std::array<sqlite3_io_methods, 3> kMethods = {make_methods(1), make_methods(2), make_methods(3)};

int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* base, int flags, int* out_flags) noexcept {
  auto* const usual_vfs = static_cast<sqlite3_vfs*>(vfs->pAppData);
  File& file = *new (base) File{};
  const int code = usual_vfs->xOpen(usual_vfs, name, usual(file), flags, out_flags);
  const sqlite3_io_methods* const methods = usual(file)->pMethods;
  if (methods == nullptr) return code;
  file.base.pMethods = &kMethods[static_cast<std::size_t>(std::clamp(methods->iVersion, 1, 3)) - 1];
  if (code != SQLITE_OK || (flags & SQLITE_OPEN_WAL) == 0) return code;
  sqlite3_file* const database = sqlite3_database_file_object(name);
  if (database == nullptr) return code;
  file.kept = new (std::nothrow) Kept;
  if (file.kept == nullptr) return code;
  file.database = &own(database);
  file.database->wal = &file;
  return code;
}

constinit sqlite3_vfs buffering{};

/// False where the usual VFS is another one than that of Unix.
bool make_vfs() noexcept {
  sqlite3_vfs* const usual_vfs = sqlite3_vfs_find(nullptr);
  if (usual_vfs == nullptr || usual_vfs->iVersion < 3 || std::string_view(usual_vfs->zName) != "unix")
    return false;
  using Vfs = sqlite3_vfs;
  sqlite3_vfs& vfs = buffering;
  vfs = *usual_vfs;
  vfs.szOsFile = static_cast<int>(sizeof(File)) + usual_vfs->szOsFile;
  vfs.pNext = nullptr;
  vfs.zName = "codewake-wal-buffer";
  vfs.pAppData = usual_vfs;
  vfs.xOpen = &open;
  vfs.xDelete = &PassedOn<&Vfs::xDelete>::call;
  vfs.xAccess = &PassedOn<&Vfs::xAccess>::call;
  vfs.xFullPathname = &PassedOn<&Vfs::xFullPathname>::call;
  vfs.xDlOpen = &PassedOn<&Vfs::xDlOpen>::call;
  vfs.xDlError = &PassedOn<&Vfs::xDlError>::call;
  vfs.xDlSym = &PassedOn<&Vfs::xDlSym>::call;
  vfs.xDlClose = &PassedOn<&Vfs::xDlClose>::call;
  vfs.xRandomness = &PassedOn<&Vfs::xRandomness>::call;
  vfs.xSleep = &PassedOn<&Vfs::xSleep>::call;
  vfs.xCurrentTime = &PassedOn<&Vfs::xCurrentTime>::call;
  vfs.xGetLastError = &PassedOn<&Vfs::xGetLastError>::call;
  vfs.xCurrentTimeInt64 = &PassedOn<&Vfs::xCurrentTimeInt64>::call;
  vfs.xSetSystemCall = &PassedOn<&Vfs::xSetSystemCall>::call;
  vfs.xGetSystemCall = &PassedOn<&Vfs::xGetSystemCall>::call;
  vfs.xNextSystemCall = &PassedOn<&Vfs::xNextSystemCall>::call;
  return true;
}

}  // namespace

const char* vfs_with_wal_buffer() noexcept {
  static const bool is_made = make_vfs();
  if (!is_made) return nullptr;
  const bool is_there = sqlite3_vfs_find(buffering.zName) == &buffering;
  return is_there || sqlite3_vfs_register(&buffering, 0) == SQLITE_OK ? buffering.zName : nullptr;
}

void unregister_wal_buffer() noexcept {
  sqlite3_vfs_unregister(&buffering);
}

}  // namespace codewake::internal
