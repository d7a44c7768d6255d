// The frames of stack traces that are stored: read, written, and replaced by others that tell more.
//
// Invariant: a stack trace whose frames are replaced, or whose events move to another, is locked FOR UPDATE
// in one statement, and changed in a later one: as in removal.hpp, and for the same reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "codewake/frame.hpp"
#include "codewake/store.hpp"
#include "connection.hpp"
#include "schema.hpp"

namespace codewake::internal {

/// Frames on their way into the table. Reentrant.
class FrameRows {
 public:
  /// `frames`: innermost first.
  void add(Id stacktrace, std::span<const Frame> frames);
  /// Inserts all that were added; nothing where there are none.
  std::optional<Statement> insert() const;

 private:
  Array traces_{Type::int8}, files_{Type::text}, lines_{Type::int8}, sources_{Type::text};
  Array functions_{Type::text}, modules_{Type::text}, build_ids_{Type::text}, offsets_{Type::int8};
};

// Each throws pqxx::failure. `schema`: which columns there are.

/// Of these stack traces, innermost first.
std::unordered_map<Id, std::vector<Frame>> frames_of(Transaction& transaction, const SchemaState& schema,
                                                     std::span<const Id> ids);

/// As Store::get_stacktraces_to_symbolize and count_stacktraces_to_symbolize, within a snapshot of the
/// caller's.
std::vector<StacktraceRecord> stacktraces_to_symbolize(Transaction& transaction, const SchemaState& schema,
                                                       Id after, std::size_t limit);
std::uint64_t count_to_symbolize(Transaction& transaction, const SchemaState& schema);

/// As Store::replace_frames, within a transaction at READ COMMITTED that holds the lock of removal.
FramesReplaced replace_frames(Transaction& transaction, const std::vector<StacktraceRecord>& stacktraces);

}  // namespace codewake::internal
