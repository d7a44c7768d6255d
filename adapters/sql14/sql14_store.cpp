#include "codewake/sql14_store.hpp"

#include <fmt/format.h>

#include <utility>

#include "codewake/dsn.hpp"
#include "codewake/errors.hpp"
#ifdef CODEWAKE_HAS_SQLITE
#include "codewake/sqlite_store.hpp"
#endif
#ifdef CODEWAKE_HAS_POSTGRES
#include "codewake/postgres_store.hpp"
#endif

// insert_process and insert_event are Store's own, which make them from `write`: the process that was
// recorded last is remembered by this object then, where the queue and `last_process_id` look for it.

namespace codewake {
namespace {

constexpr std::string_view kForms =
    "write sqlite:////absolute/path, sqlite:///relative/path or "
    "postgresql://user:password@host:port/database";

[[noreturn]] void refuse(std::string_view what, std::string_view remedy) {
  throw ConfigError({.key = "store.config"}, fmt::format("{}; {}", what, remedy));
}

std::unique_ptr<Store> make_sqlite([[maybe_unused]] const std::vector<std::string>& parameters) {
#ifdef CODEWAKE_HAS_SQLITE
  return std::make_unique<SqliteStore>(parameters);
#else
  refuse("Sql14Store was built without SQLite", "build it with -Dadapter_sqlite=enabled");
#endif
}

std::unique_ptr<Store> make_postgres([[maybe_unused]] const std::vector<std::string>& parameters) {
#ifdef CODEWAKE_HAS_POSTGRES
  return std::make_unique<PostgresStore>(parameters);
#else
  refuse("Sql14Store was built without PostgreSQL", "build it with -Dadapter_postgres=enabled");
#endif
}

std::unique_ptr<Store> make_store(const std::vector<std::string>& parameters) {
  if (parameters.empty()) refuse("no database is named", kForms);
  const Dsn dsn = parse_dsn(parameters.front());
  const std::string dialect = dsn.scheme.substr(0, dsn.scheme.find('+'));
  if (dialect == "sqlite") return make_sqlite(parameters);
  if (dialect == "postgresql" || dialect == "postgres") return make_postgres(parameters);
  refuse(fmt::format("\"{}\" names neither an SQLite nor a PostgreSQL database", dsn.to_display()), kForms);
}

}  // namespace

Sql14Store::Sql14Store(const std::vector<std::string>& parameters) : store_(make_store(parameters)) {}
Sql14Store::Sql14Store(std::string dsn) : Sql14Store(std::vector<std::string>{std::move(dsn)}) {}
Sql14Store::~Sql14Store() = default;

BatchResult Sql14Store::write(const Batch& batch) {
  return store_->write(batch);
}

AppInserted Sql14Store::insert_app(std::string_view name, std::optional<std::string_view> vsn) {
  return store_->insert_app(name, vsn);
}

std::optional<ProcessRecord> Sql14Store::get_process_by_id(Id id) {
  return store_->get_process_by_id(id);
}

std::optional<EnvironmentRecord> Sql14Store::get_environment_by_id(Id id) {
  return store_->get_environment_by_id(id);
}

std::optional<AppRecord> Sql14Store::get_app_by_id(Id id) {
  return store_->get_app_by_id(id);
}

std::optional<AppVersionRecord> Sql14Store::get_app_vsn_by_id(Id id) {
  return store_->get_app_vsn_by_id(id);
}

std::optional<EventRecord> Sql14Store::get_event_by_id(Id id) {
  return store_->get_event_by_id(id);
}

std::vector<AppRecord> Sql14Store::get_apps() {
  return store_->get_apps();
}

std::vector<AppVersionRecord> Sql14Store::get_app_vsns(Id app_id) {
  return store_->get_app_vsns(app_id);
}

std::vector<ProcessRecord> Sql14Store::get_processes(const ProcessQuery& query) {
  return store_->get_processes(query);
}

std::vector<EventRecord> Sql14Store::get_events_by_data(const std::vector<Attribute>& where,
                                                        std::optional<Id> process_id) {
  return store_->get_events_by_data(where, process_id);
}

EventPage Sql14Store::get_events(const EventQuery& query) {
  return store_->get_events(query);
}

std::vector<ExceptionGroup> Sql14Store::get_exceptions(const ExceptionQuery& query) {
  return store_->get_exceptions(query);
}

bool Sql14Store::stores_trace_events() const noexcept {
  return store_->stores_trace_events();
}

TraceEventPage Sql14Store::get_trace_events(const TraceEventQuery& query) {
  return store_->get_trace_events(query);
}

std::vector<TraceSummary> Sql14Store::get_traces(const TraceQuery& query) {
  return store_->get_traces(query);
}

std::vector<EventRecord> Sql14Store::get_events_of_trace(const TraceId& trace_id, std::size_t limit) {
  return store_->get_events_of_trace(trace_id, limit);
}

std::vector<StoredPosition> Sql14Store::get_positions(std::string_view prefix) {
  return store_->get_positions(prefix);
}

void Sql14Store::forget_positions(std::string_view prefix) {
  store_->forget_positions(prefix);
}

Removed Sql14Store::remove_older(Time before, std::size_t most) {
  return store_->remove_older(before, most);
}

Removed Sql14Store::count_older(Time before) {
  return store_->count_older(before);
}

std::vector<StacktraceRecord> Sql14Store::get_stacktraces_to_symbolize(Id after, std::size_t limit) {
  return store_->get_stacktraces_to_symbolize(after, limit);
}

std::uint64_t Sql14Store::count_stacktraces_to_symbolize() {
  return store_->count_stacktraces_to_symbolize();
}

FramesReplaced Sql14Store::replace_frames(const std::vector<StacktraceRecord>& stacktraces) {
  return store_->replace_frames(stacktraces);
}

bool Sql14Store::shutdown(std::chrono::nanoseconds timeout) {
  return store_->shutdown(timeout);
}

void Sql14Store::at_fork(ForkPhase phase) noexcept {
  store_->at_fork(phase);
}

std::string Sql14Store::identity() const {
  return store_->identity();
}

Sql14QueueStore::~Sql14QueueStore() = default;

}  // namespace codewake
