// The tables: those of Code Wake for Python, and what has been added to them.
//
// Invariant: a database is either as the older package made it (version 0, maybe with no tables at all), or
// has all of the additions of a version, and that version in codewake_schema. One transaction leads from
// there to the newest.
#pragma once

#include <string>

#include "connection.hpp"

namespace codewake::internal {

inline constexpr int kSchemaVersion = 2;
/// Since when there are the index of pairs and `journals`, and since when the tables of traces.
inline constexpr int kAdditionsVersion = 1, kTracesVersion = 2;

/// What a reader finds. Version 0 is complete only where all of the older package's tables are there.
struct SchemaState {
  int version = 0;
  bool complete = false;
  /// A trigger, view or virtual table at our tables that is not of this library, and would run while it
  /// writes: what it is called and what to do; empty where there is none.
  std::string unknown = {};
};

/// Reads what there is. Throws StoreError (unavailable) where it was made by a newer version of this library,
/// and SQLite::Exception where the file is no database.
SchemaState inspect_schema(Connection& connection, const SqliteParameters& parameters);

/// Throws StoreError (unavailable) where something is unknown.
void refuse_unknown(const SchemaState& state);

/// Makes or upgrades the tables, unless another process has done so in the meantime. Throws StoreError
/// (unavailable) where a table of one of our names is somebody else's or something unknown is at our tables,
/// and SQLite::Exception. Changes nothing where it throws.
void upgrade_schema(Connection& connection, const SqliteParameters& parameters);

}  // namespace codewake::internal
