// Everything that is read.
#pragma once

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

/// Where an event stands among all: the exact time as it is stored, and the id.
struct Place {
  double when = 0;
  Id id = 0;
};

/// A place as callers keep it.
std::string to_cursor(const Place& place);
/// Throws StoreError (rejected) where it is none.
Place parse_cursor(std::string_view cursor);

/// One transaction. Thread-bound to the holder of the lock that guards its connection. Every call throws
/// StoreError or pqxx::failure.
class Reader {
 public:
  /// `connection` must outlive it. `schema`: which tables and columns there are. `kind`: whether all that is
  /// read is of one moment.
  Reader(Connection& connection, SchemaState schema, Transaction::Kind kind = Transaction::Kind::of_once)
      : transaction_(connection, kind), schema_(schema) {}

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
  /// Of one that is not of one moment.
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
  void load_data(std::span<const Id> ids, std::vector<EventRecord>& events);
  void load_frames(std::vector<EventRecord>& events);
  /// The ids, ascending, of the events that have all of the terms; nothing where the rarest of these has more
  /// than `limit` rows.
  std::optional<std::vector<Id>> find(const std::vector<Attribute>& where, std::size_t limit);
  /// Which of the terms has the fewest rows; nothing where that is more than `limit`.
  std::optional<std::size_t> rarest_of(const std::vector<Condition>& terms, std::size_t limit);
  /// The processes of this app in this environment; nothing where neither has a name.
  std::optional<std::vector<Id>> processes_of(const std::optional<std::string>& app_name,
                                              const std::optional<std::string>& env_name);
  struct Search;
  /// The next events that a search finds, newest first: fewer than `most` only where there are no more.
  std::vector<Place> next_places(Search& search, std::size_t most);
  std::vector<Place> places(const std::string& sql, const Arguments& arguments);
  /// The traces of the newest events, `limit` of them; nothing where `most` events have fewer.
  std::optional<std::vector<std::string>> newest_traces_by_events(const TraceQuery& query, std::size_t most);
  /// The same from the newest event of each trace; nothing where there are more than `most` traces.
  std::optional<std::vector<std::string>> newest_traces_by_traces(const TraceQuery& query, std::size_t most);
  std::vector<TraceSummary> summaries_of(std::span<const std::string> traces);
  /// The ids, ascending, of those of these events that have the term.
  std::vector<Id> keep_those_that_say(const Attribute& term, std::span<const Id> ids);

  Transaction transaction_;
  SchemaState schema_;
};

}  // namespace codewake::internal
