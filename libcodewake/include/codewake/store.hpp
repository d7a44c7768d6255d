// The interface to storage, and how to write an adapter.
//
// An adapter is a shared object with one or more classes derived from Store and one line that registers them
// (plugin.hpp). It implements `write`, `insert_app`, and the reads; all else has a default made from these.
// It runs the conformance suite (testing/store_conformance.hpp) in its tests. CONTRIBUTING.md walks through
// it.
//
// Rules that an implementation keeps:
//  - The constructor takes `const std::vector<std::string>&` parameters, looks at them, and touches nothing
//  outside: a store that
//    is away must not keep a program from starting. The connection is made by the first call that needs it.
//    Parameters that make no sense are a ConfigError.
//  - Every method is thread-safe, and any number of processes may use the same storage at once.
//  - What goes wrong is a StoreError of the right kind with the driver's own words in it. A write that throws
//    `unavailable` or `rejected` has changed nothing.
//  - Any of the methods may block for as long as the storage takes. Programs that must not wait use
//  QueueStore.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/event.hpp"
#include "codewake/export.hpp"
#include "codewake/records.hpp"

namespace codewake {

namespace internal {
class Queue;
}

/// An app that was found or made, with the version that was asked for.
struct AppInserted {
  AppRecord app;
  std::optional<AppVersionRecord> app_vsn;

  bool operator==(const AppInserted&) const = default;
};

/// Which processes: every field that is given must match.
struct ProcessQuery {
  std::optional<Id> app_id = std::nullopt;
  std::optional<Time> from = std::nullopt;  ///< from ≤ run_ts
  std::optional<Time> to = std::nullopt;    ///< run_ts < to
};

/// Which events: every field that is given must match.
struct EventQuery {
  std::optional<Time> from = std::nullopt;  ///< from ≤ when
  std::optional<Time> to = std::nullopt;    ///< when < to
  std::optional<Id> process_id = std::nullopt;
  std::optional<std::string> app_name = std::nullopt;
  std::optional<std::string> env_name = std::nullopt;
  /// Each must be among the event's attributes, the same key and the same value; a NULL value matches NULL
  /// only.
  std::vector<Attribute> where = {};
  std::optional<bool> has_stacktrace = std::nullopt;
  /// At most so many events a page; at least 1.
  std::size_t limit = 100;
  /// Empty for the first page, then EventPage::next.
  std::string cursor = {};
};

/// Events, newest first (by time, then by id), and where to go on.
struct EventPage {
  std::vector<EventRecord> events;
  /// The cursor of the next page; empty where there is none. Opaque; stays valid while events come and go.
  std::string next;
};

/// Which groups of exceptions.
struct ExceptionQuery {
  std::optional<Time> from = std::nullopt;  ///< from ≤ when of the events that are counted
  std::optional<Time> to = std::nullopt;    ///< when < to
  std::optional<std::string> app_name = std::nullopt;
  std::optional<std::string> env_name = std::nullopt;
  std::size_t limit = 100;
};

/// How much of each was removed, or would be.
struct Removed {
  std::uint64_t events = 0;
  std::uint64_t trace_events = 0;
  std::uint64_t stacktraces = 0;
  std::uint64_t processes = 0;

  bool empty() const noexcept { return *this == Removed(); }
  bool operator==(const Removed&) const = default;
};

/// What became of stack traces that were given new frames.
struct FramesReplaced {
  std::uint64_t replaced = 0;  ///< have the frames now
  std::uint64_t merged = 0;    ///< are gone: their events refer to another one that had the frames before

  bool operator==(const FramesReplaced&) const = default;
};

/// What a process can say of the store it uses; each number counts since the store was made, or since the
/// fork() that made the process.
struct StoreStats {
  std::uint64_t accepted = 0;     ///< events that insert_event took over
  std::uint64_t stored = 0;       ///< of these, in the store
  std::uint64_t queued = 0;       ///< of these, waiting
  std::uint64_t rejected = 0;     ///< of these, refused by the store for good and set aside
  std::uint64_t lost_full = 0;    ///< not taken: the queue was full and is configured to drop
  std::uint64_t lost_error = 0;   ///< not taken: the store, or the queue's storage, failed
  std::uint64_t lost_closed = 0;  ///< not taken: they came after shutdown
  /// In words, what keeps the queue from being as safe as it was configured to be, such as a journal folder
  /// that cannot be written, or a store that is away; empty where nothing does.
  std::string problem = {};
};

/// The two sides of fork(), for Store::at_fork.
enum class ForkPhase { before, after_in_parent, after_in_child };

/// Storage for what programs did. See the top of this file for the rules.
class CODEWAKE_API Store {
 public:
  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store();

