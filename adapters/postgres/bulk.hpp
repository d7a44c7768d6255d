// A batch's events and their data on their way into the tables: by COPY, or, where there are few, by one
// INSERT each that goes along with the rest of the transaction. Trace events go by COPY.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "codewake/event.hpp"
#include "pipeline.hpp"

namespace codewake::internal {

/// A batch, with all the ids that it was given.
struct NumberedBatch {
  const Batch& batch;
  std::span<const Id> process_ids;     ///< of Batch::processes
  std::span<const Id> event_ids;       ///< of Batch::events
  std::span<const Id> stacktrace_ids;  ///< of Batch::events; 0: none
};

/// Whether the events are worth a COPY, which takes round trips of its own.
bool is_worth_a_copy(const Batch& batch);

/// What is copied. Trace events are, however few: they come by the hundred, or singly where none is waited
/// for.
struct CopiedRows {
  bool events = false;
  bool trace_events = false;

  bool any() const noexcept { return events || trace_events; }
};

/// Within a transaction; Pipeline::end_copies() ends it. A statement that is `last`, such as COMMIT, is done
/// with that. Throws pqxx::failure.
void copy_rows(Pipeline& pipeline, const NumberedBatch& numbered, CopiedRows rows, std::string_view last);

/// Which traces the events are of; nothing where they are of none. A statement, for there are seldom many.
std::optional<Statement> insert_ties(const NumberedBatch& numbered);

/// Events and their data, as a statement. Reentrant.
class EventsInsert {
 public:
  /// Takes what needs no ids; the batch must outlive it.
  explicit EventsInsert(const Batch& batch);

  Statement statement(const NumberedBatch& numbered) const;

  /// The same where the batch has no ids yet: the server gives them, and answers with them in `kIdsColumn`.
  /// Division by zero where a process is not there, or the schema is newer than `version`.
  Statement statement_with_checks(const Batch& batch, std::int64_t version) const;
  static constexpr int kIdsColumn = 0;

 private:
  Array whens_{Type::float8}, digests_{Type::bytea};
  Array keys_{Type::text}, values_{Type::text};
};

}  // namespace codewake::internal
