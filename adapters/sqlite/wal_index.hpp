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
  std::uint32_t frames = 0;        ///< that were committed
  std::uint32_t written_back = 0;  ///< of them, from the first one on
  bool is_of_wal = false;          ///< whether they are in the WAL that this connection has open

  /// What would be lost together with the WAL that the index is of.
  bool has_more_than_database() const noexcept { return written_back < frames; }
};

/// Nothing where it cannot be read. It costs a call of pread().
std::optional<WalIndex> wal_index(sqlite3* connection) noexcept;

}  // namespace codewake::internal
