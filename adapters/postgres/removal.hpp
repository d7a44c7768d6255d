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
/// events for references that stay.
Statement lock_removal();

/// For the rest of that transaction. Statistics that are behind make the planner read whole tables for each
/// slice.
Statement use_indexes();

// Within a transaction at READ COMMITTED, for each statement must see what was committed before it. `before`
// as the tables have it; `most`: at least 1. All throw Failure.

/// Removes the oldest events, at most so many, with their data, and their stack traces that are left unused.
Removed remove_events(Connection& connection, double before, std::int64_t most);

/// Removes the oldest trace events, at most so many; the result is how many.
std::uint64_t remove_trace_events(Connection& connection, double before, std::int64_t most);

/// Removes processes that began before and have neither events nor trace events nor a journal position, at
/// most so many; the result is how many. Leaves out those that a writer is just using.
std::uint64_t remove_processes(Connection& connection, double before, std::int64_t most);

/// As Store::count_older, within a snapshot of the caller's. `schema`: which tables there are. Throws
/// Failure.
Removed count_old(Connection& connection, const SchemaState& schema, double before);

}  // namespace codewake::internal
