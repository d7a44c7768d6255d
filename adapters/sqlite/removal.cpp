#include "removal.hpp"

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "condition.hpp"
#include "pair_index.hpp"
#include "reader.hpp"

namespace codewake::internal {
namespace {

std::uint64_t count(Connection& connection, std::string_view sql, double before) {
  Query query(connection, sql, before);
  query.step();
  return static_cast<std::uint64_t>(query.integer(0));
}

/// Runs a DELETE of the rows that are named by `ids`, as to_json writes them.
std::uint64_t remove(Connection& connection, std::string_view sql, const std::string& ids) {
  Query(connection, sql, ids).run();
  return static_cast<std::uint64_t>(sqlite3_changes64(connection.handle()));
}

/// Of these stack traces, those that no event refers to.
std::uint64_t remove_unused_stacktraces(Connection& connection, const std::set<Id>& stacktraces) {
  std::vector<Id> unused;
  for (const Id id : stacktraces) {
    if (!Query(connection, "SELECT 1 FROM events WHERE stacktrace_id = ? LIMIT 1", id).step())
      unused.push_back(id);
  }
  if (unused.empty()) return 0;
  const std::string ids = to_json(unused);
  remove(connection, "DELETE FROM stackframes WHERE stacktrace_id IN (SELECT value FROM json_each(?))", ids);
  return remove(connection, "DELETE FROM stacktraces WHERE id IN (SELECT value FROM json_each(?))", ids);
}

Removed remove_events(Connection& connection, double before, Id most) {
  std::vector<Id> events;
  std::set<Id> stacktraces;
  {
    Query query(connection,
                "SELECT id, stacktrace_id FROM events WHERE when_ts < ? ORDER BY when_ts, id LIMIT ?", before,
                most);
    while (query.step()) {
      events.push_back(query.integer(0));
      if (!query.is_null(1)) stacktraces.insert(query.integer(1));
    }
  }
  if (events.empty()) return {};
  const std::string ids = to_json(events);
  remove(connection, "DELETE FROM events_data WHERE event_id IN (SELECT value FROM json_each(?))", ids);
  Removed removed;
  removed.events = remove(connection, "DELETE FROM events WHERE id IN (SELECT value FROM json_each(?))", ids);
  removed.stacktraces = remove_unused_stacktraces(connection, stacktraces);
  drop_dead_runs(connection);
  return removed;
}

}  // namespace

Removed remove_slice(Connection& connection, Time before, std::size_t most) {
  constexpr std::size_t kMost = std::numeric_limits<Id>::max();
  const auto limit = static_cast<Id>(std::clamp<std::size_t>(most, 1, kMost));
  Removed removed = remove_events(connection, rounds_up_to(before), limit);
  if (removed.events > 0) return removed;
  Query(connection,
        "DELETE FROM trace_events WHERE id IN (SELECT id FROM trace_events WHERE when_ts < ? "
        "ORDER BY when_ts, id LIMIT ?)",
        rounds_up_to(before), limit)
      .run();
  removed.trace_events = static_cast<std::uint64_t>(sqlite3_changes64(connection.handle()));
  if (removed.trace_events > 0) return removed;
  Query(connection,
        "DELETE FROM processes WHERE id IN (SELECT p.id FROM processes p WHERE p.run_ts < ? "
        "AND NOT EXISTS (SELECT 1 FROM events e WHERE e.process_id = p.id) "
        "AND NOT EXISTS (SELECT 1 FROM trace_events e WHERE e.process_id = p.id) "
        "AND p.id NOT IN (SELECT process_id FROM journals) LIMIT ?)",
        rounds_up_to(before), limit)
      .run();
  removed.processes = static_cast<std::uint64_t>(sqlite3_changes64(connection.handle()));
  return removed;
}

Removed count_old(Connection& connection, const SchemaState& schema, Time before) {
  const double time = rounds_up_to(before);
  const bool has_journals = schema.version >= kAdditionsVersion;
  const bool has_traces = schema.version >= kTracesVersion;
  Removed counted;
  counted.events = count(connection, "SELECT count(*) FROM events WHERE when_ts < ?", time);
  if (has_traces)
    counted.trace_events = count(connection, "SELECT count(*) FROM trace_events WHERE when_ts < ?", time);
  counted.stacktraces = count(connection,
                              "SELECT count(*) FROM stacktraces s WHERE EXISTS (SELECT 1 FROM events e "
                              "WHERE e.stacktrace_id = s.id AND e.when_ts < ?1) AND NOT EXISTS (SELECT 1 "
                              "FROM events e WHERE e.stacktrace_id = s.id AND e.when_ts >= ?1)",
                              time);
  std::string processes =
      "SELECT count(*) FROM processes p WHERE p.run_ts < ?1 AND NOT EXISTS (SELECT 1 FROM events e "
      "WHERE e.process_id = p.id AND e.when_ts >= ?1)";
  if (has_traces) {
    processes +=
        " AND NOT EXISTS (SELECT 1 FROM trace_events e WHERE e.process_id = p.id AND e.when_ts >= ?1)";
  }
  if (has_journals) processes += " AND p.id NOT IN (SELECT process_id FROM journals)";
  counted.processes = count(connection, processes, time);
  return counted;
}

}  // namespace codewake::internal
