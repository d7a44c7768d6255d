// Everything that is written, through the one connection that writes.
//
// Invariants:
//  - A transaction takes two round trips, and two more where its events or trace events are copied. The first
//  ends before COMMIT is sent: by then the server holds, for as long as the transaction lasts, the lock of
//  the run whose journal it tells of. Reader::positions waits for that lock; so what it answers is final,
//  also where a transaction whose client has gone away is still on its way to COMMIT. Few events that come
//  without a position in a journal take one round trip, on a connection that was in use a moment ago.
//  - Nothing is remembered from one transaction to the next. The rows that a batch refers to (processes,
//  stack traces) are looked up and locked within it: no foreign key guards them. Whoever removes such rows
//  (removal.hpp) locks them first, and looks for references to them after that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/store.hpp"
#include "connection.hpp"
#include "parameters.hpp"

namespace codewake::internal {

/// Thread-bound to the holder of the lock that guards it. Every call throws StoreError or pqxx::failure, and
/// has changed nothing then, except where that is a pqxx::in_doubt_error.
class Writer {
 public:
  /// `connection` and `parameters` must outlive it.
  Writer(Connection& connection, const PostgresParameters& parameters)
      : connection_(connection), parameters_(parameters) {}

  BatchResult write(const Batch& batch);
  AppInserted insert_app(std::string_view name, std::optional<std::string_view> vsn);
  void forget_positions(std::string_view prefix);
  Removed remove_older(Time before, std::size_t most);
  FramesReplaced replace_frames(const std::vector<StacktraceRecord>& stacktraces);

 private:
  BatchResult write_all(const Batch& batch);
  /// In one round trip, or nothing is written: where it is not for such a batch, and where something keeps it
  /// from being written that write_all() has words for.
  std::optional<BatchResult> write_at_once(const Batch& batch);
  /// Sends the last statements of a batch, and COMMIT with them.
  template <class Work>
  void commit(Work answer_commit);
  /// Runs `work(Transaction&)` in a transaction, and commits it; again where somebody else was in the way.
  template <class Work>
  auto transact(Work work);
  /// The same for what takes rows away: there is one at a time in a database.
  template <class Work>
  auto transact_removal(Work work);

  Connection& connection_;
  const PostgresParameters& parameters_;
};

/// The run that a segment of a journal, or a prefix of its name, belongs to: what stands before the slash.
/// Empty where there is none.
std::string_view run_of(std::string_view segment);

/// An SQL expression: the number by which the run that is its text argument is locked.
inline constexpr std::string_view kRunLock = "hashtextextended('codewake/' || $1::text, 0)";

}  // namespace codewake::internal
