// Everything that is read.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/store.hpp"
#include "condition.hpp"
#include "connection.hpp"
#include "schema.hpp"

namespace codewake::internal {

/// All that is read while one of these lives is of one moment.
class Snapshot {
 public:
  /// Throws SQLite::Exception.
  explicit Snapshot(Connection& connection) : connection_(connection) { Query(connection, "BEGIN").run(); }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  // Ending a transaction that only read has no result that could be lost.
  ~Snapshot() { sqlite3_exec(connection_.handle(), "ROLLBACK", nullptr, nullptr, nullptr); }

 private:
  Connection& connection_;
};

/// `[1,2,3]`, for json_each.
std::string to_json(std::span<const Id> ids);

/// Where an event stands among all: the exact time as it is stored, and the id.
struct Place {
  double when = 0;
  Id id = 0;

  auto operator<=>(const Place&) const = default;
};

/// A place as callers keep it.
std::string to_cursor(const Place& place);
/// Throws StoreError (rejected) where it is none.
Place parse_cursor(std::string_view cursor);

/// Thread-bound to whoever holds the lock that guards its connection. Every call throws StoreError or
/// SQLite::Exception.
class Reader {
 public:
  /// `connection` must outlive it. `schema`: which tables and columns there are.
  Reader(Connection& connection, SchemaState schema) : connection_(connection), schema_(schema) {}

  std::optional<EnvironmentRecord> environment(Id id);
  std::optional<AppRecord> app(Id id);
  std::optional<AppVersionRecord> app_vsn(Id id);
  std::optional<ProcessRecord> process(Id id);
  std::optional<EventRecord> event(Id id);
  std::vector<AppRecord> apps();
  std::vector<AppVersionRecord> app_vsns(Id app_id);
  std::vector<ProcessRecord> processes(const ProcessQuery& query);
  std::vector<EventRecord> events_by_data(const std::vector<Attribute>& terms, std::optional<Id> process_id);
  EventPage events(const EventQuery& query);
  std::vector<ExceptionGroup> exceptions(const ExceptionQuery& query);
  std::vector<StoredPosition> positions(std::string_view prefix);
  Removed count_older(Time before);
  TraceEventPage trace_events(const TraceEventQuery& query);
  std::vector<TraceSummary> traces(const TraceQuery& query);
  std::vector<EventRecord> events_of_trace(const TraceId& trace_id, std::size_t limit);
  std::vector<StacktraceRecord> stacktraces_to_symbolize(Id after, std::size_t limit);
  std::uint64_t count_to_symbolize();

 private:
  /// The events of these ids that are there (and are of the process), in the order of `ids`.
  std::vector<EventRecord> load(std::span<const Id> ids, std::optional<Id> process_id = std::nullopt);
  void load_data(const std::string& ids, std::vector<EventRecord>& events);
  void load_frames(std::vector<EventRecord>& events);
  /// Ids, ascending, among which is every event that has all of the terms; nothing where there would be more
  /// than `limit`.
  std::optional<std::vector<Id>> candidates(const std::vector<Attribute>& where, std::size_t limit);
  /// Adds the events that have a term in the rows that no run of the pair index holds yet.
  void scan_tail(const Attribute& term, std::vector<Id>& ids);
  Id indexed_to();
  bool tail_is_short();
  /// The processes of this app in this environment, newest first; nothing where neither has a name.
  std::optional<std::vector<Id>> processes_of(const std::optional<std::string>& app_name,
                                              const std::optional<std::string>& env_name);
  struct Search;
  /// The next events that a search finds, newest first: fewer than `most` only where there are no more. They
  /// may have to be looked at once more, see add_term.
  std::vector<Place> next_places(Search& search, std::size_t most);
  /// The newest events for which both are true, `inner` of `e`, `outer` of `w`. Where there is an `outer` it
  /// is asked of the newest so many only.
  std::vector<Place> places(const Condition& inner, const Condition& outer, std::size_t most);
  /// The traces of the newest events, `limit` of them; nothing where `most` events have fewer.
  std::optional<std::vector<std::string>> newest_traces_by_events(const TraceQuery& query, std::size_t most);
  /// The same from the newest event of each trace; nothing where there are more than `most` traces.
  std::optional<std::vector<std::string>> newest_traces_by_traces(const TraceQuery& query, std::size_t most);
  TraceSummary summary_of(const std::string& trace_id);

  Connection& connection_;
  SchemaState schema_;
};

}  // namespace codewake::internal
