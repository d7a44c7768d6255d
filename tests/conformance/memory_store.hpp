// A store that keeps everything in memory: the whole contract in the plainest way, as an example of an
// adapter that is written with public headers alone.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/event.hpp"
#include "codewake/export.hpp"
#include "codewake/records.hpp"
#include "codewake/store.hpp"

namespace codewake::testing {

struct MemoryTables;

/// Keeps records until the last store object on them is gone. Thread-safe; the default get_exceptions serves
/// it well.
class CODEWAKE_API MemoryStore : public Store {
 public:
  /// Parameters: none for storage of its own, or a name: store objects of one name in one process share their
  /// storage. Throws ConfigError where there is more than that.
  explicit MemoryStore(const std::vector<std::string>& parameters = {});
  ~MemoryStore() override;

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

  /// What sets the storage back to the state of now, as a backup does.
  std::function<void()> snapshot() const;

 private:
  /// Holds the tables' lock; throws StoreError (unavailable) after shutdown.
  std::unique_lock<std::mutex> open_tables() const;

  std::shared_ptr<MemoryTables> tables_;
  std::atomic<bool> is_shut_down_{false};
};

}  // namespace codewake::testing