  // ── writing ──

  /// Stores all of the batch, or nothing of it: apps, versions, environments and stack traces that are not
  /// there yet, the processes without an id, the events, and the positions, in one transaction where the
  /// storage has such a thing. Survives whatever the storage survives once it returns. Throws StoreError:
  /// `in_doubt` also where a position with `noted` differs from what the store remembers, before anything
  /// else is looked at.
  virtual BatchResult write(const Batch& batch) = 0;

  /// Whether `write` takes Batch::trace_events and BatchEvent::trace, and the queries of traces answer. Where
  /// it does not (the default), the library hands trace events over as ordinary events whose attributes begin
  /// with `trace.`, and adds `trace.id` and `trace.span_id` to what was logged inside of a trace.
  /// Thread-safe; always the same of one object.
  virtual bool stores_trace_events() const noexcept;

  /// Finds or makes the app, and its version where one is given (not empty). The text comes as the caller has
  /// it: an implementation passes it through to_storable (utf8.hpp). Throws StoreError.
  virtual AppInserted insert_app(std::string_view name, std::optional<std::string_view> vsn) = 0;

  /// Records a process. Default: a batch of one. The result is empty only where the store queues and `sync`
  /// is false.
  virtual std::optional<ProcessRecord> insert_process(const ProcessInfo& info, bool sync = true);

  /// Records an event. Text is made fit (utf8: bad sequences become U+FFFD, NUL bytes U+2400). Default: a
  /// batch of one, read back where `sync`. The result is there where `sync`. Throws StoreError,
  /// also where neither the event nor the store names a process.
  virtual std::optional<EventRecord> insert_event(const EventInput& event, bool sync = false);

  /// Records a trace event, of the process that was recorded last through the same object. Default: a batch
  /// of one. Throws StoreError as `insert_event` does.
  virtual void insert_trace_event(const TraceEventInput& event);

  // ── reading ──

  virtual std::optional<ProcessRecord> get_process_by_id(Id id) = 0;
  virtual std::optional<EnvironmentRecord> get_environment_by_id(Id id) = 0;
  virtual std::optional<AppRecord> get_app_by_id(Id id) = 0;
  virtual std::optional<AppVersionRecord> get_app_vsn_by_id(Id id) = 0;
  virtual std::optional<EventRecord> get_event_by_id(Id id) = 0;

  /// Every app, and every version of an app, in the order of their ids.
  virtual std::vector<AppRecord> get_apps() = 0;
  virtual std::vector<AppVersionRecord> get_app_vsns(Id app_id) = 0;

  /// In the order of their ids.
  virtual std::vector<ProcessRecord> get_processes(const ProcessQuery& query) = 0;

  /// Events that have every one of the terms among their attributes, in the order of their ids; of one
  /// process where `process_id` is given. Without terms: every event (of the process).
  virtual std::vector<EventRecord> get_events_by_data(const std::vector<Attribute>& where,
                                                      std::optional<Id> process_id = std::nullopt) = 0;

  /// One page of events, newest first. Throws StoreError (rejected) where the cursor is not one of this
  /// store's.
  virtual EventPage get_events(const EventQuery& query) = 0;

  /// Events with a stack trace, grouped by it and by exception type; most recent first. Default: reads every
  /// such event.
  virtual std::vector<ExceptionGroup> get_exceptions(const ExceptionQuery& query);

  /// One page of trace events, oldest first. Throws StoreError; `rejected` where the cursor is not one of
  /// this store's. Default: throws `rejected`, for the store has them as ordinary events, if at all.
  virtual TraceEventPage get_trace_events(const TraceEventQuery& query);

  /// The traces that were last at work, latest first. Throws StoreError. Default: as get_trace_events.
  virtual std::vector<TraceSummary> get_traces(const TraceQuery& query);

  /// Ordinary events that were logged inside of a trace, oldest first, at most `limit`. Default: by the
  /// attributes `trace.id` that the library adds for such a store.
  virtual std::vector<EventRecord> get_events_of_trace(const TraceId& trace_id, std::size_t limit);

  // ── journals ──

  /// What `write` stored of the positions of segments whose name begins with `prefix`. Default: none are
  /// remembered.
  virtual std::vector<StoredPosition> get_positions(std::string_view prefix);

