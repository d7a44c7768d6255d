// The part of Reader that looks traces up.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "codewake/trace_event.hpp"
#include "codewake/utf8.hpp"
#include "condition.hpp"
#include "reader.hpp"
#include "trace_columns.hpp"

namespace codewake::internal {
namespace {

constexpr std::size_t kMostRows = std::numeric_limits<std::int32_t>::max();

}  // namespace

TraceEventPage Reader::trace_events(const TraceEventQuery& query) {
  const std::size_t limit = std::clamp<std::size_t>(query.limit, 1, kMostRows);
  Condition condition;
  if (query.trace_id) condition.add("e.trace_id = ?", to_hex(*query.trace_id));
  if (query.variable) {
    // Of a trace that is given, there are fewer events than of a variable.
    condition.add(query.trace_id ? "+e.name = ?" : "e.name = ?", to_storable(*query.variable));
    condition.add("e.kind = 'StateChange'");
  }
  add_times(condition, query);
  if (!query.cursor.empty()) {
    const Place after = parse_cursor(query.cursor);
    condition.add("e.when_ts >= ? AND (e.when_ts > ? OR e.id > ?)", after.when, after.when, after.id);
  }
  TraceEventPage page;
  if (schema_.version < kTracesVersion) return page;
  Query rows(connection_,
             fmt::format("SELECT {}, id FROM trace_events e WHERE {} ORDER BY e.when_ts, e.id LIMIT ?",
                         kTraceColumns, condition.sql()));
  condition.bind_to(rows);
  rows.bind(limit + 1);
  Place last;
  while (rows.step()) {
    if (page.events.size() == limit) {
      page.next = to_cursor(last);
      break;
    }
    page.events.push_back(to_trace_event(rows));
    last = {rows.real(6), page.events.back().row};
  }
  return page;
}

std::optional<std::vector<std::string>> Reader::newest_traces_by_events(const TraceQuery& query,
                                                                        std::size_t most) {
  Condition condition;
  add_times(condition, query);
  Query rows(connection_, fmt::format("SELECT e.trace_id FROM trace_events e WHERE {} "
                                      "ORDER BY e.when_ts DESC, e.id DESC LIMIT ?",
                                      condition.sql()));
  condition.bind_to(rows);
  rows.bind(most);
  std::vector<std::string> traces;
  std::unordered_set<std::string> known;
  std::size_t walked = 0;
  while (traces.size() < query.limit && rows.step()) {
    ++walked;
    std::string trace_id = rows.text(0);
    if (known.insert(trace_id).second) traces.push_back(std::move(trace_id));
  }
  if (traces.size() < query.limit && walked == most) return std::nullopt;
  return traces;
}

// Leaps from each trace to the next in the index.
std::optional<std::vector<std::string>> Reader::newest_traces_by_traces(const TraceQuery& query,
                                                                        std::size_t most) {
  std::vector<std::pair<Place, std::string>> found;
  std::string trace_id;
  for (std::size_t traces = 0;; ++traces) {
    {
      Query next(connection_,
                 "SELECT e.trace_id FROM trace_events e WHERE e.trace_id > ? ORDER BY e.trace_id LIMIT 1",
                 std::string_view(trace_id));
      if (!next.step()) break;
      if (traces == most) return std::nullopt;
      trace_id = next.text(0);
    }
    Condition condition;
    condition.add("e.trace_id = ?", trace_id);
    add_times(condition, query);
    Query newest(connection_, fmt::format("SELECT e.when_ts, e.id FROM trace_events e WHERE {} "
                                          "ORDER BY e.when_ts DESC, e.id DESC LIMIT 1",
                                          condition.sql()));
    condition.bind_to(newest);
    if (newest.step()) found.push_back({{newest.real(0), newest.integer(1)}, trace_id});
  }
  std::sort(found.begin(), found.end(), std::greater<>());
  if (found.size() > query.limit) found.resize(query.limit);
  std::vector<std::string> traces;
  for (auto& [place, id] : found) traces.push_back(std::move(id));
  return traces;
}

TraceSummary Reader::summary_of(const std::string& trace_id) {
  TraceSummary summary;
  summary.trace_id = parse_trace_id(trace_id).value_or(TraceId());
  {
    Query query(connection_,
                "SELECT min(when_ts), max(when_ts), count(*), sum(kind = 'Error'), count(DISTINCT execution) "
                "FROM trace_events WHERE trace_id = ?",
                trace_id);
    query.step();
    summary.first = from_unix_seconds(query.real(0));
    summary.last = from_unix_seconds(query.real(1));
    summary.events = static_cast<std::uint64_t>(query.integer(2));
    summary.errors = static_cast<std::uint64_t>(query.integer(3));
    summary.executions = static_cast<std::uint64_t>(query.integer(4));
  }
  Query services(connection_, "SELECT DISTINCT service FROM trace_events WHERE trace_id = ? ORDER BY service",
                 trace_id);
  while (services.step()) summary.services.push_back(services.text(0));
  Query root(connection_, "SELECT name FROM trace_events WHERE trace_id = ? ORDER BY when_ts, id LIMIT 1",
             trace_id);
  if (root.step()) summary.root = root.text(0);
  return summary;
}

// Many events of few traces make the one way long, many traces the other. Which it is shows by trying.
std::vector<TraceSummary> Reader::traces(const TraceQuery& query) {
  std::vector<TraceSummary> summaries;
  if (schema_.version < kTracesVersion || query.limit == 0) return summaries;
  const Snapshot snapshot(connection_);
  std::optional<std::vector<std::string>> found;
  constexpr std::size_t kFew = 8'192, kUsual = 32;  // events of a trace
  for (std::size_t most = std::max(kFew, std::min(query.limit, kMostRows) * kUsual); !found; most *= 8) {
    found = newest_traces_by_events(query, most);
    if (!found) found = newest_traces_by_traces(query, most / 4);
  }
  for (const std::string& trace_id : *found) summaries.push_back(summary_of(trace_id));
  return summaries;
}

std::vector<EventRecord> Reader::events_of_trace(const TraceId& trace_id, std::size_t limit) {
  std::vector<EventRecord> events;
  if (schema_.version < kTracesVersion) return events;
  const Snapshot snapshot(connection_);
  std::vector<Id> ids;
  const std::string trace = to_hex(trace_id);
  Query rows(connection_,
             "SELECT e.id FROM event_traces t CROSS JOIN events e ON e.id = t.event_id WHERE t.trace_id = ? "
             "ORDER BY e.when_ts, e.id LIMIT ?",
             trace, std::min(limit, kMostRows));
  while (rows.step()) ids.push_back(rows.integer(0));
  constexpr std::size_t kChunk = 1'000;
  for (std::span<const Id> rest(ids); !rest.empty();) {
    const auto chunk = rest.first(std::min(rest.size(), kChunk));
    rest = rest.subspan(chunk.size());
    for (EventRecord& event : load(chunk)) events.push_back(std::move(event));
  }
  return events;
}

}  // namespace codewake::internal
