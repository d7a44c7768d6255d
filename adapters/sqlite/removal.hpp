// Removing what is old, one slice at a time, and counting it.
#pragma once

#include <cstddef>

#include "codewake/store.hpp"
#include "connection.hpp"
#include "schema.hpp"

namespace codewake::internal {

/// As Store::remove_older, within a transaction of the caller's. Throws SQLite::Exception.
Removed remove_slice(Connection& connection, Time before, std::size_t most);

/// As Store::count_older, within a snapshot of the caller's. `schema`: which tables there are. Throws
/// SQLite::Exception.
Removed count_old(Connection& connection, const SchemaState& schema, Time before);

}  // namespace codewake::internal
