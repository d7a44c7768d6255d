// What is handed to a store to be written: an event, a process, and batches of them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/records.hpp"
#include "codewake/time.hpp"
#include "codewake/trace_event.hpp"

namespace codewake {

class Stacktrace;

/// One run of a program, as it introduces itself.
struct ProcessInfo {
  Time run_ts = now();
  std::string app_name = {};  ///< never empty
  std::optional<std::string> app_vsn =
      std::nullopt;  ///< an empty string counts as none, as in the older system
  std::optional<std::string> env_name = std::nullopt;  ///< likewise
  std::optional<std::int64_t> pid = std::nullopt;
  std::optional<std::string> username = std::nullopt;
  std::optional<std::string> fqdn = std::nullopt;
  std::optional<std::string> exe_path = std::nullopt;

  bool operator==(const ProcessInfo&) const = default;
};

/// An event on its way from `log()` to a store. Borrows its data and its stack trace for the call.
struct EventInput {
  /// Empty: the process that `Store::insert_process` recorded last through the same store object.
  std::optional<Id> process_id = std::nullopt;
  /// Empty: no data at all (a NULL digest), which is not the same as an empty list.
  std::optional<std::span<const AttributeArgument>> data = std::nullopt;
  /// Empty: now, by the cheapest clock that the store has.
  std::optional<Time> when = std::nullopt;
  /// May be null: no stack trace, which is not the same as one without frames.
  const Stacktrace* stacktrace = nullptr;
  /// May be null: it happened outside of traces.
  const TraceTie* trace = nullptr;
};

/// A process that a batch's events belong to.
struct BatchProcess {
  Id id = 0;                          ///< the process's id, or 0: not stored yet, `info` says who it is
  const ProcessInfo* info = nullptr;  ///< null where `id` is known
};

/// An event of a batch. Text is UTF-8 without NUL bytes: the library has seen to that.
struct BatchEvent {
  std::uint32_t process = 0;  ///< index into Batch::processes
  Time when = {};
  bool has_data = false;  ///< false: no data at all, a NULL digest
  std::span<const AttributeView> data = {};
  const Stacktrace* stacktrace = nullptr;  ///< may be null; `frames()` gives what to store
  std::optional<TraceTie> trace = std::nullopt;
  /// Tells it from the others of its journal's run, and is the same each time that it is written; 0: it comes
  /// from no journal.
  std::uint64_t journal_place = 0;
};

/// How far a journal's segment has been stored. A segment's name is unique in the world.
struct JournalPosition {
  std::string_view segment = {};
  std::uint64_t position = 0;
  std::uint32_t process = 0;  ///< index into Batch::processes: whose journal this is
  /// The position that the store has noted so far; 0: the writer knows of none. A store that has noted
  /// another one is not the storage that the writer knows: it was replaced, or set back to an older state.
  std::uint64_t noted = 0;
};

/// What one `Store::write` stores, all or nothing. Everything in it is borrowed for the call.
struct Batch {
  std::span<const BatchProcess> processes = {};
  std::span<const BatchEvent> events = {};
  /// Only where Store::stores_trace_events.
  std::span<const BatchTraceEvent> trace_events = {};
  std::span<const JournalPosition> positions = {};
};

/// What `Store::write` did.
struct BatchResult {
  std::vector<Id> process_ids;  ///< of Batch::processes, in their order
  std::vector<Id> event_ids;    ///< of Batch::events, in their order
};

/// What a store remembers of a journal's segment.
struct StoredPosition {
  std::string segment;
  std::uint64_t position = 0;
  Id process_id = 0;

  bool operator==(const StoredPosition&) const = default;
};

}  // namespace codewake
