// The tables: those of Code Wake for Python, and what has been added to them.
//
// Invariant: a database is either as the older package made it (version 0, maybe with no tables at all), or
// has all of the additions of a version, and that version in codewake_schema. One transaction under an
// advisory lock leads from there to the newest, however many processes start at once.
#pragma once

#include <string_view>

#include "connection.hpp"

namespace codewake::internal {

inline constexpr int kSchemaVersion = 2;
/// Since when there are the index of pairs and `journals`, and since when the tables of traces.
inline constexpr int kAdditionsVersion = 1, kTracesVersion = 2;

/// What a reader finds. Version 0 is complete only where all of the older package's tables are there.
struct SchemaState {
  int version = 0;
  bool complete = false;
};

/// Reads what there is. Throws StoreError (unavailable) where it was made by a newer version of this library,
/// and pqxx::failure.
SchemaState inspect_schema(Transaction& transaction, const PostgresParameters& parameters);

/// Makes or upgrades the tables, unless another process has done so in the meantime. An older database's
/// ids become eight bytes wide, which rewrites its tables: this takes as long as it takes, an hour at most.
/// Throws StoreError (unavailable) where a table of one of our names is somebody else's, and pqxx::failure.
/// Changes nothing where it throws.
void upgrade_schema(Connection& connection, const PostgresParameters& parameters);

/// Throws StoreError (unavailable) where `version`, as codewake_schema has it, is newer than this library.
void check_version(std::int64_t version, std::string_view display);
/// The same, of the version that the database has; throws pqxx::failure, too.
void check_version(Transaction& transaction, const PostgresParameters& parameters);

// The index of pairs finds the events that say `key` = `value`. Its key is a part, 2^16 events in the order
// of their ids, above 32 bits of hash. So what is inserted now goes into a part of the index that fits into
// the processor's cache, where an index by hash alone would be written all over; a look-up asks each part in
// turn. The functions give SQL expressions; both sides of every comparison come from here.

/// The part of an event.
std::string pair_part(std::string_view event_id);
/// The bits below the part.
std::string pair_hash(std::string_view key, std::string_view value);
/// The key of the index.
std::string pair_key(std::string_view part, std::string_view hash);
/// The key of the index, of a row of events_data that is named `row`; empty: of the table itself.
std::string pair_key_of(std::string_view row);

/// The key of the index of variables: a name may be longer than an index takes.
inline constexpr std::string_view kVariableKey = "hashtextextended(name, 0)";

}  // namespace codewake::internal
