// The SQLite store: one file, shared by any number of processes, and by Code Wake for Python.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/export.hpp"
#include "codewake/queue_store.hpp"
#include "codewake/store.hpp"

namespace codewake {

/// Keeps everything in one SQLite database. Linked with `pkg-config codewake-sqlite`, or loaded as the plugin
/// `code_wake_sqlite_store,SqliteStore`.
///
/// The first call that needs it opens the file, makes it where there is none, and upgrades one that Code Wake
/// for Python made, in place and in one transaction. The journal mode is WAL: reads do not wait for writes.
/// What `write` returned from survives the death of the program; with `synchronous=full` also that of the
/// machine, with `normal` the machine's death may cost the last transactions, never the soundness of the
/// file.
///
/// The file is for its owner alone (mode 0600) unless `mode=` or `group=` say otherwise. A write is refused
/// with StoreError (unavailable) where another user could have put the file in place or changed it, and where
/// its schema has triggers or views that are not of this library; adapters/sqlite/README.md has the rules.
///
/// Thread-safe. Every call may block on the disk, and on other processes' writes for as long as
/// `busy_timeout`. A fork() waits for calls under way, about a second at most; the child opens the file anew;
/// a database in memory starts empty there. A child that was forked while another thread was in the middle of
/// a call is refused with StoreError (unavailable).
class CODEWAKE_API SqliteStore : public Store {
 public:
  /// `parameters`: first `sqlite:////absolute/path`, `sqlite:///relative/path` (to the working directory of
  /// now), or `sqlite:///:memory:`, then any of `busy_timeout=60s`, `synchronous=off|normal|full`, and, for
  /// files that are made, `mode=0600` and `group=NAME`. Opens nothing. Throws ConfigError for parameters that
  /// make no sense, and for a group that the system does not know.
  explicit SqliteStore(const std::vector<std::string>& parameters);
  explicit SqliteStore(std::string dsn);
  ~SqliteStore() override;

  BatchResult write(const Batch& batch) override;
  AppInserted insert_app(std::string_view name, std::optional<std::string_view> vsn) override;

  std::optional<ProcessRecord> get_process_by_id(Id id) override;
  std::optional<EnvironmentRecord> get_environment_by_id(Id id) override;
  std::optional<AppRecord> get_app_by_id(Id id) override;
  std::optional<AppVersionRecord> get_app_vsn_by_id(Id id) override;
  std::optional<EventRecord> get_event_by_id(Id id) override;
  std::vector<AppRecord> get_apps() override;
  std::vector<AppVersionRecord> get_app_vsns(Id app_id) override;
  std::vector<ProcessRecord> get_processes(const ProcessQuery& query) override;
  std::vector<EventRecord> get_events_by_data(const std::vector<Attribute>& where,
                                              std::optional<Id> process_id = std::nullopt) override;
  EventPage get_events(const EventQuery& query) override;
  std::vector<ExceptionGroup> get_exceptions(const ExceptionQuery& query) override;

  bool stores_trace_events() const noexcept override;
  TraceEventPage get_trace_events(const TraceEventQuery& query) override;
  std::vector<TraceSummary> get_traces(const TraceQuery& query) override;
  std::vector<EventRecord> get_events_of_trace(const TraceId& trace_id, std::size_t limit) override;

  std::vector<StoredPosition> get_positions(std::string_view prefix) override;
  void forget_positions(std::string_view prefix) override;

  Removed remove_older(Time before, std::size_t most) override;
  Removed count_older(Time before) override;

  std::vector<StacktraceRecord> get_stacktraces_to_symbolize(Id after, std::size_t limit) override;
  std::uint64_t count_stacktraces_to_symbolize() override;
  FramesReplaced replace_frames(const std::vector<StacktraceRecord>& stacktraces) override;

  /// Closes the file, with its WAL written back where no other process has it open. Later calls are refused
  /// with StoreError (unavailable).
  bool shutdown(std::chrono::nanoseconds timeout) override;
  void at_fork(ForkPhase phase) noexcept override;
  std::string identity() const override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// The same behind a queue: `insert_event` never waits for the disk or for other processes. The plugin's
/// class `SqliteQueueStore`.
class CODEWAKE_API SqliteQueueStore : public QueueStore<SqliteStore> {
 public:
  using QueueStore::QueueStore;
  ~SqliteQueueStore() override;
};

}  // namespace codewake
