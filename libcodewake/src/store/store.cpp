#include "codewake/store.hpp"

#include <algorithm>
#include <utility>

#include "codewake/errors.hpp"
#include "store/storable.hpp"

namespace codewake {
namespace {

StoreError cannot_remove() {
  return {StoreError::Kind::rejected,
          "this kind of store cannot remove what is old; do it with the means of its storage"};
}

StoreError cannot_replace_frames() {
  return {StoreError::Kind::rejected, "this kind of store cannot change stack traces that it has stored"};
}

}  // namespace

Store::~Store() = default;

std::optional<Id> Store::last_process_id() const noexcept {
  const Id id = last_process_id_.load(std::memory_order_acquire);
  return id == 0 ? std::nullopt : std::optional(id);
}

std::optional<ProcessRecord> Store::insert_process(const ProcessInfo& info, bool) {
  const ProcessInfo fit = internal::to_storable(info);
  const BatchProcess process{.id = 0, .info = &fit};
  const Id id = write({.processes = {&process, 1}}).process_ids.at(0);
  set_last_process_id(id);
  std::optional<ProcessRecord> record = get_process_by_id(id);
  if (!record)
    throw StoreError(StoreError::Kind::unavailable, "a process that was just recorded is gone again");
  return record;
}

std::optional<EventRecord> Store::insert_event(const EventInput& event, bool sync) {
  const std::optional<Id> process_id = event.process_id ? event.process_id : last_process_id();
  if (!process_id) {
    throw StoreError(StoreError::Kind::rejected, "an event needs a process: call insert_process first");
  }
  const internal::StorableAttributes data(event.data.value_or(std::span<const AttributeArgument>()));
  const BatchProcess process{.id = *process_id};
  const BatchEvent batch_event{.process = 0,
                               .when = event.when ? *event.when : now(),
                               .has_data = event.data.has_value(),
                               .data = data.views(),
                               .stacktrace = event.stacktrace};
  const Id id = write({.processes = {&process, 1}, .events = {&batch_event, 1}}).event_ids.at(0);
  if (!sync) return std::nullopt;
  std::optional<EventRecord> record = get_event_by_id(id);
  if (!record)
    throw StoreError(StoreError::Kind::unavailable, "an event that was just recorded is gone again");
  return record;
}

std::vector<ExceptionGroup> Store::get_exceptions(const ExceptionQuery& query) {
  std::vector<ExceptionGroup> groups;
  EventQuery page_query{.from = query.from,
                        .to = query.to,
                        .app_name = query.app_name,
                        .env_name = query.env_name,
                        .has_stacktrace = true,
                        .limit = 1000};
  do {
    EventPage page = get_events(page_query);
    for (const EventRecord& event : page.events) {
      ExceptionGroup described;
      described.describe_by(event);
      const auto group = std::ranges::find_if(groups, [&](const ExceptionGroup& known) {
        return known.stacktrace_id == event.stacktrace_id && known.type == described.type;
      });
      if (group != groups.end()) {  // events come newest first: this one is older than all before
        ++group->count;
        group->first = event.when;
        continue;
      }
      ExceptionGroup& added = groups.emplace_back(std::move(described));
      added.stacktrace_id = event.stacktrace_id.value_or(0);
      added.count = 1;
      added.first = added.last = event.when;
      added.last_event_id = event.id;
    }
    page_query.cursor = std::move(page.next);
  } while (!page_query.cursor.empty());
  if (groups.size() > query.limit) groups.resize(query.limit);
  return groups;
}

std::vector<StoredPosition> Store::get_positions(std::string_view) {
  return {};
}

void Store::forget_positions(std::string_view) {}

Removed Store::remove_older(Time, std::size_t) {
  throw cannot_remove();
}

Removed Store::count_older(Time) {
  throw cannot_remove();
}

std::vector<StacktraceRecord> Store::get_stacktraces_to_symbolize(Id, std::size_t) {
  throw cannot_replace_frames();
}

std::uint64_t Store::count_stacktraces_to_symbolize() {
  throw cannot_replace_frames();
}

FramesReplaced Store::replace_frames(const std::vector<StacktraceRecord>&) {
  throw cannot_replace_frames();
}

bool Store::flush(std::chrono::nanoseconds) {
  return true;
}

bool Store::shutdown(std::chrono::nanoseconds timeout) {
  return flush(timeout);
}

void Store::at_fork(ForkPhase) noexcept {}

std::string Store::identity() const {
  return {};
}

bool Store::queues() const noexcept {
  return false;
}

internal::Queue* Store::queue() noexcept {
  return nullptr;
}

StoreStats Store::stats() const {
  return {};
}

}  // namespace codewake
