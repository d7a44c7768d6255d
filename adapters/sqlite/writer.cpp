#include "writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <thread>

#include "batch_digests.hpp"
#include "codewake/digest.hpp"
#include "codewake/errors.hpp"
#include "codewake/stacktrace.hpp"
#include "codewake/utf8.hpp"
#include "removal.hpp"
#include "schema.hpp"
#include "sqlite_error.hpp"
#include "stored_frames.hpp"
#include "trace_columns.hpp"

namespace codewake::internal {
namespace {

/// The columns of trace events that differ from one to the next.
#define CODEWAKE_TRACE_COLUMNS_OF_EVENTS                                                                    \
  "event_id, trace_id, span_id, upstream_span_id, parent_id, when_ts, duration, kind, access, name, file, " \
  "line, execution, thread, step, data, clock, locks"

/// Beyond this, the ids of stack traces are looked up again.
constexpr std::size_t kMostKnown = 65'536;

std::string fit(std::string_view text) {
  return is_storable(text) ? std::string(text) : to_storable(text);
}

std::optional<std::string> fit(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
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

bool is_same_sender(const BatchTraceEvent& a, const BatchTraceEvent& b) {
  return a.process == b.process && a.texts.service == b.texts.service &&
         a.texts.instance == b.texts.instance && a.texts.environment == b.texts.environment;
}

/// The id that SQLite gives to the first of `count` rows. They are numbered on from there as long as there
/// are ids left, so that there is no need to ask for each.
Id next_ids(Connection& connection, std::string_view sql, std::size_t count) {
  Query query(connection, sql);
  const Id last = query.step() ? query.integer(0) : 0;
  if (last > std::numeric_limits<Id>::max() - static_cast<Id>(count) - 1) {
    throw StoreError(StoreError::Kind::unavailable,
                     "the SQLite database has used up the ids of its events; use a new file");
  }
  if (last < 0) {
    throw StoreError(StoreError::Kind::unavailable,
                     "the SQLite database has events with negative ids only; give one of them a positive id");
  }
  return last + 1;
}

}  // namespace

std::size_t Writer::Hash::operator()(const Digest& digest) const noexcept {
  std::size_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

Writer::Writer(Connection& connection, const SqliteParameters& parameters, const RecordedProcesses& recorded)
    : connection_(connection), parameters_(parameters), recorded_(recorded), pairs_(connection) {
  register_feed(connection.handle(), &feed_);
  if (!parameters.memory) checkpointer_.emplace(connection, parameters);
}

template <class Work>
auto Writer::transact(Work work) {
  const auto deadline = connection_.deadline();
  while (true) {
    try {
      begin();
      auto result = work();
      commit();
      return result;
    } catch (const SQLite::Exception& failure) {
      roll_back();
      if (const Replaced how = connection_.replaced(); how != Replaced::no) throw FilesReplaced{how};
      if (!is_transient(failure) || std::chrono::steady_clock::now() >= deadline) throw;
      std::this_thread::sleep_for(
          std::chrono::milliseconds(1));  // SQLite did not wait: not every lock has a wait
    } catch (...) {
      roll_back();
      throw;
    }
  }
}

template <class Work>
auto Writer::transact_again(std::string_view question, Work work) {
  try {
    return transact(work);
  } catch (const CommitInDoubt& doubt) {
    throw StoreError(StoreError::Kind::in_doubt,
                     fmt::format("{}; {} is not known; do it again", doubt.failure.what(), question));
  }
}

void Writer::begin() {
  const bool is_full = checkpointer_ && checkpointer_->is_full();
  if (!is_full) Query(connection_, "BEGIN IMMEDIATE").run();
  if (const Replaced how = connection_.replaced(); how != Replaced::no) throw FilesReplaced{how};
  if (!is_full) refuse_other_wal();
  if (is_full) {
    throw StoreError(
        StoreError::Kind::unavailable,
        fmt::format("SQLite database {}: its WAL has reached wal_limit ({} MiB), and a program that reads "
                    "keeps it from beginning anew; end that program's transaction, or raise wal_limit",
                    parameters_.path, parameters_.wal_limit_bytes >> 20));
  }
  Query version(connection_, "PRAGMA data_version");
  version.step();
  if (version.integer(0) == data_version_) return;
  // Somebody else has written: what was known may be gone, and the tables may be of a newer version.
  forget();
  const SchemaState state = inspect_schema(connection_, parameters_);
  refuse_unknown(state);
  if (!state.complete) {
    throw StoreError(
        StoreError::Kind::unavailable,
        fmt::format("SQLite database {}: its tables are gone; restore them, or name another file",
                    parameters_.path));
  }
  data_version_ = version.integer(0);
}

// Also where all of the other one is written back: SQLite begins a WAL anew only if no reader is in its way,
// and adds to the old one otherwise.
void Writer::refuse_other_wal() {
  if (connection_.is_of_another_wal()) throw WalIsElsewhere{};
}

void Writer::commit() {
  try {
    Query(connection_, "COMMIT").run();
  } catch (const SQLite::Exception& failure) {
    const bool given_up = sqlite3_get_autocommit(connection_.handle()) != 0;
    if (given_up && is_io_error(failure))
      throw CommitInDoubt{to_store_error(failure, parameters_.path, "COMMIT")};
    throw;
  }
  // Files that were replaced before COMMIT are noticed here at the latest, before the transaction counts.
  if (const Replaced how = connection_.replaced(); how != Replaced::no) {
    throw CommitInDoubt{StoreError(
        StoreError::Kind::unavailable,
        fmt::format("SQLite database {}: it {} while it was written to", parameters_.path, to_text(how)))};
  }
}

void Writer::forget() noexcept {
  known_ = {};
  pairs_.forget();
}

void Writer::roll_back() noexcept {
  forget();
  if (sqlite3_get_autocommit(connection_.handle()) == 0) {
    // Fails only where the connection is beyond use, which the next call will say.
    sqlite3_exec(connection_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

BatchResult Writer::write(const Batch& batch) {
  check_batch(batch);
  BatchResult result;
  try {
    transact([&] {
      result = write_all(batch);
      return true;
    });
  } catch (CommitInDoubt& doubt) {
    doubt.result = result;
    throw;
  }
  return result;
}

BatchResult Writer::write_all(const Batch& batch) {
  check_positions(batch);
  feed_.batch = &batch;
  feed_.process_ids.clear();
  for (const BatchProcess& process : batch.processes) feed_.process_ids.push_back(process_id(process));
  insert_events(batch);
  insert_ties(batch);
  insert_trace_events(batch);
  insert_positions(batch);
  feed_.batch = nullptr;
  BatchResult result{.process_ids = feed_.process_ids, .event_ids = std::vector<Id>(batch.events.size())};
  Id id = feed_.first_event_id;
  for (Id& event_id : result.event_ids) event_id = id++;
  return result;
}

void Writer::insert_events(const Batch& batch) {
  feed_.stacktrace_ids.clear();
  std::size_t attributes = 0;
  std::unordered_map<const Stacktrace*, Id> same_object;
  for (const BatchEvent& event : batch.events) {
    attributes += event.data.size();
    Id id = 0;
    if (event.stacktrace != nullptr) {
      const auto [known, added] = same_object.try_emplace(event.stacktrace, 0);
      if (added) known->second = stacktrace_id(*event.stacktrace);
      id = known->second;
    }
    feed_.stacktrace_ids.push_back(id);
  }
  if (batch.events.empty()) return;
  feed_.first_event_id = next_ids(connection_, "SELECT max(id) FROM events", batch.events.size());
  BatchDigests digests(batch);  // done by the time that the data has been written, which therefore goes first
  if (attributes > 0) insert_data(batch, attributes);
  feed_.digests = digests.get();
  Query(connection_,
        "INSERT OR FAIL INTO events(when_ts, process_id, digest, stacktrace_id) "
        "SELECT when_ts, process_id, digest, stacktrace_id FROM codewake_feed_events")
      .run();
}

// OR FAIL: what fails is rolled back with the whole batch, so no statement needs a journal of its own.
void Writer::insert_data(const Batch& batch, std::size_t attributes) {
  const Id first_data_id = next_ids(connection_, "SELECT max(id) FROM events_data", attributes);
  Query(connection_,
        "INSERT OR FAIL INTO events_data(\"key\", val, event_id) "
        "SELECT \"key\", val, event_id FROM codewake_feed_data")
      .run();
  pairs_.add(batch, feed_.first_event_id, first_data_id);
}

// OR REPLACE: an event's id may have been another's, which somebody deleted by hand without its tie.
void Writer::insert_ties(const Batch& batch) {
  Id id = feed_.first_event_id;
  for (const BatchEvent& event : batch.events) {
    if (event.trace) {
      const std::string trace_id = to_hex(event.trace->trace_id), span_id = to_hex(event.trace->span_id);
      Query(connection_, "INSERT OR REPLACE INTO event_traces(event_id, trace_id, span_id) VALUES(?, ?, ?)",
            id, trace_id, span_id)
          .run();
    }
    ++id;
  }
}

// Which process, service, instance and environment sent them is nearly always the same for a whole batch, and
// then bound once.
void Writer::insert_trace_events(const Batch& batch) {
  if (batch.trace_events.empty()) return;
  feed_.write_trace_ids();
  const BatchTraceEvent& first = batch.trace_events.front();
  if (!std::ranges::all_of(batch.trace_events,
                           [&](const BatchTraceEvent& e) { return is_same_sender(e, first); })) {
    Query(connection_, "INSERT OR FAIL INTO trace_events(" CODEWAKE_TRACE_COLUMNS
                       ") SELECT " CODEWAKE_TRACE_COLUMNS " FROM codewake_feed_traces")
        .run();
    return;
  }
  Query(connection_,
        "INSERT OR FAIL INTO trace_events(process_id, service, instance, "
        "environment, " CODEWAKE_TRACE_COLUMNS_OF_EVENTS
        ") "
        "SELECT ?, ?, ?, ?, " CODEWAKE_TRACE_COLUMNS_OF_EVENTS " FROM codewake_feed_traces",
        feed_.process_ids[first.process], first.texts.service, first.texts.instance, first.texts.environment)
      .run();
}

// Another file may have come in the place of the one that the writer knows, or an older copy of it.
void Writer::check_positions(const Batch& batch) {
  for (const JournalPosition& position : batch.positions) {
    if (position.noted == 0) continue;
    Query found(connection_, "SELECT position FROM journals WHERE segment = ?", position.segment);
    if (found.step() && static_cast<std::uint64_t>(found.integer(0)) == position.noted) continue;
    throw StoreError(
        StoreError::Kind::in_doubt,
        fmt::format("SQLite database {}: it is not the one that was written to before, or an older "
                    "state of it",
                    parameters_.path));
  }
}

void Writer::insert_positions(const Batch& batch) {
  for (const JournalPosition& position : batch.positions) {
    Query(connection_,
          "INSERT INTO journals(segment, position, process_id) VALUES(?, ?, ?) ON CONFLICT(segment) "
          "DO UPDATE SET position = excluded.position, process_id = excluded.process_id",
          position.segment, position.position, feed_.process_ids[position.process])
        .run();
  }
}

// A process that was recorded in another database, which stood at this path, is recorded again: here, or by
// its queue.
Id Writer::process_id(const BatchProcess& process) {
  if (process.id == 0) return insert_process(*process.info);
  if (const auto known = known_.processes.find(process.id); known != known_.processes.end())
    return known->second;
  const RecordedProcess* const recorded = recorded_.find(process.id);
  Id id = recorded != nullptr ? recorded->id : process.id;
  if (!has_process(id, recorded)) {
    // With a position here the process was recorded here, and removed by hand: its queue would ask in vain.
    if (recorded == nullptr || !recorded_.is_elsewhere(*recorded) ||
        (recorded->has_positions &&
         Query(connection_, "SELECT 1 FROM journals WHERE process_id = ?", id).step())) {
      throw StoreError(StoreError::Kind::rejected, fmt::format("SQLite database {}: there is no process {}",
                                                               parameters_.path, process.id));
    }
    if (recorded->has_positions) {
      throw StoreError(StoreError::Kind::in_doubt,
                       fmt::format("SQLite database {}: process {} was recorded in another database",
                                   parameters_.path, process.id));
    }
    id = insert_process(recorded->info);
  }
  known_.processes.insert_or_assign(process.id, id);
  return id;
}

bool Writer::has_process(Id id, const RecordedProcess* recorded) {
  if (recorded == nullptr) return Query(connection_, "SELECT 1 FROM processes WHERE id = ?", id).step();
  return Query(connection_, "SELECT 1 FROM processes WHERE id = ? AND run_ts = ? AND pid IS ?", id,
               to_unix_seconds(recorded->info.run_ts), recorded->info.pid)
      .step();
}

Id Writer::insert_process(const ProcessInfo& info) {
  const Id app = app_id(fit(std::string_view(info.app_name)));
  std::optional<Id> vsn, environment;
  if (info.app_vsn && !info.app_vsn->empty()) vsn = vsn_id(app, fit(std::string_view(*info.app_vsn)));
  if (info.env_name && !info.env_name->empty())
    environment = environment_id(fit(std::string_view(*info.env_name)));
  const auto username = fit(info.username), fqdn = fit(info.fqdn), exe_path = fit(info.exe_path);
  Query insert(
      connection_,
      "INSERT INTO processes(run_ts, environment_id, pid, username, fqdn, exe_path, app_id, app_vsn_id) "
      "VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
      to_unix_seconds(info.run_ts), environment, info.pid, username, fqdn, exe_path, app, vsn);
  insert.run();
  return sqlite3_last_insert_rowid(connection_.handle());
}

Id Writer::app_id(const std::string& name) {
  const auto [known, added] = known_.apps.try_emplace(name, 0);
  if (!added) return known->second;
  Query(connection_, "INSERT INTO apps(name) VALUES(?) ON CONFLICT DO NOTHING", name).run();
  Query find(connection_, "SELECT id FROM apps WHERE name = ?", name);
  find.step();
  return known->second = find.integer(0);
}

Id Writer::vsn_id(Id app, const std::string& vsn) {
  const auto [known, added] = known_.vsns.try_emplace({app, vsn}, 0);
  if (!added) return known->second;
  Query(connection_, "INSERT INTO app_vsns(vsn, app_id) VALUES(?, ?) ON CONFLICT DO NOTHING", vsn, app).run();
  Query find(connection_, "SELECT id FROM app_vsns WHERE app_id = ? AND vsn = ?", app, vsn);
  find.step();
  return known->second = find.integer(0);
}

Id Writer::environment_id(const std::string& name) {
  const auto [known, added] = known_.environments.try_emplace(name, 0);
  if (!added) return known->second;
  Query(connection_, "INSERT INTO environments(name) VALUES(?) ON CONFLICT DO NOTHING", name).run();
  Query find(connection_, "SELECT id FROM environments WHERE name = ?", name);
  find.step();
  return known->second = find.integer(0);
}

Id Writer::stacktrace_id(const Stacktrace& stacktrace) {
  const std::vector<Frame>& frames = stacktrace.frames();
  const Digest digest = digest_of(frames);
  if (known_.stacktraces.size() >= kMostKnown) known_.stacktraces.clear();
  const auto [known, added] = known_.stacktraces.try_emplace(digest, 0);
  if (!added) return known->second;
  Query(connection_, "INSERT INTO stacktraces(digest) VALUES(?) ON CONFLICT DO NOTHING", digest).run();
  if (sqlite3_changes(connection_.handle()) == 1) {
    known->second = sqlite3_last_insert_rowid(connection_.handle());
    insert_frames(connection_, known->second, frames);
    return known->second;
  }
  Query find(connection_, "SELECT id FROM stacktraces WHERE digest = ?", digest);
  find.step();
  return known->second = find.integer(0);
}

AppInserted Writer::insert_app(std::string_view name, std::optional<std::string_view> vsn) {
  if (name.empty()) throw StoreError(StoreError::Kind::rejected, "an app needs a name");
  return transact_again("whether the app was inserted", [&] {
    AppInserted inserted;
    inserted.app.name = fit(name);
    inserted.app.id = app_id(inserted.app.name);
    if (vsn && !vsn->empty()) {
      const std::string fitted = fit(*vsn);
      inserted.app_vsn = AppVersionRecord{vsn_id(inserted.app.id, fitted), fitted, inserted.app.id};
    }
    return inserted;
  });
}

void Writer::forget_positions(std::string_view prefix) {
  transact_again("whether the positions were forgotten", [&] {
    Query(connection_, "DELETE FROM journals WHERE substr(segment, 1, length(?1)) = ?1", prefix).run();
    return true;
  });
}

Removed Writer::remove_older(Time before, std::size_t most) {
  return transact_again("whether the events were removed", [&] {
    const Removed removed = remove_slice(connection_, before, most);
    if (!removed.empty()) forget();  // what was known may be gone
    return removed;
  });
}

FramesReplaced Writer::replace_frames(const std::vector<StacktraceRecord>& stacktraces) {
  return transact_again("whether the frames were replaced", [&] {
    const FramesReplaced replaced = internal::replace_frames(connection_, stacktraces);
    if (replaced != FramesReplaced()) forget();
    return replaced;
  });
}

bool Writer::stop_checkpoints(std::chrono::nanoseconds timeout) {
  return !checkpointer_ || checkpointer_->stop(timeout);
}

bool Writer::is_stored(const Batch& batch, const BatchResult& result) {
  // A position is nowhere but in its run's database; the ids of rows are in each.
  if (!batch.positions.empty()) {
    const JournalPosition& last = batch.positions.back();
    return Query(connection_, "SELECT 1 FROM journals WHERE segment = ? AND position = ?", last.segment,
                 last.position)
        .step();
  }
  if (!batch.events.empty()) {
    const BatchEvent& last = batch.events.back();
    return Query(connection_, "SELECT 1 FROM events WHERE id = ? AND process_id = ? AND when_ts = ?",
                 result.event_ids.back(), result.process_ids[last.process], to_unix_seconds(last.when))
        .step();
  }
  if (!batch.trace_events.empty()) {
    const BatchTraceEvent& last = batch.trace_events.back();
    const std::string trace_id = to_hex(last.trace_id), event_id = to_uuid(last.id);
    return Query(connection_,
                 "SELECT 1 FROM trace_events WHERE trace_id = ? AND when_ts = ? AND event_id = ?", trace_id,
                 to_unix_seconds(last.when), event_id)
        .step();
  }
  for (std::size_t i = 0; i < batch.processes.size(); ++i) {
    const BatchProcess& process = batch.processes[i];
    if (process.id != 0) continue;
    return Query(connection_, "SELECT 1 FROM processes WHERE id = ? AND run_ts = ?", result.process_ids[i],
                 to_unix_seconds(process.info->run_ts))
        .step();
  }
  return true;
}

}  // namespace codewake::internal
