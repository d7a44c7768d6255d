#include "writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "bulk.hpp"
#include "codewake/errors.hpp"
#include "codewake/utf8.hpp"
#include "condition.hpp"
#include "removal.hpp"
#include "schema.hpp"
#include "stacktraces.hpp"
#include "stored_frames.hpp"

namespace codewake::internal {
namespace {

/// A deadlock, or a serialization failure where the server is set up so, passes.
constexpr int kAttempts = 4;

constexpr const char* kBegin = "BEGIN ISOLATION LEVEL READ COMMITTED";

// The look before the insert keeps a name that is there from using up an id.
constexpr const char* kInsertApp =
    "INSERT INTO apps(name) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM apps WHERE name = $1) "
    "ON CONFLICT DO NOTHING";
constexpr const char* kInsertVersion =
    "INSERT INTO app_vsns(vsn, app_id) SELECT $2, a.id FROM apps a WHERE a.name = $1 AND NOT EXISTS "
    "(SELECT 1 FROM app_vsns v WHERE v.app_id = a.id AND v.vsn = $2) ON CONFLICT DO NOTHING";
constexpr const char* kInsertEnvironment =
    "INSERT INTO environments(name) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM environments WHERE name = $1) "
    "ON CONFLICT DO NOTHING";
constexpr const char* kInsertProcess =
    "INSERT INTO processes(run_ts, environment_id, pid, username, fqdn, exe_path, app_id, app_vsn_id) "
    "SELECT $1, (SELECT id FROM environments WHERE name = $2), $3, $4, $5, $6, a.id, "
    "(SELECT id FROM app_vsns WHERE app_id = a.id AND vsn = $8) FROM apps a WHERE a.name = $7 RETURNING id";
constexpr const char* kFindProcesses =
    "SELECT id FROM processes WHERE id = ANY($1) ORDER BY id FOR KEY SHARE";
constexpr const char* kNumberEvents =
    "SELECT (SELECT max(version) FROM codewake_schema), array_agg(nextval((SELECT "
    "pg_get_serial_sequence('events', 'id')::regclass))) "
    "FROM generate_series(1, $1)";
constexpr const char* kSetPositions =
    "INSERT INTO journals(segment, position, process_id) SELECT * FROM unnest($1, $2, $3) "
    "ON CONFLICT (segment) DO UPDATE SET position = excluded.position, process_id = excluded.process_id";

std::string fit(std::string_view text) {
  return is_storable(text) ? std::string(text) : to_storable(text);
}

std::optional<std::string> fit(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  return fit(std::string_view(*text));
}

/// An empty version or environment counts as none.
std::optional<std::string> fit_or_none(const std::optional<std::string>& text) {
  if (!text || text->empty()) return std::nullopt;
  return fit(std::string_view(*text));
}

void check_batch(const Batch& batch) {
  for (const BatchProcess& process : batch.processes) {
    if (process.id == 0 && (process.info == nullptr || process.info->app_name.empty())) {
      throw StoreError(StoreError::Kind::rejected,
                       "a process needs an id, or a description with the name of its app");
    }
  }
  const auto check_index = [&](std::uint32_t process) {
    if (process < batch.processes.size()) return;
    throw StoreError(
        StoreError::Kind::rejected,
        fmt::format("the batch has {} processes and names the one at {}", batch.processes.size(), process));
  };
  for (const BatchEvent& event : batch.events) check_index(event.process);
  for (const BatchTraceEvent& event : batch.trace_events) check_index(event.process);
  for (const JournalPosition& position : batch.positions) check_index(position.process);
}

/// Statements of one round trip, and which of the answers is whose.
class Flight {
 public:
  std::size_t add(Statement statement) {
    statements_.push_back(std::move(statement));
    return statements_.size() - 1;
  }
  void send(Connection& connection) const { connection.send(statements_); }
  void receive(Connection& connection) { answers_ = connection.receive(statements_); }
  const Rows& operator[](std::size_t index) const { return answers_.at(index); }

