// Which events have a given key and value: an index that is built behind the writer.
//
// A B-tree over events_data(key, val) makes inserts nine times slower, for each goes to a random page.
// Instead, once some ten thousand rows have come, their pairs are hashed, sorted and written as one run of
// chunks (pair_run.hpp); some runs together are merged into a larger one. A look-up probes every run for the
// hash, and scans the rows above `indexed_to`, which no run holds yet, whoever wrote them.
//
// Invariants:
//  - Every row of events_data up to codewake_pair_state.indexed_to is in a run, by the hash of what it is
//    read as. Triggers lower the mark where another program changes rows, or deletes the last ones so that
//    their ids are given again.
//  - What a run says may be wrong in one direction only: the event may be gone, changed, or have another pair
//    of the same hash. Whoever asks looks at the event. So an event that is removed stays in its run until
//    the run goes, and its id may be given again.
#pragma once

#include <cstdint>
#include <vector>

#include "codewake/event.hpp"
#include "connection.hpp"
#include "pair_run.hpp"

namespace codewake::internal {

/// The tables, for schema.cpp.
extern const char* const kPairIndexTables;

/// Brings the index forward as rows are written. It remembers the pairs of the rows that no run holds yet, so
/// that they need not be read back; where it does not know them all, it reads them. Thread-bound, as its
/// connection is.
class PairIndexWriter {
 public:
  /// `connection` must outlive it.
  explicit PairIndexWriter(Connection& connection) : connection_(connection) {}

  /// The batch's attributes have just been inserted in their order, the first with the id `first_data_id`, as
  /// data of events that are numbered from `first_event_id` on. Within that transaction. Throws
  /// SQLite::Exception.
  void add(const Batch& batch, Id first_event_id, Id first_data_id);

  /// What was written may be gone or different: the transaction was rolled back, or another program wrote.
  void forget() noexcept;

 private:
  void read_tail(Id indexed_to);
  void store_tail();

  Connection& connection_;
  // The pairs of the rows above `tail_from_` up to `tail_to_`; both are -1 where they are not known.
  std::vector<PairEntry> tail_;
  Id tail_from_ = -1;
  Id tail_to_ = -1;
};

/// Drops runs, from the first on, as long as they name removed events only: those before the first that is
/// there. Within a transaction of the caller's. Throws SQLite::Exception.
void drop_dead_runs(Connection& connection);

/// Up to which id of events_data the runs go. Throws SQLite::Exception.
Id pairs_indexed_to(Connection& connection);

/// Adds the ids of events that the runs have for a hash; false where there are more than `limit`, of which
/// some were added. Throws SQLite::Exception.
bool probe_pair_index(Connection& connection, std::uint32_t hash, std::size_t limit, std::vector<Id>& ids);

}  // namespace codewake::internal
