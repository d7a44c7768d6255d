#include "codewake/sqlite_store.hpp"

#include <utility>

#include "parameters.hpp"
#include "store_impl.hpp"

namespace codewake {

using internal::Reader;
using internal::Writer;

SqliteStore::SqliteStore(const std::vector<std::string>& parameters)
    : impl_(std::make_unique<Impl>(internal::parse_sqlite_parameters(parameters))) {}
SqliteStore::SqliteStore(std::string dsn) : SqliteStore(std::vector<std::string>{std::move(dsn)}) {}
SqliteStore::~SqliteStore() = default;

BatchResult SqliteStore::write(const Batch& batch) {
  return impl_->write_batch(batch);
}

AppInserted SqliteStore::insert_app(std::string_view name, std::optional<std::string_view> vsn) {
  return impl_->write("inserting an app", [&](Writer& writer) { return writer.insert_app(name, vsn); });
}

std::optional<ProcessRecord> SqliteStore::get_process_by_id(Id id) {
  return impl_->read("reading a process", [&](Reader& reader) { return reader.process(id); });
}

std::optional<EnvironmentRecord> SqliteStore::get_environment_by_id(Id id) {
  return impl_->read("reading an environment", [&](Reader& reader) { return reader.environment(id); });
}

std::optional<AppRecord> SqliteStore::get_app_by_id(Id id) {
  return impl_->read("reading an app", [&](Reader& reader) { return reader.app(id); });
}

std::optional<AppVersionRecord> SqliteStore::get_app_vsn_by_id(Id id) {
  return impl_->read("reading a version", [&](Reader& reader) { return reader.app_vsn(id); });
}

std::optional<EventRecord> SqliteStore::get_event_by_id(Id id) {
  return impl_->read("reading an event", [&](Reader& reader) { return reader.event(id); });
}

std::vector<AppRecord> SqliteStore::get_apps() {
  return impl_->read("reading apps", [](Reader& reader) { return reader.apps(); });
}

std::vector<AppVersionRecord> SqliteStore::get_app_vsns(Id app_id) {
  return impl_->read("reading versions", [&](Reader& reader) { return reader.app_vsns(app_id); });
}

std::vector<ProcessRecord> SqliteStore::get_processes(const ProcessQuery& query) {
  return impl_->read("reading processes", [&](Reader& reader) { return reader.processes(query); });
}

std::vector<EventRecord> SqliteStore::get_events_by_data(const std::vector<Attribute>& where,
                                                         std::optional<Id> process_id) {
  return impl_->read("reading events",
                     [&](Reader& reader) { return reader.events_by_data(where, process_id); });
}

EventPage SqliteStore::get_events(const EventQuery& query) {
  return impl_->read("reading events", [&](Reader& reader) { return reader.events(query); });
}

std::vector<ExceptionGroup> SqliteStore::get_exceptions(const ExceptionQuery& query) {
  return impl_->read("reading exceptions", [&](Reader& reader) { return reader.exceptions(query); });
}

bool SqliteStore::stores_trace_events() const noexcept {
  return true;
}

TraceEventPage SqliteStore::get_trace_events(const TraceEventQuery& query) {
  return impl_->read("reading trace events", [&](Reader& reader) { return reader.trace_events(query); });
}

std::vector<TraceSummary> SqliteStore::get_traces(const TraceQuery& query) {
  return impl_->read("reading traces", [&](Reader& reader) { return reader.traces(query); });
}

std::vector<EventRecord> SqliteStore::get_events_of_trace(const TraceId& trace_id, std::size_t limit) {
  return impl_->read("reading events of a trace",
                     [&](Reader& reader) { return reader.events_of_trace(trace_id, limit); });
}

std::vector<StoredPosition> SqliteStore::get_positions(std::string_view prefix) {
  return impl_->read("reading journal positions", [&](Reader& reader) { return reader.positions(prefix); });
}

void SqliteStore::forget_positions(std::string_view prefix) {
  impl_->write("forgetting journal positions", [&](Writer& writer) {
    writer.forget_positions(prefix);
    return true;
  });
}

Removed SqliteStore::remove_older(Time before, std::size_t most) {
  return impl_->write("removing old events",
                      [&](Writer& writer) { return writer.remove_older(before, most); });
}

Removed SqliteStore::count_older(Time before) {
  return impl_->read("counting old events", [&](Reader& reader) { return reader.count_older(before); });
}

std::vector<StacktraceRecord> SqliteStore::get_stacktraces_to_symbolize(Id after, std::size_t limit) {
  return impl_->read("reading stack traces",
                     [&](Reader& reader) { return reader.stacktraces_to_symbolize(after, limit); });
}

std::uint64_t SqliteStore::count_stacktraces_to_symbolize() {
  return impl_->read("counting stack traces", [](Reader& reader) { return reader.count_to_symbolize(); });
}

FramesReplaced SqliteStore::replace_frames(const std::vector<StacktraceRecord>& stacktraces) {
  return impl_->write("replacing frames", [&](Writer& writer) { return writer.replace_frames(stacktraces); });
}

bool SqliteStore::shutdown(std::chrono::nanoseconds timeout) {
  return impl_->shutdown(timeout);
}

void SqliteStore::at_fork(ForkPhase phase) noexcept {
  impl_->at_fork(phase);
}

std::string SqliteStore::identity() const {
  return impl_->parameters().memory ? "memory" : "sqlite:///" + impl_->parameters().path;
}

SqliteQueueStore::~SqliteQueueStore() = default;

}  // namespace codewake