 private:
  std::vector<Statement> statements_;
  std::vector<Rows> answers_;
};

void lock_runs(Flight& flight, const Batch& batch) {
  std::set<std::string_view> runs;  // in order, so that no two transactions wait for each other
  for (const JournalPosition& position : batch.positions) runs.insert(run_of(position.segment));
  for (const std::string_view run : runs) {
    if (run.empty()) continue;
    flight.add({fmt::format("SELECT pg_advisory_xact_lock_shared({})", kRunLock), Arguments(run), true});
  }
}

/// The answers of the last statement is the process's id.
std::size_t insert_process(Flight& flight, const ProcessInfo& info) {
  const std::string app = fit(std::string_view(info.app_name));
  const auto vsn = fit_or_none(info.app_vsn), environment = fit_or_none(info.env_name);
  flight.add({kInsertApp, Arguments(app), true});
  if (vsn) flight.add({kInsertVersion, Arguments(app, *vsn), true});
  if (environment) flight.add({kInsertEnvironment, Arguments(*environment), true});
  return flight.add({kInsertProcess,
                     Arguments(to_unix_seconds(info.run_ts), environment, info.pid, fit(info.username),
                               fit(info.fqdn), fit(info.exe_path), app, vsn),
                     true});
}

/// The processes of a batch on their way to their ids.
class Processes {
 public:
  Processes(Flight& flight, const Batch& batch) : batch_(batch), answers_(batch.processes.size()) {
    std::set<Id> known;
    for (std::size_t i = 0; i < answers_.size(); ++i) {
      const BatchProcess& process = batch.processes[i];
      if (process.id != 0) {
        known.insert(process.id);
      } else {
        answers_[i] = insert_process(flight, *process.info);
      }
    }
    if (known.empty()) return;
    const std::vector<Id> ids(known.begin(), known.end());
    found_ = flight.add({kFindProcesses, Arguments(to_array(ids)), true});
  }

  std::vector<Id> ids(const Flight& flight, std::string_view display) const {
    std::set<Id> known;
    if (found_) {
      for (const Row row : flight[*found_]) known.insert(row.integer(0));
    }
    std::vector<Id> ids;
    for (std::size_t i = 0; i < answers_.size(); ++i) {
      const Id id = batch_.processes[i].id;
      if (id == 0) {
        ids.push_back(new_id(flight[answers_[i]], display));
      } else if (known.contains(id)) {
        ids.push_back(id);
      } else {
        throw StoreError(StoreError::Kind::rejected,
                         fmt::format("PostgreSQL database {}: there is no process {}", display, id));
      }
    }
    return ids;
  }

 private:
  static Id new_id(const Rows& inserted, std::string_view display) {
    if (!inserted.empty()) return inserted.front().integer(0);
    throw StoreError(
        StoreError::Kind::unavailable,
        fmt::format("PostgreSQL database {}: another program deletes apps that are being stored; try again",
                    display));
  }

