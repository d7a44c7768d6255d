#include "writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <type_traits>
#include <utility>

#include "bulk.hpp"
#include "codewake/errors.hpp"
#include "codewake/utf8.hpp"
#include "condition.hpp"
#include "postgres_error.hpp"
#include "removal.hpp"
#include "row.hpp"
#include "schema.hpp"
#include "server_versions.hpp"
#include "stacktraces.hpp"
#include "stored_frames.hpp"

namespace codewake::internal {
namespace {

/// A deadlock, or a serialization failure where the server is set up so, passes.
constexpr int kAttempts = 4;

constexpr const char* kBegin = "BEGIN ISOLATION LEVEL READ COMMITTED";
constexpr const char* kCommit = "COMMIT";

// Of the transaction alone, as Connection::settings.
constexpr std::string_view kSettings =
    "SELECT set_config('statement_timeout', $2::text, true), set_config('lock_timeout', $2::text, true), "
    "set_config('idle_in_transaction_session_timeout', $2::text, true)";
// Plans are made once, whatever the arguments are: these statements leave no choice.
constexpr std::string_view kPlanOnce = ", set_config('plan_cache_mode', 'force_generic_plan', true)";

// The look before the insert keeps a name that is there from using up an id.
constexpr const char* kInsertApp =
    "INSERT INTO apps(name) SELECT $1::text WHERE NOT EXISTS (SELECT 1 FROM apps WHERE name = $1::text) "
    "ON CONFLICT DO NOTHING";
constexpr const char* kInsertVersion =
    "INSERT INTO app_vsns(vsn, app_id) SELECT $2::text, a.id FROM apps a WHERE a.name = $1::text AND NOT "
    "EXISTS "
    "(SELECT 1 FROM app_vsns v WHERE v.app_id = a.id AND v.vsn = $2::text) ON CONFLICT DO NOTHING";
constexpr const char* kInsertEnvironment =
    "INSERT INTO environments(name) SELECT $1::text WHERE NOT EXISTS (SELECT 1 FROM environments WHERE "
    "name = $1::text) "
    "ON CONFLICT DO NOTHING";
constexpr const char* kInsertProcess =
    "INSERT INTO processes(run_ts, environment_id, pid, username, fqdn, exe_path, app_id, app_vsn_id) "
    "SELECT $1::float8, (SELECT id FROM environments WHERE name = $2::text), $3::bigint, $4::text, $5::text, "
    "$6::text, a.id, "
    "(SELECT id FROM app_vsns WHERE app_id = a.id AND vsn = $8::text) FROM apps a WHERE a.name = $7::text "
    "RETURNING id";
/// The version of the schema, which of the processes there are, the numbers of the events, and how many
/// segments are not where the writer knows them.
constexpr const char* kPrepareEvents =
    "SELECT (SELECT max(version) FROM codewake_schema), (SELECT array_agg(p.id) FROM (SELECT id FROM "
    "processes "
    "WHERE id = ANY($1::bigint[]) ORDER BY id FOR KEY SHARE) p), (SELECT array_agg(nextval((SELECT "
    "pg_get_serial_sequence('events', 'id')::regclass))) FROM generate_series(1, $2::bigint)), (SELECT "
    "count(*) "
    "FROM unnest($3::text[], $4::bigint[]) w(segment, noted) LEFT JOIN journals j USING (segment) WHERE "
    "j.position IS DISTINCT FROM w.noted)";
constexpr const char* kSetPositions =
    "INSERT INTO journals(segment, position, process_id) SELECT * FROM unnest($1::text[], $2::bigint[], "
    "$3::bigint[]) "
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
  void send(Pipeline& pipeline) const { pipeline.send(statements_); }
  void receive(Pipeline& pipeline) { answers_ = pipeline.receive(); }
  const Answer& operator[](std::size_t index) const { return answers_.at(index); }

