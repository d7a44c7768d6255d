#include "reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "condition.hpp"
#include "removal.hpp"
#include "stored_frames.hpp"

namespace codewake::internal {
namespace {

constexpr std::string_view kProcess =
    "SELECT p.id, p.run_ts, p.pid, p.username, p.fqdn, p.exe_path, p.app_id, a.name, e.id, e.name, v.id, "
    "v.vsn, v.app_id "
    "FROM processes p LEFT JOIN apps a ON a.id = p.app_id LEFT JOIN environments e ON e.id = "
    "p.environment_id "
    "LEFT JOIN app_vsns v ON v.id = p.app_vsn_id ";

ProcessRecord to_process(const Query& row) {
  ProcessRecord process;
  process.id = row.integer(0);
  process.run_ts = from_unix_seconds(row.real(1));
  process.pid = row.optional_integer(2);
  process.username = row.optional_text(3);
  process.fqdn = row.optional_text(4);
  process.exe_path = row.optional_text(5);
  process.app = {row.integer(6), row.text(7)};
  if (!row.is_null(8)) process.environment = EnvironmentRecord{row.integer(8), row.text(9)};
  // The older system could give a process the version row of another app; the row is shown as it is.
  if (!row.is_null(10)) process.app_vsn = AppVersionRecord{row.integer(10), row.text(11), row.integer(12)};
  return process;
}

}  // namespace

std::string to_json(std::span<const Id> ids) {
  std::string json = "[";
  for (const Id id : ids) {
    if (json.size() > 1) json += ',';
    json += std::to_string(id);
  }
  return json + "]";
}

std::optional<EnvironmentRecord> Reader::environment(Id id) {
  Query query(connection_, "SELECT id, name FROM environments WHERE id = ?", id);
  if (!query.step()) return std::nullopt;
  return EnvironmentRecord{query.integer(0), query.text(1)};
}

std::optional<AppRecord> Reader::app(Id id) {
  Query query(connection_, "SELECT id, name FROM apps WHERE id = ?", id);
  if (!query.step()) return std::nullopt;
  return AppRecord{query.integer(0), query.text(1)};
}

std::optional<AppVersionRecord> Reader::app_vsn(Id id) {
  Query query(connection_, "SELECT id, vsn, app_id FROM app_vsns WHERE id = ?", id);
  if (!query.step()) return std::nullopt;
  return AppVersionRecord{query.integer(0), query.text(1), query.integer(2)};
}

std::vector<AppRecord> Reader::apps() {
  std::vector<AppRecord> apps;
  Query query(connection_, "SELECT id, name FROM apps ORDER BY id");
  while (query.step()) apps.push_back({query.integer(0), query.text(1)});
  return apps;
}

std::vector<AppVersionRecord> Reader::app_vsns(Id app_id) {
  std::vector<AppVersionRecord> versions;
  Query query(connection_, "SELECT id, vsn, app_id FROM app_vsns WHERE app_id = ? ORDER BY id", app_id);
  while (query.step()) versions.push_back({query.integer(0), query.text(1), query.integer(2)});
  return versions;
}

std::optional<ProcessRecord> Reader::process(Id id) {
  Query query(connection_, std::string(kProcess) + "WHERE p.id = ?", id);
  if (!query.step()) return std::nullopt;
  return to_process(query);
}

std::vector<ProcessRecord> Reader::processes(const ProcessQuery& query) {
  Condition condition;
  if (query.app_id) condition.add("p.app_id = ?", *query.app_id);
  if (query.from) condition.add("p.run_ts >= ?", rounds_up_to(*query.from));
  if (query.to) condition.add("p.run_ts < ?", rounds_up_to(*query.to));
  std::vector<ProcessRecord> processes;
  Query rows(connection_, std::string(kProcess) + "WHERE " + condition.sql() + " ORDER BY p.id");
  condition.bind_to(rows);
  while (rows.step()) processes.push_back(to_process(rows));
  return processes;
}

std::vector<StoredPosition> Reader::positions(std::string_view prefix) {
  std::vector<StoredPosition> positions;
  if (schema_.version < kAdditionsVersion) return positions;
  Query query(
      connection_,
      "SELECT segment, position, process_id FROM journals WHERE substr(segment, 1, length(?1)) = ?1 ORDER BY "
      "segment",
      prefix);
  while (query.step()) {
    positions.push_back({query.text(0), static_cast<std::uint64_t>(query.integer(1)), query.integer(2)});
  }
  return positions;
}

Removed Reader::count_older(Time before) {
  const Snapshot snapshot(connection_);
  return count_old(connection_, schema_, before);
}

std::vector<StacktraceRecord> Reader::stacktraces_to_symbolize(Id after, std::size_t limit) {
  const Snapshot snapshot(connection_);
  return internal::stacktraces_to_symbolize(connection_, schema_, after, limit);
}

std::uint64_t Reader::count_to_symbolize() {
  return internal::count_to_symbolize(connection_, schema_);
}

std::optional<EventRecord> Reader::event(Id id) {
  const Snapshot snapshot(connection_);
  auto events = load(std::span(&id, 1));
  if (events.empty()) return std::nullopt;
  return std::move(events.front());
}

std::vector<EventRecord> Reader::load(std::span<const Id> ids, std::optional<Id> process_id) {
  std::vector<EventRecord> events;
  events.reserve(ids.size());
  const std::string wanted = to_json(ids);
  {
    const bool has_traces = schema_.version >= kTracesVersion;
    Query query(connection_,
                fmt::format("SELECT e.id, e.when_ts, e.process_id, e.digest, e.stacktrace_id, {} "
                            "FROM json_each(?1) wanted CROSS JOIN events e ON e.id = wanted.value {} "
                            "WHERE ?2 IS NULL OR e.process_id = ?2 ORDER BY wanted.id",
                            has_traces ? "t.trace_id, t.span_id" : "NULL, NULL",
                            has_traces ? "LEFT JOIN event_traces t ON t.event_id = e.id" : ""),
                wanted, process_id);
    while (query.step()) {
      EventRecord& event = events.emplace_back();
      event.id = query.integer(0);
      event.when = from_unix_seconds(query.real(1));
      event.process_id = query.integer(2);
      event.digest = query.digest(3);
      event.stacktrace_id = query.optional_integer(4);
      if (!query.is_null(5)) {
        event.trace = TraceTie{parse_trace_id(query.bytes(5)).value_or(TraceId()),
                               parse_span_id(query.bytes(6)).value_or(SpanId())};
      }
    }
  }
  load_data(wanted, events);
  load_frames(events);
  return events;
}

void Reader::load_data(const std::string& ids, std::vector<EventRecord>& events) {
  std::unordered_map<Id, std::vector<Attribute>> data;
  Query query(connection_,
              "SELECT d.event_id, d.\"key\", d.val FROM json_each(?) wanted CROSS JOIN events_data d "
              "ON d.event_id = wanted.value ORDER BY d.id",
              ids);
  while (query.step()) data[query.integer(0)].emplace_back(query.text(1), query.optional_text(2));
  for (EventRecord& event : events) {
    if (const auto found = data.find(event.id); found != data.end()) {
      event.data = Attributes(std::move(found->second));
    }
  }
}

void Reader::load_frames(std::vector<EventRecord>& events) {
  std::vector<Id> ids;
  for (const EventRecord& event : events) {
    if (event.stacktrace_id) ids.push_back(*event.stacktrace_id);
  }
  if (ids.empty()) return;
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::unordered_map<Id, std::vector<Frame>> frames = frames_of(connection_, schema_, to_json(ids));
  for (EventRecord& event : events) {
    if (event.stacktrace_id) event.frames = frames[*event.stacktrace_id];
  }
}

}  // namespace codewake::internal
