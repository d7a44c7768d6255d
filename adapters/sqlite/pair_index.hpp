// Which events have a given key and value: an index that is built behind the writer.
//
// A B-tree over events_data(key, val) makes inserts nine times slower, for each goes to a random page.
// Instead, once some ten thousand rows have come, their pairs are hashed, sorted and written as one run of
// chunks; some runs together are merged into a larger one. A look-up probes every run for the hash, and scans
// the rows above `indexed_to`, which no run holds yet, whoever wrote them.
//
// Invariants:
//  - Every row of events_data up to codewake_pair_state.indexed_to is in a run, by the hash of what it is
//  read as. Triggers
//    lower the mark where another program changes rows, or deletes the last ones so that their ids are given
//    again.
//  - What a run says may be wrong in one direction only: the event may be gone, changed, or have another pair
//  of the same
//    hash. Whoever asks looks at the event.
//
// A chunk is a list of entries, sorted by hash and event: the hash as the difference to the one before (the
// chunk's first_hash before the first), then the event's id as the zigzag difference to the one before (0
// before the first), both as LEB128. The hash is FNV-1a (64 bits) over the key, a NUL byte and, unless it is
// NULL, a byte of 1 and the value; its halves are combined by exclusive or.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/records.hpp"
#include "connection.hpp"

namespace codewake::internal {

/// The tables, for schema.cpp.
extern const char* const kPairIndexTables;

std::uint32_t pair_hash(std::string_view key, std::optional<std::string_view> value) noexcept;

struct PairEntry {
  std::uint32_t hash = 0;
  Id event_id = 0;

  auto operator<=>(const PairEntry&) const = default;
};

/// Encodes sorted entries from `at` on, as many as a chunk takes, and moves `at` behind them.
std::string encode_chunk(const std::vector<PairEntry>& entries, std::size_t& at);

/// Appends the entries of a chunk. What is not one gives fewer entries, never more.
void decode_chunk(std::uint32_t first_hash, std::string_view chunk, std::vector<PairEntry>& entries);

/// Brings the index forward if enough rows have come. Within a transaction that writes; `last_data_id` is the
/// last id of events_data. Bounded: an older database with many rows is taken in by several calls. Throws
/// SQLite::Exception.
void advance_pair_index(Connection& connection, Id last_data_id);

/// Up to which id of events_data the runs go. Throws SQLite::Exception.
Id pairs_indexed_to(Connection& connection);

/// Adds the ids of events that the runs have for a hash; false where there are more than `limit`, of which
/// some were added. Throws SQLite::Exception.
bool probe_pair_index(Connection& connection, std::uint32_t hash, std::size_t limit, std::vector<Id>& ids);

}  // namespace codewake::internal
