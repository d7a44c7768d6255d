#include "reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "condition.hpp"
#include "removal.hpp"
#include "row.hpp"
#include "stored_frames.hpp"
#include "writer.hpp"

namespace codewake::internal {
namespace {

constexpr std::string_view kProcess =
    "SELECT p.id, p.run_ts, p.pid, p.username, p.fqdn, p.exe_path, p.app_id, a.name, e.id, e.name, v.id, "
    "v.vsn, v.app_id FROM processes p LEFT JOIN apps a ON a.id = p.app_id "
    "LEFT JOIN environments e ON e.id = p.environment_id LEFT JOIN app_vsns v ON v.id = p.app_vsn_id ";

ProcessRecord to_process(const Row& row) {
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

AppVersionRecord to_version(const Row& row) {
  return {row.integer(0), row.text(1), row.integer(2)};
}

}  // namespace

std::optional<EnvironmentRecord> Reader::environment(Id id) {
  const pqxx::result rows =
      transaction_.run("SELECT id, name FROM environments WHERE id = $1::bigint", Arguments(id));
  if (rows.empty()) return std::nullopt;
  const Row row = rows.front();
  return EnvironmentRecord{row.integer(0), row.text(1)};
}

std::optional<AppRecord> Reader::app(Id id) {
  const pqxx::result rows =
      transaction_.run("SELECT id, name FROM apps WHERE id = $1::bigint", Arguments(id));
  if (rows.empty()) return std::nullopt;
  const Row row = rows.front();
  return AppRecord{row.integer(0), row.text(1)};
}

std::optional<AppVersionRecord> Reader::app_vsn(Id id) {
  const pqxx::result rows =
      transaction_.run("SELECT id, vsn, app_id FROM app_vsns WHERE id = $1::bigint", Arguments(id));
  if (rows.empty()) return std::nullopt;
  return to_version(rows.front());
}

std::vector<AppRecord> Reader::apps() {
  std::vector<AppRecord> apps;
  const pqxx::result rows = transaction_.run("SELECT id, name FROM apps ORDER BY id");
  for (const Row row : rows) apps.push_back({row.integer(0), row.text(1)});
  return apps;
}

std::vector<AppVersionRecord> Reader::app_vsns(Id app_id) {
  std::vector<AppVersionRecord> versions;
  const pqxx::result rows = transaction_.run(
      "SELECT id, vsn, app_id FROM app_vsns WHERE app_id = $1::bigint ORDER BY id", Arguments(app_id));
  for (const Row row : rows) versions.push_back(to_version(row));
  return versions;
}

std::optional<ProcessRecord> Reader::process(Id id) {
  const pqxx::result rows =
      transaction_.run(std::string(kProcess) + "WHERE p.id = $1::bigint", Arguments(id));
  if (rows.empty()) return std::nullopt;
  return to_process(rows.front());
}

std::vector<ProcessRecord> Reader::processes(const ProcessQuery& query) {
  Condition condition;
  if (query.app_id) condition.add("p.app_id = " + condition.bind(*query.app_id));
  if (query.from) condition.add("p.run_ts >= " + condition.bind(rounds_up_to(*query.from)));
  if (query.to) condition.add("p.run_ts < " + condition.bind(rounds_up_to(*query.to)));
  std::vector<ProcessRecord> processes;
  const pqxx::result rows = transaction_.run(
      fmt::format("{} WHERE {} ORDER BY p.id", kProcess, condition.sql()), condition.arguments());
  for (const Row row : rows) processes.push_back(to_process(row));
  return processes;
}

// A transaction of this run whose client has lost it may still be on its way to COMMIT. It holds the lock.
std::vector<StoredPosition> Reader::positions(std::string_view prefix) {
  std::vector<StoredPosition> positions;
  if (schema_.version < kAdditionsVersion) return positions;
  if (const std::string_view run = run_of(prefix); !run.empty()) {
    transaction_.run(fmt::format("SELECT pg_advisory_xact_lock({})", kRunLock), Arguments(run));
  }
  const pqxx::result rows = transaction_.run(
      "SELECT segment, position, process_id FROM journals WHERE starts_with(segment, $1::text) "
      "ORDER BY segment",
      Arguments(prefix));
  for (const Row row : rows) {
    positions.push_back({row.text(0), static_cast<std::uint64_t>(row.integer(1)), row.integer(2)});
  }
  return positions;
}

Removed Reader::count_older(Time before) {
  return count_old(transaction_, schema_, rounds_up_to(before));
}

std::vector<StacktraceRecord> Reader::stacktraces_to_symbolize(Id after, std::size_t limit) {
  return internal::stacktraces_to_symbolize(transaction_, schema_, after, limit);
}

std::uint64_t Reader::count_to_symbolize() {
  return internal::count_to_symbolize(transaction_, schema_);
}

std::optional<EventRecord> Reader::event(Id id) {
  auto events = load(std::span(&id, 1));
  if (events.empty()) return std::nullopt;
  return std::move(events.front());
}

std::vector<EventRecord> Reader::load(std::span<const Id> ids, std::optional<Id> process_id) {
  std::vector<EventRecord> events;
  events.reserve(ids.size());
  const bool has_traces = schema_.version >= kTracesVersion;
  const pqxx::result rows = transaction_.run(
      fmt::format("SELECT e.id, e.when_ts, e.process_id, encode(e.digest, 'hex'), e.stacktrace_id, {} "
                  "FROM unnest($1::bigint[]) WITH ORDINALITY AS wanted(id, place) JOIN events e ON e.id = "
                  "wanted.id {} "
                  "WHERE $2::bigint IS NULL OR e.process_id = $2::bigint ORDER BY wanted.place",
                  has_traces ? "t.trace_id, t.span_id" : "NULL, NULL",
                  has_traces ? "LEFT JOIN event_traces t ON t.event_id = e.id" : ""),
      Arguments(to_array(ids), process_id));
  for (const Row row : rows) {
    EventRecord& event = events.emplace_back();
    event.id = row.integer(0);
    event.when = from_unix_seconds(row.real(1));
    event.process_id = row.integer(2);
    event.digest = row.digest(3);
    event.stacktrace_id = row.optional_integer(4);
    if (!row.is_null(5)) {
      event.trace = TraceTie{parse_trace_id(row.bytes(5)).value_or(TraceId()),
                             parse_span_id(row.bytes(6)).value_or(SpanId())};
    }
  }
  load_data(ids, events);
  load_frames(events);
  return events;
}

void Reader::load_data(std::span<const Id> ids, std::vector<EventRecord>& events) {
  if (events.empty()) return;
  std::unordered_map<Id, std::vector<Attribute>> data;
  const pqxx::result rows = transaction_.run(
      "SELECT event_id, \"key\", val FROM events_data WHERE event_id = ANY($1::bigint[]) ORDER BY id",
      Arguments(to_array(ids)));
  for (const Row row : rows) data[row.integer(0)].emplace_back(row.text(1), row.optional_text(2));
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
  std::unordered_map<Id, std::vector<Frame>> frames = frames_of(transaction_, schema_, ids);
  for (EventRecord& event : events) {
    if (event.stacktrace_id) event.frames = frames[*event.stacktrace_id];
  }
}

}  // namespace codewake::internal
