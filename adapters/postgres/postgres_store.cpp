#include "codewake/postgres_store.hpp"

#include <utility>

#include "parameters.hpp"
#include "store_impl.hpp"

namespace codewake {

using internal::Reader;
using internal::Writer;

PostgresStore::PostgresStore(const std::vector<std::string>& parameters)
    : impl_(std::make_unique<Impl>(internal::parse_postgres_parameters(parameters))) {}
PostgresStore::PostgresStore(std::string dsn) : PostgresStore(std::vector<std::string>{std::move(dsn)}) {}
PostgresStore::~PostgresStore() = default;

BatchResult PostgresStore::write(const Batch& batch) {
  return impl_->write("writing a batch", [&](Writer& writer) { return writer.write(batch); });
}

AppInserted PostgresStore::insert_app(std::string_view name, std::optional<std::string_view> vsn) {
  return impl_->write("inserting an app", [&](Writer& writer) { return writer.insert_app(name, vsn); });
}

std::optional<ProcessRecord> PostgresStore::get_process_by_id(Id id) {
  return impl_->read("reading a process", [&](Reader& reader) { return reader.process(id); });
}

std::optional<EnvironmentRecord> PostgresStore::get_environment_by_id(Id id) {
  return impl_->read("reading an environment", [&](Reader& reader) { return reader.environment(id); });
}

std::optional<AppRecord> PostgresStore::get_app_by_id(Id id) {
  return impl_->read("reading an app", [&](Reader& reader) { return reader.app(id); });
}

std::optional<AppVersionRecord> PostgresStore::get_app_vsn_by_id(Id id) {
  return impl_->read("reading a version", [&](Reader& reader) { return reader.app_vsn(id); });
}

std::optional<EventRecord> PostgresStore::get_event_by_id(Id id) {
  return impl_->read("reading an event", [&](Reader& reader) { return reader.event(id); });
}

std::vector<AppRecord> PostgresStore::get_apps() {
  return impl_->read("reading apps", [](Reader& reader) { return reader.apps(); });
}

std::vector<AppVersionRecord> PostgresStore::get_app_vsns(Id app_id) {
  return impl_->read("reading versions", [&](Reader& reader) { return reader.app_vsns(app_id); });
}

std::vector<ProcessRecord> PostgresStore::get_processes(const ProcessQuery& query) {
  return impl_->read("reading processes", [&](Reader& reader) { return reader.processes(query); });
}

std::vector<EventRecord> PostgresStore::get_events_by_data(const std::vector<Attribute>& where,
                                                           std::optional<Id> process_id) {
  return impl_->read("reading events",
                     [&](Reader& reader) { return reader.events_by_data(where, process_id); });
}

EventPage PostgresStore::get_events(const EventQuery& query) {
  return impl_->read("reading events", [&](Reader& reader) { return reader.events(query); });
}

std::vector<ExceptionGroup> PostgresStore::get_exceptions(const ExceptionQuery& query) {
  return impl_->read("reading exceptions", [&](Reader& reader) { return reader.exceptions(query); });
}

bool PostgresStore::stores_trace_events() const noexcept {
  return true;
}

TraceEventPage PostgresStore::get_trace_events(const TraceEventQuery& query) {
  return impl_->read("reading trace events", [&](Reader& reader) { return reader.trace_events(query); });
}

std::vector<TraceSummary> PostgresStore::get_traces(const TraceQuery& query) {
  return impl_->read("reading traces", [&](Reader& reader) { return reader.traces(query); });
}

std::vector<EventRecord> PostgresStore::get_events_of_trace(const TraceId& trace_id, std::size_t limit) {
  return impl_->read("reading events of a trace",
                     [&](Reader& reader) { return reader.events_of_trace(trace_id, limit); });
}

std::vector<StoredPosition> PostgresStore::get_positions(std::string_view prefix) {
  return impl_->read(
      "reading journal positions", [&](Reader& reader) { return reader.positions(prefix); },
      internal::Transaction::Kind::reads);
}

void PostgresStore::forget_positions(std::string_view prefix) {
  impl_->write("forgetting journal positions", [&](Writer& writer) {
    writer.forget_positions(prefix);
    return true;
  });
}

Removed PostgresStore::remove_older(Time before, std::size_t most) {
  return impl_->write("removing old events",
                      [&](Writer& writer) { return writer.remove_older(before, most); });
}

Removed PostgresStore::count_older(Time before) {
  return impl_->read("counting old events", [&](Reader& reader) { return reader.count_older(before); });
}

std::vector<StacktraceRecord> PostgresStore::get_stacktraces_to_symbolize(Id after, std::size_t limit) {
  return impl_->read("reading stack traces",
                     [&](Reader& reader) { return reader.stacktraces_to_symbolize(after, limit); });
}

std::uint64_t PostgresStore::count_stacktraces_to_symbolize() {
  return impl_->read("counting stack traces", [](Reader& reader) { return reader.count_to_symbolize(); });
}

FramesReplaced PostgresStore::replace_frames(const std::vector<StacktraceRecord>& stacktraces) {
  return impl_->write("replacing frames", [&](Writer& writer) { return writer.replace_frames(stacktraces); });
}

bool PostgresStore::shutdown(std::chrono::nanoseconds timeout) {
  return impl_->shutdown(timeout);
}

void PostgresStore::at_fork(ForkPhase phase) noexcept {
  impl_->at_fork(phase);
}

std::string PostgresStore::identity() const {
  return impl_->parameters().identity;
}

PostgresQueueStore::~PostgresQueueStore() = default;

}  // namespace codewake