  /// Forgets positions of segments whose name begins with `prefix`: the journal is no more. Default: does
  /// nothing.
  virtual void forget_positions(std::string_view prefix);

  // ── retention ──

  /// Removes one slice of what is older than `before`, all of it or nothing: the oldest events with when <
  /// `before`, at most `most` (0 counts as 1), with their data, and the stack traces that they were the last
  /// to refer to. Where no such event is left: the oldest trace events with when < `before`, at most as many.
  /// Where none of these is left either: processes with run_ts < `before` that have neither events nor trace
  /// events nor a journal position, at most as many. An event of a process that was removed is rejected from
  /// then on.
  /// Apps, versions and environments stay. The result is what was removed; where it is empty(), all is done.
  ///
  /// Thread-safe; others may write, read and remove at the same time, and a batch that is being written keeps
  /// what it refers to. Blocks, and may hold writers up, for as long as one slice takes. What was removed is
  /// gone for good as what `write` stored is there. Throws StoreError: `unavailable` has removed nothing;
  /// after `in_doubt` the slice may be gone, and calling again is right either way. Default: throws
  /// `rejected`, for the store cannot do it.
  virtual Removed remove_older(Time before, std::size_t most);

  /// Counts what calls of remove_older would remove by and by, and changes nothing. Thread-safe; blocks for
  /// as long as the storage takes to count. Throws StoreError. Default: throws `rejected`, as remove_older.
  virtual Removed count_older(Time before);

  // ── stack traces that were stored before all was known of them ──

  /// One page of the stack traces with a frame whose module and build-id are known, and whose function or
  /// line is not: those with an id beyond `after`, at most `limit` (0 counts as 1), in the order of their
  /// ids. Throws StoreError. Default: throws `rejected`, for the store cannot do it.
  virtual std::vector<StacktraceRecord> get_stacktraces_to_symbolize(Id after, std::size_t limit);

  /// How many there are in all. Throws StoreError. Default: throws `rejected`.
  virtual std::uint64_t count_stacktraces_to_symbolize();

  /// Gives these stack traces other frames, all of them or none, in one transaction. `digest` is the one that
  /// was read with the id: a stack trace that is gone, or is another by now, is passed over. Where one with
  /// the new frames' digest is there already, the events move to that one, and the old one goes. The events
  /// stay as they are otherwise. The frames' text is made fit (utf8.hpp).
  ///
  /// Thread-safe; others may write, read and remove at the same time. Blocks, and may hold writers up, for as
  /// long as it takes to move the events. Throws StoreError: `unavailable` has changed nothing; after
  /// `in_doubt` it may be done, and calling again is right either way. Default: throws `rejected`.
  virtual FramesReplaced replace_frames(const std::vector<StacktraceRecord>& stacktraces);

  // ── life ──

  /// Waits until everything accepted before the call is stored, at most `timeout`; the result says whether it
  /// is. Default: true at once, for nothing waits.
  virtual bool flush(std::chrono::nanoseconds timeout);

  /// Stores what it can within `timeout` and closes. What comes later is refused. Default: flush.
  virtual bool shutdown(std::chrono::nanoseconds timeout);

  /// Called around fork() for the store that Process uses. After a fork the child must not touch what the
  /// parent still uses (connections, files, threads, locks). `before` may wait for a moment, not longer.
  /// Default: does nothing.
  virtual void at_fork(ForkPhase phase) noexcept;

  /// Names the storage, without secrets: store objects of one identity, in whatever process, have the same
  /// storage, so that one may store what a queue in front of another left behind. `memory`: storage that is
  /// gone with the object. Default: empty, not known; a queue goes by its class and parameters then.
  virtual std::string identity() const;

  /// Whether `insert_event` only queues, so that the caller never waits for the storage. Default: no.
  virtual bool queues() const noexcept;

  /// The queue of a store that queues: Process's short way to it. Default: none.
  virtual internal::Queue* queue() noexcept;

  /// What became of the events. Default: zeros; Process counts for stores that do not queue.
  virtual StoreStats stats() const;

  /// The process that `insert_process` recorded last through this object; empty where there is none, or where
  /// a store that queues has not stored it yet. Thread-safe; never blocks.
  std::optional<Id> last_process_id() const noexcept;

 protected:
  /// For implementations that record processes on their own way. 0: none.
  void set_last_process_id(Id id) noexcept { last_process_id_.store(id, std::memory_order_release); }

 private:
  std::atomic<Id> last_process_id_{0};
};

}  // namespace codewake
