// The store that goes by its URL: the name under which Code Wake for Python knows SQLite and PostgreSQL.
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

/// An SqliteStore or a PostgresStore, whichever the URL names, so that one configuration serves programs with
/// Code Wake for Python and programs with this library. Linked with `pkg-config codewake-sql14`, or loaded as
/// the plugin `code_wake_sql14_store,Sql14Store`.
///
/// Every method does, throws, and promises what that store's does. Its identity is the same, too: what one
/// program left in its journal under one name, another recovers under the other.
class CODEWAKE_API Sql14Store : public Store {
 public:
  /// `parameters`: first `sqlite:…`, `postgresql:…` or `postgres:…`, then whatever that store takes. The
  /// driver that SQLAlchemy users name, as in `postgresql+psycopg2:`, means nothing here. Opens nothing.
  /// Throws ConfigError for another scheme, for a store that was not built with this one, and for parameters
  /// that make no sense; no message holds a password.
  explicit Sql14Store(const std::vector<std::string>& parameters);
  explicit Sql14Store(std::string dsn);
  ~Sql14Store() override;

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

  bool shutdown(std::chrono::nanoseconds timeout) override;
  void at_fork(ForkPhase phase) noexcept override;
  std::string identity() const override;

 private:
  std::unique_ptr<Store> store_;
};

/// The same behind a queue: `insert_event` never waits for the storage. The plugin's class
/// `Sql14QueueStore`.
class CODEWAKE_API Sql14QueueStore : public QueueStore<Sql14Store> {
 public:
  using QueueStore::QueueStore;
  ~Sql14QueueStore() override;
};

}  // namespace codewake
