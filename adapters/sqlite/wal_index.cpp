#include "wal_index.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>

#include "sqlite_file.hpp"

namespace codewake::internal {
namespace {

// https://www.sqlite.org/fileformat2.html#walformat,
// https://www.sqlite.org/walformat.html#the_wal_index_header. Salts have the byte order of the WAL in both.
constexpr sqlite3_int64 kSaltInWal = 16;
constexpr std::size_t kFramesInIndex = 16, kSaltInIndex = 32;
constexpr int kFirstRegion = 0, kRegionBytes = 32'768, kNotExtended = 0;

using Salt = std::array<char, 8>;

/// Other threads and processes may be writing it.
std::uint32_t number_at(char* index, std::size_t at) noexcept {
  return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(index + at)).load(std::memory_order_relaxed);
}

}  // namespace

std::optional<WalIndex> wal_index(sqlite3* connection) noexcept {
  return wal_index(file_of(connection, SQLITE_FCNTL_FILE_POINTER),
                   file_of(connection, SQLITE_FCNTL_JOURNAL_POINTER));
}

std::optional<WalIndex> wal_index(sqlite3_file* database, sqlite3_file* wal) noexcept {
  if (wal == nullptr || database == nullptr) return std::nullopt;
  void volatile* mapped = nullptr;
  if (database->pMethods->iVersion < 2 ||
      database->pMethods->xShmMap(database, kFirstRegion, kRegionBytes, kNotExtended, &mapped) != SQLITE_OK ||
      mapped == nullptr)
    return std::nullopt;
  auto* const index = static_cast<char*>(const_cast<void*>(mapped));
  const std::uint32_t frames = number_at(index, kFramesInIndex);
  Salt salt{};
  const int code = wal->pMethods->xRead(wal, salt.data(), static_cast<int>(salt.size()), kSaltInWal);
  if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) return std::nullopt;
  const bool is_of_wal =
      code == SQLITE_OK && std::memcmp(salt.data(), index + kSaltInIndex, salt.size()) == 0;
  return WalIndex{frames, is_of_wal};
}

}  // namespace codewake::internal