  const Batch& batch_;
  std::vector<std::size_t> answers_;
  std::optional<std::size_t> found_;
};

std::optional<Statement> set_positions(const Batch& batch, std::span<const Id> process_ids) {
  if (batch.positions.empty()) return std::nullopt;
  std::map<std::string_view, const JournalPosition*> last;
  for (const JournalPosition& position : batch.positions) last[position.segment] = &position;
  Array segments(Type::text), positions(Type::int8), processes(Type::int8);
  for (const auto& [segment, position] : last) {
    segments.add(segment);
    positions.add(static_cast<std::int64_t>(position->position));
    processes.add(process_ids[position->process]);
  }
  return Statement{kSetPositions, Arguments(segments, positions, processes), true};
}

}  // namespace

std::string_view run_of(std::string_view segment) {
  const std::size_t slash = segment.find('/');
  return slash == std::string_view::npos ? std::string_view() : segment.substr(0, slash);
}

template <class Work>
auto Writer::transact(Work work) {
  for (int attempt = 1;; ++attempt) {
    try {
      return work();
    } catch (const Failure& failure) {
      roll_back();
      const bool again = failure.connection() == Failure::Connection::usable && is_transient(failure);
      if (!again || attempt == kAttempts) throw;
    } catch (...) {
      roll_back();
      throw;
    }
  }
}

void Writer::roll_back() noexcept {
  if (!connection_.usable() || !connection_.in_transaction()) return;
  try {
    connection_.exec("ROLLBACK");
  } catch (const Failure&) {
    // The connection is unusable now, and with it the transaction is gone.
  }
}

void Writer::commit(std::vector<Statement> last) {
  last.push_back({"COMMIT", {}, true});
  try {
    const auto answers = connection_.run(last);
    if (answers.back().command() == "COMMIT") return;
  } catch (const Failure& failure) {
    throw failure.at_commit();
  }
  throw Failure("the server rolled the transaction back", "40000", Failure::Connection::usable);
}

BatchResult Writer::write(const Batch& batch) {
  check_batch(batch);
  if (batch.processes.empty()) return {};  // nothing can be of no process
  return transact([&] { return write_all(batch); });
}

BatchResult Writer::write_all(const Batch& batch) {
  Flight flight;
  flight.add({kBegin, {}, true});
  lock_runs(flight, batch);
  const Processes processes(flight, batch);
  Stacktraces stacktraces(batch);
  std::size_t inserted = 0;
  if (!stacktraces.empty()) {
    auto [insert, find] = [found = stacktraces.find()] { return std::pair(found[0], found[1]); }();
    inserted = flight.add(std::move(insert));
    flight.add(std::move(find));
  }
  const std::size_t numbers = flight.add({kNumberEvents, Arguments(batch.events.size()), true});
  flight.send(connection_);
  std::optional<EventsInsert> insert;  // prepared while the server works
  if (!batch.events.empty() && !is_worth_a_copy(batch)) insert.emplace(batch);
  flight.receive(connection_);
  check_version(flight[numbers].front().integer(0), parameters_.display);

  BatchResult result{.process_ids = processes.ids(flight, parameters_.display),
                     .event_ids = flight[numbers].front().integers(1)};
  std::vector<Statement> last;
  if (!stacktraces.empty()) {
    stacktraces.note(flight[inserted], flight[inserted + 1]);
    if (auto frames = stacktraces.insert_frames()) last.push_back(std::move(*frames));
  }
  const std::vector<Id> stacktrace_ids = stacktraces.ids();
  const NumberedBatch numbered{batch, result.process_ids, result.event_ids, stacktrace_ids};
  if (insert) {
    last.push_back(insert->statement(numbered));
  } else if (!batch.events.empty()) {
    copy_events(connection_, numbered);
  }
  if (auto ties = insert_ties(numbered)) last.push_back(std::move(*ties));
  if (!batch.trace_events.empty()) copy_trace_events(connection_, numbered);
  if (auto positions = set_positions(batch, result.process_ids)) last.push_back(std::move(*positions));
  commit(std::move(last));
  return result;
}

AppInserted Writer::insert_app(std::string_view name, std::optional<std::string_view> vsn) {
  if (name.empty()) throw StoreError(StoreError::Kind::rejected, "an app needs a name");
  const std::string app = fit(name);
  std::optional<std::string> version;
  if (vsn && !vsn->empty()) version = fit(*vsn);
  return transact([&] {
    std::vector<Statement> statements = {{kBegin, {}, true}, {kInsertApp, Arguments(app), true}};
    if (version) statements.push_back({kInsertVersion, Arguments(app, *version), true});
    statements.push_back(
        {"SELECT a.id, v.id FROM apps a LEFT JOIN app_vsns v ON v.app_id = a.id AND v.vsn = $2 "
         "WHERE a.name = $1",
         Arguments(app, version), true});
    statements.push_back({"SELECT max(version) FROM codewake_schema", {}, true});
    const auto answers = connection_.run(statements);
    check_version(answers.back().front().integer(0), parameters_.display);
    const Row found = answers[answers.size() - 2].front();
    AppInserted inserted{.app = {found.integer(0), app}, .app_vsn = std::nullopt};
    if (version) inserted.app_vsn = AppVersionRecord{found.integer(1), *version, inserted.app.id};
    commit({});
    return inserted;
  });
}

void Writer::forget_positions(std::string_view prefix) {
  connection_.run({"DELETE FROM journals WHERE starts_with(segment, $1)", Arguments(prefix)});
}

Removed Writer::remove_older(Time before, std::size_t most) {
  constexpr std::size_t kMost = std::numeric_limits<std::int64_t>::max();
  const auto limit = static_cast<std::int64_t>(std::clamp<std::size_t>(most, 1, kMost));
  return transact([&] { return remove_slice(rounds_up_to(before), limit); });
}

FramesReplaced Writer::replace_frames(const std::vector<StacktraceRecord>& stacktraces) {
  return transact([&] {
    begin_removal();
    const FramesReplaced replaced = internal::replace_frames(connection_, stacktraces);
    commit({});
    return replaced;
  });
}

void Writer::begin_removal() {
  const auto answers =
      connection_.run(std::vector<Statement>{{kBegin, {}, true},
                                             {"SELECT max(version) FROM codewake_schema", {}, true},
                                             lock_removal(),
                                             use_indexes()});
  check_version(answers[1].front().integer(0), parameters_.display);
}

Removed Writer::remove_slice(double before, std::int64_t most) {
  begin_removal();
  Removed removed = remove_events(connection_, before, most);
  if (removed.events == 0) removed.trace_events = remove_trace_events(connection_, before, most);
  if (removed.empty()) removed.processes = remove_processes(connection_, before, most);
  commit({});
  return removed;
}

}  // namespace codewake::internal