 private:
  std::vector<Statement> statements_;
  std::vector<Answer> answers_;
};

/// The settings where the connection has none, and the locks of the batch's runs. Most batches have one run,
/// whose lock costs no statement of its own then.
void begin_writing(Flight& flight, const Batch& batch, const Connection& connection) {
  std::set<std::string_view> runs;  // in order, so that no two transactions wait for each other
  for (const JournalPosition& position : batch.positions) runs.insert(run_of(position.segment));
  runs.erase(std::string_view());
  const std::string lock = fmt::format("pg_advisory_xact_lock_shared({})", kRunLock);
  if (!connection.is_direct()) {
    const std::string_view plans = connection.server_version() >= kFirstToPlanOnce ? kPlanOnce : "";
    std::optional<std::string_view> first;
    if (!runs.empty()) first = *runs.begin();
    flight.add(
        {fmt::format("{}{}, {}", kSettings, plans, lock),  // no lock where there is no run: it is strict
         Arguments(first, std::to_string(connection.statement_timeout().count())), true});
    if (!runs.empty()) runs.erase(runs.begin());
  }
  for (const std::string_view run : runs) flight.add({fmt::format("SELECT {}", lock), Arguments(run), true});
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
    for (std::size_t i = 0; i < answers_.size(); ++i) {
      const BatchProcess& process = batch.processes[i];
      if (process.id != 0) {
        known_.insert(process.id);
      } else {
        answers_[i] = insert_process(flight, *process.info);
      }
    }
  }

  /// Those that have ids already.
  std::vector<Id> known() const { return {known_.begin(), known_.end()}; }
  bool are_known() const {
    return std::ranges::all_of(batch_.processes, [](const BatchProcess& process) { return process.id != 0; });
  }
  /// Where all are known: as the batch names them.
  std::vector<Id> ids_of_known() const {
    std::vector<Id> ids;
    for (const BatchProcess& process : batch_.processes) ids.push_back(process.id);
    return ids;
  }

  /// Of all; `found`: those of the known ones that are there.
  std::vector<Id> ids(const Flight& flight, const std::vector<Id>& found, std::string_view display) const {
    std::vector<Id> ids;
    for (std::size_t i = 0; i < answers_.size(); ++i) {
      const Id id = batch_.processes[i].id;
      if (id == 0) {
        ids.push_back(new_id(flight[answers_[i]], display));
      } else if (std::find(found.begin(), found.end(), id) != found.end()) {
        ids.push_back(id);
      } else {
        throw StoreError(StoreError::Kind::rejected,
                         fmt::format("PostgreSQL database {}: there is no process {}", display, id));
      }
    }
    return ids;
  }

 private:
  static Id new_id(const Answer& inserted, std::string_view display) {
    if (!inserted.empty()) return inserted.integer(0, 0);
    throw StoreError(
        StoreError::Kind::unavailable,
        fmt::format("PostgreSQL database {}: another program deletes apps that are being stored; try again",
                    display));
  }

  const Batch& batch_;
  std::vector<std::size_t> answers_;
  std::set<Id> known_;
};

Statement prepare_events(const Batch& batch, const Processes& processes) {
  Array segments(Type::text), noted(Type::int8);
  for (const JournalPosition& position : batch.positions) {
    if (position.noted == 0) continue;
    segments.add(position.segment);
    noted.add(static_cast<std::int64_t>(position.noted));
  }
  return {kPrepareEvents, Arguments(to_array(processes.known()), batch.events.size(), segments, noted), true};
}

/// Another database may have come in the place of the one that the writer knows, or an older copy of it.
void check_positions(const Answer& prepared, std::string_view display) {
  if (prepared.integer(0, 3) == 0) return;
  throw StoreError(
      StoreError::Kind::in_doubt,
      fmt::format(
          "PostgreSQL database {}: it is not the one that was written to before, or an older state of it",
          display));
}

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

namespace {

/// Again where somebody else was in the way and the connection is of use.
template <class Attempt>
auto try_again(const Connection& connection, Attempt attempt) {
  for (int attempts = 1;; ++attempts) {
    try {
      return attempt();
    } catch (const pqxx::failure& failure) {
      if (attempts == kAttempts || !connection.usable() || !is_transient(failure)) throw;
    }
  }
}

/// Ends what a batch has begun by itself where it was not committed.
class RollBack {
 public:
  explicit RollBack(Connection& connection) : connection_(connection) {}
  RollBack(const RollBack&) = delete;
  RollBack& operator=(const RollBack&) = delete;
  ~RollBack() {
    if (!connection_.usable() || connection_.state() == TransactionState::none) return;
    try {
      connection_.with([](PqxxConnection& pqxx) { pqxx::nontransaction(pqxx).exec("ROLLBACK"); });
    } catch (const pqxx::failure&) {
      // The connection is unusable now, and with it the transaction is gone.
    }
  }

