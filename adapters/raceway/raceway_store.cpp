#include "codewake/raceway_store.hpp"

#include <fmt/format.h>

#include <utility>

#include "codewake/errors.hpp"
#include "codewake/utf8.hpp"
#include "parameters.hpp"
#include "stable_ids.hpp"
#include "store_impl.hpp"

namespace codewake {
namespace {

[[noreturn]] void refuse_reading(std::string_view what) {
  throw StoreError(
      StoreError::Kind::rejected,
      fmt::format("a Raceway server is for writing; it cannot be asked for {}: look at its own pages, "
                  "or record into a database",
                  what));
}

}  // namespace

RacewayStore::RacewayStore(const std::vector<std::string>& parameters)
    : impl_(std::make_unique<Impl>(internal::parse_raceway_parameters(parameters))) {}
RacewayStore::RacewayStore(std::string url) : RacewayStore(std::vector<std::string>{std::move(url)}) {}
RacewayStore::~RacewayStore() = default;

BatchResult RacewayStore::write(const Batch& batch) {
  return impl_->write(batch);
}

bool RacewayStore::stores_trace_events() const noexcept {
  return true;
}

AppInserted RacewayStore::insert_app(std::string_view name, std::optional<std::string_view> vsn) {
  const std::string app_name = to_storable(name);
  AppInserted inserted{{internal::name_id_of("app", app_name), app_name}, std::nullopt};
  if (vsn && !vsn->empty()) {
    const std::string version = to_storable(*vsn);
    inserted.app_vsn = {internal::name_id_of("vsn", app_name + '\n' + version), version, inserted.app.id};
  }
  return inserted;
}

std::optional<ProcessRecord> RacewayStore::get_process_by_id(Id id) {
  std::optional<ProcessRecord> record = impl_->process(id);
  if (!record) refuse_reading("a process");
  return record;
}

std::optional<EventRecord> RacewayStore::get_event_by_id(Id id) {
  std::optional<EventRecord> record = impl_->event(id);
  if (!record) refuse_reading("an event");
  return record;
}

std::optional<EnvironmentRecord> RacewayStore::get_environment_by_id(Id) {
  refuse_reading("an environment");
}

std::optional<AppRecord> RacewayStore::get_app_by_id(Id) {
  refuse_reading("an app");
}

std::optional<AppVersionRecord> RacewayStore::get_app_vsn_by_id(Id) {
  refuse_reading("a version");
}

std::vector<AppRecord> RacewayStore::get_apps() {
  refuse_reading("apps");
}

std::vector<AppVersionRecord> RacewayStore::get_app_vsns(Id) {
  refuse_reading("versions");
}

std::vector<ProcessRecord> RacewayStore::get_processes(const ProcessQuery&) {
  refuse_reading("processes");
}

std::vector<EventRecord> RacewayStore::get_events_by_data(const std::vector<Attribute>&, std::optional<Id>) {
  refuse_reading("events");
}

EventPage RacewayStore::get_events(const EventQuery&) {
  refuse_reading("events");
}

TraceEventPage RacewayStore::get_trace_events(const TraceEventQuery&) {
  refuse_reading("trace events");
}

std::vector<TraceSummary> RacewayStore::get_traces(const TraceQuery&) {
  refuse_reading("traces");
}

bool RacewayStore::shutdown(std::chrono::nanoseconds timeout) {
  return impl_->shutdown(timeout);
}

void RacewayStore::at_fork(ForkPhase phase) noexcept {
  impl_->at_fork(phase);
}

std::string RacewayStore::identity() const {
  return impl_->parameters().identity;
}

namespace {

Config::Queue queue_of(const std::vector<std::string>& parameters) {
  Config::Queue queue = Config::load().queue;
  const internal::RacewayParameters said = internal::parse_raceway_parameters(parameters);
  if (said.flush_interval.count() != 0) queue.interval = said.flush_interval;
  queue.batch = std::max(queue.batch, said.batch_size);
  return queue;
}

}  // namespace

RacewayQueueStore::RacewayQueueStore(const std::vector<std::string>& parameters)
    : QueueStore(queue_of(parameters), parameters) {}

RacewayQueueStore::~RacewayQueueStore() = default;

}  // namespace codewake
