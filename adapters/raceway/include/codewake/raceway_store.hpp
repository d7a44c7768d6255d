// The Raceway store: trace events, posted to a Raceway server.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/export.hpp"
#include "codewake/queue_store.hpp"
#include "codewake/store.hpp"

namespace codewake {

/// Posts trace events to `/events` of a Raceway server. Linked with `pkg-config codewake-raceway`, or loaded
/// as the plugin `code_wake_raceway_store,RacewayStore`.
///
/// A Raceway server is for writing: what it would have to be asked for throws StoreError (rejected). It knows
/// trace events alone; an ordinary event goes as a Custom event `event` of the trace that it was logged in,
/// or of one trace that its process has for all others. Ids of processes, apps and ordinary events are made
/// here, of what they name.
///
/// `write` checks every event before anything is sent: one that the server would not understand is
/// `rejected`, and nothing of the batch is stored then. What fails on the way is `unavailable`, and may have
/// been stored in part: writing the same batch again is right, for every event has the same id again, by
/// which a server knows it. So a queue delivers at least once, each time with the same id; a server whose
/// storage is PostgreSQL keeps one of each. The server holds what it takes in its memory for a while: what
/// `write` returned from survives this program, but perhaps not the server.
///
/// Thread-safe; one request at a time. A call may block for `timeout` and a second, for each request that its
/// batch needs, and while the server's name is looked up. A fork() waits for a request under way for a tenth
/// of a second at most; parent and child connect anew.
class CODEWAKE_API RacewayStore : public Store {
 public:
  /// `parameters`: first the server's URL, such as `http://localhost:8080`, then any of `api_key=…`,
  /// `timeout=10s` and `connect_timeout=5s` (up to an hour), `ca_file=/path` (certificates to trust; default:
  /// the system's), `body_limit=2MiB` (4 KiB to 1 GiB; the largest body that is sent) and
  /// `compression=auto|off` (default: off); what is for a queue (below) has no effect here. Connects to
  /// nothing. Throws ConfigError for parameters that make no sense.
  explicit RacewayStore(const std::vector<std::string>& parameters);
  explicit RacewayStore(std::string url);
  ~RacewayStore() override;

  BatchResult write(const Batch& batch) override;
  bool stores_trace_events() const noexcept override;
  /// Sends nothing, for a server knows no apps.
  AppInserted insert_app(std::string_view name, std::optional<std::string_view> vsn) override;

  /// One of the last processes that were written through this object. Throws StoreError (rejected) for
  /// others.
  std::optional<ProcessRecord> get_process_by_id(Id id) override;
  /// One of the last ordinary events that were written through this object, so that a `sync` log has its
  /// record. Throws StoreError (rejected) for others.
  std::optional<EventRecord> get_event_by_id(Id id) override;
  std::optional<EnvironmentRecord> get_environment_by_id(Id id) override;
  std::optional<AppRecord> get_app_by_id(Id id) override;
  std::optional<AppVersionRecord> get_app_vsn_by_id(Id id) override;
  std::vector<AppRecord> get_apps() override;
  std::vector<AppVersionRecord> get_app_vsns(Id app_id) override;
  std::vector<ProcessRecord> get_processes(const ProcessQuery& query) override;
  std::vector<EventRecord> get_events_by_data(const std::vector<Attribute>& where,
                                              std::optional<Id> process_id = std::nullopt) override;
  EventPage get_events(const EventQuery& query) override;
  TraceEventPage get_trace_events(const TraceEventQuery& query) override;
  std::vector<TraceSummary> get_traces(const TraceQuery& query) override;

  /// Waits for a request under way, abandons it when the time is over, and closes the connection. Later
  /// writes are refused with StoreError (unavailable).
  bool shutdown(std::chrono::nanoseconds timeout) override;
  void at_fork(ForkPhase phase) noexcept override;
  std::string identity() const override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// The same behind a queue: `insert_event` and `insert_trace_event` never wait for the server. The plugin's
/// class `RacewayQueueStore`.
///
/// Of its parameters, `flush_interval=1s` is for how long events wait at most before they are sent;
/// `batch_size=50` is what a quiet queue sends at once at least. A queue with a backlog sends as much as the
/// server takes.
class CODEWAKE_API RacewayQueueStore : public QueueStore<RacewayStore> {
 public:
  using QueueStore::QueueStore;
  explicit RacewayQueueStore(const std::vector<std::string>& parameters);
  ~RacewayQueueStore() override;
};

}  // namespace codewake
