#include "codewake/store.hpp"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include "codewake/errors.hpp"
#include "codewake/utf8.hpp"
#include "store/flattened.hpp"
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

StoreError cannot_trace() {
  return {StoreError::Kind::rejected,
          "this kind of store has trace events as ordinary events, with attributes that begin with `trace.`"};
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
  const bool adds_tie = event.trace != nullptr && !stores_trace_events();
  std::vector<Attribute> tie;
  std::vector<AttributeArgument> tied;
  if (adds_tie) {
    tie = internal::flattened(*event.trace);
    if (event.data) tied.assign(event.data->begin(), event.data->end());
    for (const Attribute& attribute : tie) tied.emplace_back(attribute.key, *attribute.value);
  }
  const internal::StorableAttributes data(adds_tie
                                              ? std::span<const AttributeArgument>(tied)
                                              : event.data.value_or(std::span<const AttributeArgument>()));
  const BatchProcess process{.id = *process_id};
  BatchEvent batch_event{.process = 0,
                         .when = event.when ? *event.when : now(),
                         .has_data = event.data.has_value() || adds_tie,
                         .data = data.views(),
                         .stacktrace = event.stacktrace};
  if (event.trace != nullptr && !adds_tie) batch_event.trace = *event.trace;
  const Id id = write({.processes = {&process, 1}, .events = {&batch_event, 1}}).event_ids.at(0);
  if (!sync) return std::nullopt;
  std::optional<EventRecord> record = get_event_by_id(id);
  if (!record)
    throw StoreError(StoreError::Kind::unavailable, "an event that was just recorded is gone again");
  return record;
}

bool Store::stores_trace_events() const noexcept {
  return false;
}

void Store::insert_trace_event(const TraceEventInput& event) {
  const std::optional<Id> process_id = last_process_id();
  if (!process_id) {
    throw StoreError(StoreError::Kind::rejected, "a trace event needs a process: call insert_process first");
  }
  const BatchProcess process{.id = *process_id};
  BatchTraceEvent fit{{event}, 0, now(), event.texts};
  std::deque<std::string> held;
  TraceEventTexts<std::string_view>::for_each(fit.texts, [&](std::string_view& text) {
    if (!is_storable(text)) text = held.emplace_back(to_storable(text));
  });
  if (stores_trace_events()) {
    write({.processes = {&process, 1}, .trace_events = {&fit, 1}});
    return;
  }
  const std::vector<Attribute> data = internal::flattened(fit);
  std::vector<AttributeView> views;
  for (const Attribute& attribute : data) views.push_back(attribute.view());
  const BatchEvent flat{.process = 0, .when = fit.when, .has_data = true, .data = views};
  write({.processes = {&process, 1}, .events = {&flat, 1}});
}

TraceEventPage Store::get_trace_events(const TraceEventQuery&) {
  throw cannot_trace();
}

std::vector<TraceSummary> Store::get_traces(const TraceQuery&) {
  throw cannot_trace();
}

std::vector<EventRecord> Store::get_events_of_trace(const TraceId& trace_id, std::size_t limit) {
  std::vector<EventRecord> events = get_events_by_data({{"trace.id", to_hex(trace_id)}});
  std::erase_if(events, [](const EventRecord& event) {
    return std::ranges::any_of(event.data, [](const Attribute& a) { return a.key == "trace.event"; });
  });
  std::ranges::stable_sort(events, {}, &EventRecord::when);
  if (events.size() > limit) events.resize(limit);
  return events;
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