 private:
  Connection& connection_;
};

void check_committed(const Answer& commit) {
  if (commit.command() == kCommit) return;
  throw pqxx::sql_error("the server rolled the transaction back", kCommit, "40000");
}

/// Whether a batch has only events, of processes that have ids, and no position in a journal. After a lost
/// connection, the recovery of a journal asks for its position; what still lay in a socket then could be
/// stored after the answer.
bool fits_one_trip(const Batch& batch) {
  return batch.positions.empty() && batch.trace_events.empty() && !batch.events.empty() &&
         std::ranges::all_of(batch.processes, [](const BatchProcess& process) { return process.id != 0; }) &&
         std::ranges::none_of(batch.events,
                              [](const BatchEvent& event) {
                                return event.stacktrace != nullptr || event.trace.has_value();
                              }) &&
         !is_worth_a_copy(batch);
}

}  // namespace

/// `answer_commit()` sends COMMIT with the last of the transaction, and returns the answer to it.
template <class Work>
void Writer::commit(Work answer_commit) {
  try {
    check_committed(answer_commit());
  } catch (const pqxx::failure& failure) {
    if (connection_.usable()) throw;
    throw pqxx::in_doubt_error(failure.what());
  }
}

template <class Work>
auto Writer::transact(Work work) {
  return try_again(connection_, [&] {
    Transaction transaction(connection_, Transaction::Kind::writes);
    if constexpr (std::is_void_v<decltype(work(transaction))>) {
      work(transaction);
      transaction.commit();
    } else {
      auto result = work(transaction);
      transaction.commit();
      return result;
    }
  });
}

template <class Work>
auto Writer::transact_removal(Work work) {
  return transact([&](Transaction& transaction) {
    check_version(transaction, parameters_);
    lock_removal(transaction);
    transaction.exec(kUseIndexes);
    return work(transaction);
  });
}

BatchResult Writer::write(const Batch& batch) {
  check_batch(batch);
  if (batch.processes.empty()) return {};  // nothing can be of no process
  return try_again(connection_, [&] {
    auto written = write_at_once(batch);
    if (!written) written = write_all(batch);
    connection_.note_use();
    return std::move(*written);
  });
}

// COMMIT goes along with all the rest, so that a connection that is lost leaves the batch in doubt. So it is
// one that was in use a moment ago: it can hardly have been lost while it was idle. Where the server answers
// the first statement that it goes, it has done nothing.
std::optional<BatchResult> Writer::write_at_once(const Batch& batch) {
  Pipeline& pipeline = connection_.pipeline();
  if (!fits_one_trip(batch) || pipeline.is_unsure() || !connection_.was_in_use()) return std::nullopt;
  const RollBack roll_back(connection_);
  Flight flight;
  // One statement alone is a transaction, which needs no bounds where the session has them.
  const bool is_alone = connection_.is_direct();
  if (!is_alone) {
    flight.add({kBegin, {}, true});
    begin_writing(flight, batch, connection_);
  }
  const std::size_t inserted = flight.add(EventsInsert(batch).statement_with_checks(batch, kSchemaVersion));
  const std::size_t committed = is_alone ? inserted : flight.add({kCommit, {}, true});
  try {
    flight.send(pipeline);
    flight.receive(pipeline);
  } catch (const pqxx::failure& failure) {
    if (is_division_by_zero(failure)) return std::nullopt;
    const bool is_refused = pipeline.answered() == 0 && !sqlstate_of(failure).empty();
    if (connection_.usable() || is_refused) throw;
    throw pqxx::in_doubt_error(failure.what());
  }
  if (!is_alone) check_committed(flight[committed]);
  BatchResult result{.process_ids = {}, .event_ids = flight[inserted].integers(0, EventsInsert::kIdsColumn)};
  for (const BatchProcess& process : batch.processes) result.process_ids.push_back(process.id);
  return result;
}

