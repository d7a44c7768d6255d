// The frames of stack traces that are stored: read, written, and replaced by others that tell more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "codewake/frame.hpp"
#include "codewake/store.hpp"
#include "connection.hpp"
#include "schema.hpp"

namespace codewake::internal {

// Each throws SQLite::Exception. `schema`: which columns there are.

/// Of these stack traces, as to_json writes their ids; innermost first.
std::unordered_map<Id, std::vector<Frame>> frames_of(Connection& connection, const SchemaState& schema,
                                                     const std::string& ids);

/// `frames`: innermost first.
void insert_frames(Connection& connection, Id stacktrace, std::span<const Frame> frames);

/// As Store::get_stacktraces_to_symbolize and count_stacktraces_to_symbolize, within a snapshot of the
/// caller's.
std::vector<StacktraceRecord> stacktraces_to_symbolize(Connection& connection, const SchemaState& schema,
                                                       Id after, std::size_t limit);
std::uint64_t count_to_symbolize(Connection& connection, const SchemaState& schema);

/// As Store::replace_frames, within a transaction of the caller's.
FramesReplaced replace_frames(Connection& connection, const std::vector<StacktraceRecord>& stacktraces);

}  // namespace codewake::internal
