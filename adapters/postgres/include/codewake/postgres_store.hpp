// The PostgreSQL store: one database for any number of machines, and for Code Wake for Python.
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

/// Keeps everything in one PostgreSQL database. Linked with `pkg-config codewake-postgres`, or loaded as the
/// plugin `code_wake_postgres_store,PostgresStore`.
///
/// The first call that needs it connects, and makes the tables, or upgrades those that Code Wake for Python
/// made, in place and in one transaction. What `write` returned from survives whatever the server's
/// `synchronous_commit` says.
///
/// Thread-safe. One connection writes and one reads, each made by the first call that needs it, and again
/// where it was lost. Every call may block on the network, at most for as long as the timeouts say: one
/// that connects for `connect_timeout`, each exchange with the server for `statement_timeout` and ten
/// seconds. A fork() waits for calls under way, a fifth of a second at most; the child connects anew.
class CODEWAKE_API PostgresStore : public Store {
 public:
  /// `parameters`: first `postgresql://user:password@host:port/database?key=value`, whose keys are those of
  /// libpq and `statement_timeout=60s`, then any of these keys as `key=value`. Connects to nothing. Throws
  /// ConfigError for parameters that make no sense; no message holds a password.
  explicit PostgresStore(const std::vector<std::string>& parameters);
  explicit PostgresStore(std::string dsn);
  ~PostgresStore() override;

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

  /// Waits for transactions of the same run that are still under way in the server, such as one whose COMMIT
  /// got no answer: what it answers is final.
  std::vector<StoredPosition> get_positions(std::string_view prefix) override;
  void forget_positions(std::string_view prefix) override;

  Removed remove_older(Time before, std::size_t most) override;
  Removed count_older(Time before) override;

  std::vector<StacktraceRecord> get_stacktraces_to_symbolize(Id after, std::size_t limit) override;
  std::uint64_t count_stacktraces_to_symbolize() override;
  FramesReplaced replace_frames(const std::vector<StacktraceRecord>& stacktraces) override;

  /// Closes the connections. Later calls are refused with StoreError (unavailable).
  bool shutdown(std::chrono::nanoseconds timeout) override;
  void at_fork(ForkPhase phase) noexcept override;
  /// Host, port and database, and what else decides which tables are meant; no user and no secrets.
  std::string identity() const override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// The same behind a queue: `insert_event` never waits for the server. The plugin's class
/// `PostgresQueueStore`.
class CODEWAKE_API PostgresQueueStore : public QueueStore<PostgresStore> {
 public:
  using QueueStore::QueueStore;
  ~PostgresQueueStore() override;
};

}  // namespace codewake
