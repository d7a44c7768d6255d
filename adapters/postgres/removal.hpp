// Removing what is old, one slice at a time, and counting it.
//
// Invariant: a row that others refer to (a stack trace, a process) is locked FOR UPDATE in one statement, and
// removed in a later one only if nothing refers to it. Writers lock such a row FOR KEY SHARE before they
// refer to it. So a writer that was first has committed by then, and is seen; one that comes later waits, and
// then finds that the row is gone.
#pragma once

#include <cstdint>

#include "codewake/store.hpp"
#include "connection.hpp"
#include "schema.hpp"

namespace codewake::internal {

/// Within the transaction of whoever removes, before anything else: two at once would each take the other's
/// events for references that stay. Throws pqxx::failure, as all that follow.
void lock_removal(Transaction& transaction);

/// For the rest of a transaction. Statistics that are behind make the planner read whole tables for each
/// slice.
inline constexpr const char* kUseIndexes = "SET LOCAL enable_seqscan = off";

// Within a transaction at READ COMMITTED, for each statement must see what was committed before it. `before`
// as the tables have it; `most`: at least 1.

/// Removes the oldest events, at most so many, with their data, and their stack traces that are left unused.
Removed remove_events(Transaction& transaction, double before, std::int64_t most);

/// Removes the oldest trace events, at most so many; the result is how many.
std::uint64_t remove_trace_events(Transaction& transaction, double before, std::int64_t most);

/// Removes processes that began before and have neither events nor trace events nor a journal position, at
/// most so many; the result is how many. Leaves out those that a writer is just using.
std::uint64_t remove_processes(Transaction& transaction, double before, std::int64_t most);

/// As Store::count_older, within a snapshot of the caller's. `schema`: which tables there are.
Removed count_old(Transaction& transaction, const SchemaState& schema, double before);

}  // namespace codewake::internal
