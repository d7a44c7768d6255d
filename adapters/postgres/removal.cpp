#include "removal.hpp"
#include "row.hpp"

#include <fmt/format.h>

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

std::vector<Id> first_column(const pqxx::result& rows) {
  std::vector<Id> ids;
  for (const Row row : rows) ids.push_back(row.integer(0));
  return ids;
}

/// How many rows a DELETE has taken away.
std::uint64_t deleted(const pqxx::result& answer) {
  return static_cast<std::uint64_t>(answer.affected_rows());
}

/// Locked in the order in which writers lock them.
std::uint64_t remove_unused_stacktraces(Transaction& transaction, const std::set<Id>& candidates) {
  if (candidates.empty()) return 0;
  const std::vector<Id> ids(candidates.begin(), candidates.end());
  const std::vector<Id> locked = first_column(transaction.run(
      fmt::format(
          "SELECT s.id FROM stacktraces s WHERE s.id = ANY($1::bigint[]) AND {} ORDER BY s.digest FOR UPDATE",
          kUnusedStacktrace),
      Arguments(to_array(ids))));
  if (locked.empty()) return 0;
  const std::vector<Id> unused = first_column(transaction.run(
      fmt::format("SELECT s.id FROM stacktraces s WHERE s.id = ANY($1::bigint[]) AND {}", kUnusedStacktrace),
      Arguments(to_array(locked))));
  transaction.run("DELETE FROM stackframes WHERE stacktrace_id = ANY($1::bigint[])",
                  Arguments(to_array(unused)));
  return deleted(
      transaction.run("DELETE FROM stacktraces WHERE id = ANY($1::bigint[])", Arguments(to_array(unused))));
}

std::uint64_t count(Transaction& transaction, const std::string& sql, double before) {
  const pqxx::result counted = transaction.run(sql, Arguments(before));
  return static_cast<std::uint64_t>(Row(counted.front()).integer(0));
}

}  // namespace

void lock_removal(Transaction& transaction) {
  transaction.run("SELECT pg_advisory_xact_lock($1::bigint)", Arguments(kRemovalLock));
}

Removed remove_events(Transaction& transaction, double before, std::int64_t most) {
  std::vector<Id> ids;
  std::set<Id> stacktraces;
  const pqxx::result old = transaction.run(
      "SELECT id, stacktrace_id FROM events WHERE when_ts < $1::float8 ORDER BY when_ts, id LIMIT $2::bigint",
      Arguments(before, most));
  for (const Row row : old) {
    ids.push_back(row.integer(0));
    if (!row.is_null(1)) stacktraces.insert(row.integer(1));
  }
  if (ids.empty()) return {};
  const Arguments removes(to_array(ids));
  transaction.run("DELETE FROM events_data WHERE event_id = ANY($1::bigint[])", removes);
  transaction.run("DELETE FROM event_traces WHERE event_id = ANY($1::bigint[])", removes);
  Removed removed;
  removed.events = deleted(transaction.run("DELETE FROM events WHERE id = ANY($1::bigint[])", removes));
  removed.stacktraces = remove_unused_stacktraces(transaction, stacktraces);
  return removed;
}

std::uint64_t remove_trace_events(Transaction& transaction, double before, std::int64_t most) {
  return deleted(
      transaction.run("DELETE FROM trace_events WHERE id = ANY(ARRAY(SELECT id FROM trace_events "
                      "WHERE when_ts < $1::float8 ORDER BY when_ts, id LIMIT $2::bigint))",
                      Arguments(before, most)));
}

std::uint64_t remove_processes(Transaction& transaction, double before, std::int64_t most) {
  const std::vector<Id> locked = first_column(transaction.run(
      fmt::format(
          "SELECT p.id FROM processes p WHERE p.run_ts < $1::float8 AND {} ORDER BY p.id LIMIT $2::bigint "
          "FOR UPDATE SKIP LOCKED",
          kUnusedProcess),
      Arguments(before, most)));
  if (locked.empty()) return 0;
  return deleted(transaction.run(
      fmt::format("DELETE FROM processes p WHERE p.id = ANY($1::bigint[]) AND {}", kUnusedProcess),
      Arguments(to_array(locked))));
}

Removed count_old(Transaction& transaction, const SchemaState& schema, double before) {
  const bool has_journals = schema.version >= kAdditionsVersion;
  const bool has_traces = schema.version >= kTracesVersion;
  Removed counted;
  counted.events = count(transaction, "SELECT count(*) FROM events WHERE when_ts < $1::float8", before);
  if (has_traces)
    counted.trace_events =
        count(transaction, "SELECT count(*) FROM trace_events WHERE when_ts < $1::float8", before);
  counted.stacktraces =
      count(transaction,
            "SELECT count(*) FROM stacktraces s WHERE EXISTS (SELECT 1 FROM events e "
            "WHERE e.stacktrace_id = s.id AND e.when_ts < $1::float8) AND NOT EXISTS (SELECT 1 "
            "FROM events e WHERE e.stacktrace_id = s.id AND e.when_ts >= $1::float8)",
            before);
  std::string processes =
      "SELECT count(*) FROM processes p WHERE p.run_ts < $1::float8 AND NOT EXISTS (SELECT 1 FROM events e "
      "WHERE e.process_id = p.id AND e.when_ts >= $1::float8)";
  if (has_traces) {
    processes +=
        " AND NOT EXISTS (SELECT 1 FROM trace_events e WHERE e.process_id = p.id AND e.when_ts >= "
        "$1::float8)";
  }
  if (has_journals) processes += " AND NOT EXISTS (SELECT 1 FROM journals j WHERE j.process_id = p.id)";
  counted.processes = count(transaction, processes, before);
  return counted;
}

}  // namespace codewake::internal
