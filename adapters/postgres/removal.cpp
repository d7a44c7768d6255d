#include "removal.hpp"

#include <fmt/format.h>

#include <charconv>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace codewake::internal {
namespace {

/// Any number that other programs are not likely to lock. In ASCII: cwretain.
constexpr std::int64_t kRemovalLock = 0x637772657461696e;

constexpr std::string_view kUnusedStacktrace =
    "NOT EXISTS (SELECT 1 FROM events e WHERE e.stacktrace_id = s.id)";
constexpr std::string_view kUnusedProcess =
    "NOT EXISTS (SELECT 1 FROM events e WHERE e.process_id = p.id) AND "
    "NOT EXISTS (SELECT 1 FROM trace_events e WHERE e.process_id = p.id) AND "
    "NOT EXISTS (SELECT 1 FROM journals j WHERE j.process_id = p.id)";

std::vector<Id> first_column(const Rows& rows) {
  std::vector<Id> ids;
  for (const Row row : rows) ids.push_back(row.integer(0));
  return ids;
}

/// Of what a DELETE says: `DELETE 42`.
std::uint64_t deleted(const Rows& answer) {
  const std::string_view command = answer.command();
  const char* const end = command.data() + command.size();
  std::uint64_t number = 0;
  std::from_chars(command.data() + command.rfind(' ') + 1, end, number);
  return number;
}

/// Locked in the order in which writers lock them.
std::uint64_t remove_unused_stacktraces(Connection& connection, const std::set<Id>& candidates) {
  if (candidates.empty()) return 0;
  const std::vector<Id> ids(candidates.begin(), candidates.end());
  const std::vector<Id> locked = first_column(connection.run(
      {fmt::format("SELECT s.id FROM stacktraces s WHERE s.id = ANY($1) AND {} ORDER BY s.digest FOR UPDATE",
                   kUnusedStacktrace),
       Arguments(to_array(ids))}));
  if (locked.empty()) return 0;
  const std::vector<Id> unused = first_column(connection.run(
      {fmt::format("SELECT s.id FROM stacktraces s WHERE s.id = ANY($1) AND {}", kUnusedStacktrace),
       Arguments(to_array(locked))}));
  const auto answers = connection.run(std::vector<Statement>{
      {"DELETE FROM stackframes WHERE stacktrace_id = ANY($1)", Arguments(to_array(unused))},
      {"DELETE FROM stacktraces WHERE id = ANY($1)", Arguments(to_array(unused))}});
  return deleted(answers[1]);
}

std::uint64_t count(Connection& connection, const std::string& sql, double before) {
  return static_cast<std::uint64_t>(connection.run({sql, Arguments(before)}).front().integer(0));
}

}  // namespace

Statement lock_removal() {
  return {"SELECT pg_advisory_xact_lock($1)", Arguments(kRemovalLock), true};
}

Statement use_indexes() {
  return {"SET LOCAL enable_seqscan = off"};
}

Removed remove_events(Connection& connection, double before, std::int64_t most) {
  std::vector<Id> ids;
  std::set<Id> stacktraces;
  const Rows old =
      connection.run({"SELECT id, stacktrace_id FROM events WHERE when_ts < $1 ORDER BY when_ts, id LIMIT $2",
                      Arguments(before, most)});
  for (const Row row : old) {
    ids.push_back(row.integer(0));
    if (!row.is_null(1)) stacktraces.insert(row.integer(1));
  }
  if (ids.empty()) return {};
  const auto answers = connection.run(
      std::vector<Statement>{{"DELETE FROM events_data WHERE event_id = ANY($1)", Arguments(to_array(ids))},
                             {"DELETE FROM event_traces WHERE event_id = ANY($1)", Arguments(to_array(ids))},
                             {"DELETE FROM events WHERE id = ANY($1)", Arguments(to_array(ids))}});
  Removed removed{.events = deleted(answers[2])};
  removed.stacktraces = remove_unused_stacktraces(connection, stacktraces);
  return removed;
}

std::uint64_t remove_trace_events(Connection& connection, double before, std::int64_t most) {
  return deleted(
      connection.run({"DELETE FROM trace_events WHERE id = ANY(ARRAY(SELECT id FROM trace_events "
                      "WHERE when_ts < $1 ORDER BY when_ts, id LIMIT $2))",
                      Arguments(before, most)}));
}

std::uint64_t remove_processes(Connection& connection, double before, std::int64_t most) {
  const std::vector<Id> locked = first_column(connection.run(
      {fmt::format("SELECT p.id FROM processes p WHERE p.run_ts < $1 AND {} ORDER BY p.id LIMIT $2 "
                   "FOR UPDATE SKIP LOCKED",
                   kUnusedProcess),
       Arguments(before, most)}));
  if (locked.empty()) return 0;
  return deleted(
      connection.run({fmt::format("DELETE FROM processes p WHERE p.id = ANY($1) AND {}", kUnusedProcess),
                      Arguments(to_array(locked))}));
}

Removed count_old(Connection& connection, const SchemaState& schema, double before) {
  const bool has_journals = schema.version >= kAdditionsVersion;
  const bool has_traces = schema.version >= kTracesVersion;
  Removed counted;
  counted.events = count(connection, "SELECT count(*) FROM events WHERE when_ts < $1", before);
  if (has_traces)
    counted.trace_events = count(connection, "SELECT count(*) FROM trace_events WHERE when_ts < $1", before);
  counted.stacktraces = count(connection,
                              "SELECT count(*) FROM stacktraces s WHERE EXISTS (SELECT 1 FROM events e "
                              "WHERE e.stacktrace_id = s.id AND e.when_ts < $1) AND NOT EXISTS (SELECT 1 "
                              "FROM events e WHERE e.stacktrace_id = s.id AND e.when_ts >= $1)",
                              before);
  std::string processes =
      "SELECT count(*) FROM processes p WHERE p.run_ts < $1 AND NOT EXISTS (SELECT 1 FROM events e "
      "WHERE e.process_id = p.id AND e.when_ts >= $1)";
  if (has_traces) {
    processes +=
        " AND NOT EXISTS (SELECT 1 FROM trace_events e WHERE e.process_id = p.id AND e.when_ts >= $1)";
  }
  if (has_journals) processes += " AND NOT EXISTS (SELECT 1 FROM journals j WHERE j.process_id = p.id)";
  counted.processes = count(connection, processes, before);
  return counted;
}

}  // namespace codewake::internal
