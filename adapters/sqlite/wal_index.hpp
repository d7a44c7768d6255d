// What all processes that have a database open share in memory about its WAL:
// https://www.sqlite.org/walformat.html
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <optional>

namespace codewake::internal {

/// Of a connection that has opened a WAL. After that was deleted, other processes open a new one, but the
/// shared memory stays: what it says is about one of the two.
struct WalIndex {
  std::uint32_t frames = 0;  ///< that were committed since the WAL was begun
  bool is_of_wal = false;    ///< whether they are in the WAL that this connection has open

  /// Whether it is about another WAL. Frames of this one that went into the database by it, or were added to
  /// it, would damage the database.
  bool is_of_another() const noexcept { return frames != 0 && !is_of_wal; }
};

/// Nothing where it cannot be read. It costs a call of pread().
std::optional<WalIndex> wal_index(sqlite3* connection) noexcept;
std::optional<WalIndex> wal_index(sqlite3_file* database, sqlite3_file* wal) noexcept;

}  // namespace codewake::internal
