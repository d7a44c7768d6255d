#include "history_builder.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>

#include "event_text.hpp"

namespace codewake::analysis {

namespace {

std::string key_of(const TraceId& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

std::uint64_t short_id(const TraceEventId& id) noexcept {
  std::uint64_t high = 0, low = 0;
  std::memcpy(&high, id.bytes.data(), sizeof high);
  std::memcpy(&low, id.bytes.data() + sizeof high, sizeof low);
  return high ^ low;
}

bool is_shared_lock(const TraceEventRecord& event) {
  const std::optional<std::string> type = find_text(event.texts.data, "lock_type");
  return type && type->ends_with("Read");
}

std::uint32_t saturated(std::uint64_t number) noexcept {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(number, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

HistoryBuilder::HistoryBuilder() {
  history_.lock_sets.emplace_back();
}

HistoryBuilder::~HistoryBuilder() = default;

void HistoryBuilder::add(const ProcessRecord& process) {
  processes_.push_back(process);
}

// ── one event ──

void HistoryBuilder::add(const TraceEventRecord& record) {
  if (history_.events.size() == std::numeric_limits<std::uint32_t>::max() - 1)
    throw std::length_error("more than four thousand million trace events at once");
  const auto number = static_cast<std::uint32_t>(history_.events.size());
  const std::uint32_t execution = execution_of(record);
  Mind& mind = *minds_[execution];
  Happened event;
  event.when = record.when.time_since_epoch().count();
  event.row = record.row;
  event.execution = execution;
  event.step = saturated(record.step);
  event.name = history_.names.number_of(record.texts.name);
  event.place = place_of(record);
  event.kind = record.kind;
  event.access = record.access ? static_cast<std::uint8_t>(*record.access) : 0;
  if (record.kind == TraceKind::lock_acquire) note_lock(mind, record);
  event.lock_set = lock_set_of(mind, record);
  if (record.kind == TraceKind::lock_release) note_lock(mind, record);
  if (event.step < mind.lowest_step) {
    mind.lowest_step = event.step;
    mind.begun_by = short_id(record.parent_id);
    mind.upstream = record.upstream_span_id;
  }
  if (history_.executions[execution].has_clock) {
    read_clock(mind, number, record);
  } else {
    // Only what a request brought along is its own: later the clock has what other requests were told.
    if (record.parent_id.empty()) read_clock(mind, number, record);
    older_.push_back({number, short_id(record.parent_id)});
    note_task(number, record);
  }
  if (record.kind == TraceKind::http_request) note_message(number, record);
  history_.events.push_back(event);
  ids_.push_back(short_id(record.id));
}

std::uint32_t HistoryBuilder::execution_of(const TraceEventRecord& event) {
  const std::string& text = event.texts.execution;
  // `service#instance`, and nothing to tell one request from another: at first, each thread is one.
  const bool has_clock = !is_shared_component(text);
  const std::uint32_t name =
      name_number(has_clock ? std::string_view(text) : std::string_view(text + '\0' + event.texts.thread));
  for (const std::uint32_t known : named_so_[name]) {
    if (history_.executions[known].trace_id == event.trace_id) return known;
  }
  const std::uint32_t made = add_execution(event, has_clock);
  named_so_[name].push_back(made);
  return made;
}

std::uint32_t HistoryBuilder::name_number(std::string_view execution) {
  const std::uint32_t name = execution_names_.number_of(execution);
  if (name >= named_so_.size()) named_so_.resize(name + 1);
  return name;
}

std::uint32_t HistoryBuilder::add_execution(const TraceEventRecord& event, bool has_clock) {
  ExecutionHistory execution;
  execution.name = event.texts.execution;
  execution.trace_id = event.trace_id;
  execution.service = history_.services.number_of(event.texts.service);
  execution.instance = history_.services.number_of(event.texts.instance);
  execution.process_id = event.process_id;
  execution.has_clock = has_clock;
  traces_.insert(key_of(event.trace_id));
  if (event.process_id != 0) process_ids_.insert(event.process_id);
  history_.executions.push_back(std::move(execution));
  minds_.push_back(std::make_unique<Mind>());
  return static_cast<std::uint32_t>(history_.executions.size() - 1);
}

// What is known of others stays the same while an execution takes steps, and so does its text.
void HistoryBuilder::read_clock(Mind& mind, std::uint32_t event, const TraceEventRecord& record) {
  const std::string_view clock = record.texts.clock;
  const bool is_join = record.kind == TraceKind::async_await;
  // Where a clock was set back, events come late; each then says all that it knows.
  const bool is_late = record.step < mind.highest_step;
  mind.highest_step = std::max(mind.highest_step, record.step);
  const std::size_t head = head_of_clock(clock, record.texts.execution);
  if (head != 0 && !is_late) {
    const std::size_t hash = std::hash<std::string_view>()(clock.substr(0, head)) | 1;
    if (hash == mind.clock_head && !is_join) return;
    mind.clock_head = hash;
  }
  // An atomic variable is read before or after a write, as a lock is taken.
  const bool is_by_lock =
      record.kind == TraceKind::lock_acquire ||
      (record.access && *record.access != Access::read && *record.access != Access::write);
  const std::span<const StoredComponent> components = clocks_.read(clock);
  const auto is_other = [&](const StoredComponent& component) {
    return component.execution != record.texts.execution;
  };
  // The one that was heard of last comes last: who spawned, ended, or sent.
  const auto direct = std::find_if(components.rbegin(), components.rend(), is_other);
  for (const StoredComponent& component : components) {
    if (!is_other(component)) continue;
    const bool is_direct = &component == &*direct;
    const std::uint32_t name = name_number(component.execution);
    const auto known = std::find_if(mind.known.begin(), mind.known.end(),
                                    [&](const auto& entry) { return entry.first == name; });
    if (known == mind.known.end()) {
      mind.known.emplace_back(name, component.steps);
    } else if (known->second < component.steps) {
      known->second = component.steps;
    } else if (!is_late &&
               (is_by_lock || !is_direct)) {  // what is direct may be known only from a lock so far
      continue;
    }
    history_.precedences.push_back({event, name, saturated(component.steps), is_direct && !is_by_lock});
  }
}

std::uint32_t HistoryBuilder::place_of(const TraceEventRecord& event) {
  const std::uint32_t file = history_.files.number_of(event.texts.file);
  const std::uint64_t key = std::uint64_t{file} << 32 | event.line;
  const auto [known, is_new] =
      place_numbers_.emplace(key, static_cast<std::uint32_t>(history_.places.size()));
  if (is_new) history_.places.push_back({file, event.line});
  return known->second;
}

// ── locks ──

// Each process has its own, whatever they are called.
std::uint32_t HistoryBuilder::lock_of(const TraceEventRecord& event, std::string_view name) {
  return history_.locks.number_of(std::string(name) + '\0' + std::to_string(event.process_id) + '\0' +
                                  event.texts.service + '\0' + event.texts.instance);
}

void HistoryBuilder::note_lock(Mind& mind, const TraceEventRecord& event) {
  const std::uint32_t lock = lock_of(event, event.texts.name);
  mind.locks_text = 0;
  if (event.kind == TraceKind::lock_acquire) {
    mind.held.push_back({lock, is_shared_lock(event)});
    return;
  }
  const auto last = std::find_if(mind.held.rbegin(), mind.held.rend(),
                                 [&](const HeldLock& held) { return held.lock == lock; });
  if (last != mind.held.rend()) mind.held.erase(std::next(last).base());
}

std::uint32_t HistoryBuilder::lock_set_of(Mind& mind, const TraceEventRecord& event) {
  const std::size_t hash = std::hash<std::string_view>()(event.texts.locks) | 1;
  if (hash == mind.locks_text) return mind.lock_set;
  LockSet locks;
  for (const std::string& name : parse_names(event.texts.locks)) {
    const std::uint32_t lock = lock_of(event, name);
    const bool is_shared = std::any_of(mind.held.begin(), mind.held.end(), [&](const HeldLock& held) {
      return held.lock == lock && held.is_shared;
    });
    locks.push_back({lock, is_shared});
  }
  if (locks.empty()) locks = mind.held;  // older systems leave it empty
  std::sort(locks.begin(), locks.end());
  locks.erase(std::unique(locks.begin(), locks.end()), locks.end());
  std::string key;
  for (const HeldLock& held : locks) key += std::to_string(held.lock) + (held.is_shared ? "r" : "w");
  const auto [known, is_new] =
      lock_set_numbers_.emplace(key, static_cast<std::uint32_t>(history_.lock_sets.size()));
  if (is_new) history_.lock_sets.push_back(std::move(locks));
  mind.locks_text = hash;
  return mind.lock_set = known->second;
}

// ── what one event says of another ──

void HistoryBuilder::note_task(std::uint32_t event, const TraceEventRecord& record) {
  const bool is_lock = record.kind == TraceKind::lock_acquire || record.kind == TraceKind::lock_release;
  if (is_lock && is_shared_lock(record)) shared_events_.insert(event);
  if (record.kind == TraceKind::async_spawn) {
    if (auto task = find_text(record.texts.data, "task_id")) spawn_of_task_.emplace(*std::move(task), event);
  } else if (record.kind == TraceKind::async_await) {
    if (auto task = find_text(record.texts.data, "future_id")) awaited_.push_back({event, *std::move(task)});
  }
}

void HistoryBuilder::note_message(std::uint32_t event, const TraceEventRecord& record) {
  const std::optional<std::string> header = find_text(record.texts.data, "traceparent");
  if (!header) return;
  const std::string_view values[] = {*header};
  const auto context = parse_trace_context(values, {});
  // A server tells of the same header: it is of whoever did not get it.
  if (context && context->span_id != record.upstream_span_id) sent_.push_back({event, context->span_id});
}

}  // namespace codewake::analysis