BatchResult Writer::write_all(const Batch& batch) {
  Pipeline& pipeline = connection_.pipeline();
  const RollBack roll_back(connection_);
  Flight flight;
  const Statement begin{kBegin, {}, true};
  if (!pipeline.begin_by_asking(begin)) flight.add(begin);
  begin_writing(flight, batch, connection_);
  const Processes processes(flight, batch);
  Stacktraces stacktraces(batch);
  std::size_t inserted = 0;
  if (!stacktraces.empty()) {
    auto [insert, find] = [found = stacktraces.find()] { return std::pair(found[0], found[1]); }();
    inserted = flight.add(std::move(insert));
    flight.add(std::move(find));
  }
  const std::size_t prepared = flight.add(prepare_events(batch, processes));
  if (processes.are_known()) {
    if (auto positions = set_positions(batch, processes.ids_of_known())) flight.add(std::move(*positions));
  }
  flight.send(pipeline);
  std::optional<EventsInsert> insert;  // prepared while the server works
  if (!batch.events.empty() && !is_worth_a_copy(batch)) insert.emplace(batch);
  flight.receive(pipeline);
  const Answer& known = flight[prepared];
  check_version(known.integer(0, 0), parameters_.display);
  check_positions(known, parameters_.display);

  BatchResult result{.process_ids = processes.ids(flight, known.integers(0, 1), parameters_.display),
                     .event_ids = known.integers(0, 2)};
  std::vector<Statement> last;
  if (!stacktraces.empty()) {
    stacktraces.note(flight[inserted], flight[inserted + 1]);
    if (auto frames = stacktraces.insert_frames()) last.push_back(std::move(*frames));
  }
  const std::vector<Id> stacktrace_ids = stacktraces.ids();
  const NumberedBatch numbered{batch, result.process_ids, result.event_ids, stacktrace_ids};
  if (insert) last.push_back(insert->statement(numbered));
  if (auto ties = insert_ties(numbered)) last.push_back(std::move(*ties));
  if (!processes.are_known()) {
    if (auto positions = set_positions(batch, result.process_ids)) last.push_back(std::move(*positions));
  }
  const CopiedRows copied{.events = !batch.events.empty() && !insert,
                          .trace_events = !batch.trace_events.empty()};
  if (copied.any()) {
    const bool is_all = last.empty();
    copy_rows(pipeline, numbered, copied, is_all ? kCommit : "");
    if (is_all) {
      commit([&] { return pipeline.end_copies(); });
      return result;
    }
    pipeline.end_copies();
  }
  last.push_back({kCommit, {}, true});
  commit([&] { return std::move(pipeline.run(last).back()); });
  return result;
}

AppInserted Writer::insert_app(std::string_view name, std::optional<std::string_view> vsn) {
  if (name.empty()) throw StoreError(StoreError::Kind::rejected, "an app needs a name");
  const std::string app = fit(name);
  std::optional<std::string> version;
  if (vsn && !vsn->empty()) version = fit(*vsn);
  return transact([&](Transaction& transaction) {
    transaction.run(kInsertApp, Arguments(app));
    if (version) transaction.run(kInsertVersion, Arguments(app, *version));
    const pqxx::result rows = transaction.run(
        "SELECT a.id, v.id FROM apps a LEFT JOIN app_vsns v ON v.app_id = a.id AND v.vsn = $2::text "
        "WHERE a.name = $1::text",
        Arguments(app, version));
    check_version(transaction, parameters_);
    const Row found = rows.at(0);
    AppInserted inserted{.app = {found.integer(0), app}, .app_vsn = std::nullopt};
    if (version) inserted.app_vsn = AppVersionRecord{found.integer(1), *version, inserted.app.id};
    return inserted;
  });
}

void Writer::forget_positions(std::string_view prefix) {
  transact([&](Transaction& transaction) {
    transaction.run("DELETE FROM journals WHERE starts_with(segment, $1::text)", Arguments(prefix));
  });
}

Removed Writer::remove_older(Time before, std::size_t most) {
  constexpr std::size_t kMost = std::numeric_limits<std::int64_t>::max();
  const auto limit = static_cast<std::int64_t>(std::clamp<std::size_t>(most, 1, kMost));
  const double limit_time = rounds_up_to(before);
  return transact_removal([&](Transaction& transaction) {
    Removed removed = remove_events(transaction, limit_time, limit);
    if (removed.events == 0) removed.trace_events = remove_trace_events(transaction, limit_time, limit);
    if (removed.empty()) removed.processes = remove_processes(transaction, limit_time, limit);
    return removed;
  });
}

FramesReplaced Writer::replace_frames(const std::vector<StacktraceRecord>& stacktraces) {
  return transact_removal(
      [&](Transaction& transaction) { return internal::replace_frames(transaction, stacktraces); });
}

}  // namespace codewake::internal
