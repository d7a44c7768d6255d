// The part of Reader that looks traces up.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/trace_event.hpp"
#include "codewake/utf8.hpp"
#include "condition.hpp"
#include "reader.hpp"
#include "row.hpp"
#include "trace_columns.hpp"

namespace codewake::internal {
namespace {

constexpr std::size_t kMostRows = std::numeric_limits<std::int32_t>::max();

/// For the rest of the transaction. Every look-up here has an index that gives its rows in their order; where
/// the planner takes a variable for rare it would rather read all rows of it and sort them.
constexpr const char* kFollowIndexes =
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off";

std::size_t limit_of(const TraceQuery& query) {
  return std::min(query.limit, kMostRows);
}

/// The second column, where it is not NULL.
std::vector<std::string> traces_of(const pqxx::result& rows) {
  std::vector<std::string> traces;
  for (const Row row : rows) {
    if (!row.is_null(1)) traces.push_back(row.text(1));
  }
  return traces;
}

}  // namespace

TraceEventPage Reader::trace_events(const TraceEventQuery& query) {
  const std::size_t limit = std::clamp<std::size_t>(query.limit, 1, kMostRows);
  Condition condition;
  if (query.trace_id) condition.add("e.trace_id = " + condition.bind(to_hex(*query.trace_id)));
  if (query.variable) {
    const std::string name = condition.bind(to_storable(*query.variable));
    condition.add("e.name = " + name);
    if (query.trace_id) {
      // Of a trace there are fewer events than of a variable: not by that index, whose condition this is not.
      condition.add("e.kind || '' = 'StateChange'");
    } else {
      condition.add(
          fmt::format("e.kind = 'StateChange' AND {} = hashtextextended({}, 0)", kVariableKey, name));
    }
  }
  add_times(condition, query);
  if (!query.cursor.empty()) {
    const Place after = parse_cursor(query.cursor);
    condition.add(
        fmt::format("(e.when_ts, e.id) > ({}, {})", condition.bind(after.when), condition.bind(after.id)));
  }
  TraceEventPage page;
  if (schema_.version < kTracesVersion) return page;
  transaction_.exec(kFollowIndexes);
  const pqxx::result rows = transaction_.run(
      fmt::format("SELECT {}, id FROM trace_events e WHERE {} ORDER BY e.when_ts, e.id LIMIT {}",
                  kTraceColumns, condition.sql(), limit + 1),
      condition.arguments());
  Place last;
  for (const Row row : rows) {
    if (page.events.size() == limit) {
      page.next = to_cursor(last);
      break;
    }
    page.events.push_back(to_trace_event(row));
    last = {row.real(6), page.events.back().row};
  }
  return page;
}

std::optional<std::vector<std::string>> Reader::newest_traces_by_events(const TraceQuery& query,
                                                                        std::size_t most) {
  Condition condition;
  add_times(condition, query);
  const pqxx::result rows = transaction_.run(
      fmt::format("WITH walked AS MATERIALIZED (SELECT e.trace_id, row_number() OVER (ORDER BY e.when_ts "
                  "DESC, e.id DESC) AS place FROM trace_events e WHERE {} ORDER BY e.when_ts DESC, e.id DESC "
                  "LIMIT {}) SELECT c.number, t.trace_id FROM (SELECT count(*) AS number FROM walked) c "
                  "LEFT JOIN (SELECT trace_id, min(place) AS place FROM walked GROUP BY trace_id "
                  "ORDER BY 2 LIMIT {}) t ON TRUE ORDER BY t.place",
                  condition.sql(), most, limit_of(query)),
      condition.arguments());
  auto traces = traces_of(rows);
  const bool is_all = static_cast<std::size_t>(Row(rows.front()).integer(0)) < most;
  if (!is_all && traces.size() < query.limit) return std::nullopt;
  return traces;
}

// Leaps from each trace to the next in the index.
std::optional<std::vector<std::string>> Reader::newest_traces_by_traces(const TraceQuery& query,
                                                                        std::size_t most) {
  Condition condition;
  condition.add("e.trace_id = l.trace_id");
  add_times(condition, query);
  const pqxx::result rows = transaction_.run(
      fmt::format(
          "WITH RECURSIVE leaps(trace_id, number) AS ((SELECT e.trace_id, 1 FROM trace_events e ORDER BY "
          "e.trace_id LIMIT 1) UNION ALL SELECT (SELECT e.trace_id FROM trace_events e WHERE e.trace_id > "
          "l.trace_id ORDER BY e.trace_id LIMIT 1), l.number + 1 FROM leaps l WHERE l.trace_id IS NOT NULL "
          "AND l.number <= {1}) SELECT c.number, t.trace_id FROM (SELECT count(trace_id) AS number FROM "
          "leaps) c LEFT JOIN (SELECT l.trace_id, n.when_ts, n.id FROM leaps l CROSS JOIN LATERAL (SELECT "
          "e.when_ts, e.id FROM trace_events e WHERE {0} ORDER BY e.when_ts DESC, e.id DESC LIMIT 1) n "
          "ORDER BY n.when_ts DESC, n.id DESC LIMIT {2}) t ON TRUE ORDER BY t.when_ts DESC, t.id DESC",
          condition.sql(), most, limit_of(query)),
      condition.arguments());
  if (static_cast<std::size_t>(Row(rows.front()).integer(0)) > most) return std::nullopt;
  return traces_of(rows);
}

std::vector<TraceSummary> Reader::summaries_of(std::span<const std::string> traces) {
  constexpr std::string_view kEach =
      "FROM unnest($1::text[]) WITH ORDINALITY AS w(trace_id, place) CROSS JOIN LATERAL";
  const Arguments wanted(to_array(traces));
  const pqxx::result found = transaction_.run(
      fmt::format("SELECT w.trace_id, s.* {} (SELECT min(e.when_ts), max(e.when_ts), count(*), count(*) "
                  "FILTER (WHERE e.kind = 'Error'), count(DISTINCT e.execution), (SELECT r.name FROM "
                  "trace_events r WHERE r.trace_id = w.trace_id ORDER BY r.when_ts, r.id LIMIT 1) FROM "
                  "trace_events e WHERE e.trace_id = w.trace_id) s ORDER BY w.place",
                  kEach),
      wanted);
  const pqxx::result services = transaction_.run(
      fmt::format("SELECT w.place, s.service {} (SELECT DISTINCT e.service FROM trace_events e "
                  "WHERE e.trace_id = w.trace_id) s",
                  kEach),
      wanted);
  std::vector<TraceSummary> summaries;
  for (const Row row : found) {
    TraceSummary& summary = summaries.emplace_back();
    summary.trace_id = parse_trace_id(row.bytes(0)).value_or(TraceId());
    summary.first = from_unix_seconds(row.real(1));
    summary.last = from_unix_seconds(row.real(2));
    summary.events = static_cast<std::uint64_t>(row.integer(3));
    summary.errors = static_cast<std::uint64_t>(row.integer(4));
    summary.executions = static_cast<std::uint64_t>(row.integer(5));
    summary.root = row.text(6);
  }
  for (const Row row : services) {
    summaries.at(static_cast<std::size_t>(row.integer(0)) - 1).services.push_back(row.text(1));
  }
  for (TraceSummary& summary : summaries) std::sort(summary.services.begin(), summary.services.end());
  return summaries;
}

// Many events of few traces make the one way long, many traces the other. Which it is shows by trying.
std::vector<TraceSummary> Reader::traces(const TraceQuery& query) {
  if (schema_.version < kTracesVersion || query.limit == 0) return {};
  transaction_.exec(kFollowIndexes);
  std::optional<std::vector<std::string>> found;
  constexpr std::size_t kFew = 2'048, kUsual = 32;  // events of a trace
  for (std::size_t most = std::max(kFew, limit_of(query) * kUsual); !found; most *= 8) {
    found = newest_traces_by_events(query, most);
    if (!found) found = newest_traces_by_traces(query, most / 4);
  }
  return summaries_of(*found);
}

std::vector<EventRecord> Reader::events_of_trace(const TraceId& trace_id, std::size_t limit) {
  std::vector<EventRecord> events;
  if (schema_.version < kTracesVersion) return events;
  transaction_.exec(kFollowIndexes);
  std::vector<Id> ids;
  const pqxx::result rows = transaction_.run(
      "SELECT e.id FROM event_traces t JOIN events e ON e.id = t.event_id WHERE t.trace_id = $1::text "
      "ORDER BY e.when_ts, e.id LIMIT $2::bigint",
      Arguments(to_hex(trace_id), std::min(limit, kMostRows)));
  for (const Row row : rows) ids.push_back(row.integer(0));
  constexpr std::size_t kChunk = 1'000;
  for (std::span<const Id> rest(ids); !rest.empty();) {
    const auto chunk = rest.first(std::min(rest.size(), kChunk));
    rest = rest.subspan(chunk.size());
    for (EventRecord& event : load(chunk)) events.push_back(std::move(event));
  }
  return events;
}

}  // namespace codewake::internal
