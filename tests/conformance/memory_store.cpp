// Invariants: ids are given once; a stack trace is there as long as an event refers to it; a batch is checked
// as a whole before the first row of it is added, so what can fail after that is memory alone.
#include "memory_store.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "codewake/digest.hpp"
#include "codewake/errors.hpp"
#include "codewake/frame.hpp"
#include "codewake/stacktrace.hpp"
#include "codewake/time.hpp"
#include "codewake/utf8.hpp"

namespace codewake::testing {

struct MemoryRows {
  std::vector<EnvironmentRecord> environments;
  std::vector<AppRecord> apps;
  std::vector<AppVersionRecord> app_vsns;
  std::map<Id, ProcessRecord> processes;
  std::map<Id, EventRecord> events;
  std::map<Digest, Id> stacktraces;
  /// By time and row: the order in which they are read.
  std::map<std::pair<Time, Id>, TraceEventRecord> trace_events;
  Id last_process = 0, last_event = 0, last_stacktrace = 0, last_trace_event = 0;
  std::map<std::string, StoredPosition, std::less<>> positions;
};

struct MemoryTables : MemoryRows {
  std::mutex mutex;
};

namespace {

/// The tables of a name, as long as anybody holds them.
std::shared_ptr<MemoryTables> tables_named(const std::string& name) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<MemoryTables>> all;
  const std::lock_guard lock(mutex);
  std::weak_ptr<MemoryTables>& known = all[name];
  std::shared_ptr<MemoryTables> tables = known.lock();
  if (!tables) known = tables = std::make_shared<MemoryTables>();
  return tables;
}

template <class Record>
Id next_id(const std::vector<Record>& table) {
  return static_cast<Id>(table.size()) + 1;
}

template <class Record>
std::optional<Record> row(const std::vector<Record>& table, Id id) {
  if (id < 1 || id >= next_id(table)) return std::nullopt;
  return table[static_cast<std::size_t>(id) - 1];
}

template <class Record>
std::optional<Record> row(const std::map<Id, Record>& table, Id id) {
  const auto found = table.find(id);
  return found == table.end() ? std::nullopt : std::optional(found->second);
}

/// The row that matches, or a new one made of `record` with its id filled in.
template <class Record, class Matches>
Record find_or_add(std::vector<Record>& table, Record record, Matches matches) {
  const auto found = std::ranges::find_if(table, matches);
  if (found != table.end()) return *found;
  record.id = next_id(table);
  return table.emplace_back(std::move(record));
}

AppInserted find_or_add_app(MemoryTables& tables, std::string_view name,
                            std::optional<std::string_view> vsn) {
  AppInserted result;
  result.app = find_or_add(tables.apps, {0, to_storable(name)},
                           [&, fit = to_storable(name)](const AppRecord& app) { return app.name == fit; });
  if (!vsn || vsn->empty()) return result;
  result.app_vsn = find_or_add(tables.app_vsns, {0, to_storable(*vsn), result.app.id},
                               [&, fit = to_storable(*vsn)](const AppVersionRecord& known) {
                                 return known.app_id == result.app.id && known.vsn == fit;
                               });
  return result;
}

/// Times have microseconds in every store.
Time stored_time(Time time) {
  return std::chrono::floor<std::chrono::microseconds>(time);
}

Id add_process(MemoryTables& tables, const ProcessInfo& info) {
  const AppInserted app = find_or_add_app(tables, info.app_name, info.app_vsn);
  ProcessRecord process;
  process.id = ++tables.last_process;
  process.run_ts = stored_time(info.run_ts);
  if (info.env_name && !info.env_name->empty()) {
    process.environment =
        find_or_add(tables.environments, {0, *info.env_name},
                    [&](const EnvironmentRecord& known) { return known.name == *info.env_name; });
  }
  process.pid = info.pid;
  process.username = info.username;
  process.fqdn = info.fqdn;
  process.exe_path = info.exe_path;
  process.app = app.app;
  process.app_vsn = app.app_vsn;
  const Id id = process.id;
  tables.processes.emplace(id, std::move(process));
  return id;
}

Id find_or_add_stacktrace(MemoryTables& tables, const std::vector<Frame>& frames) {
  const auto [known, is_new] = tables.stacktraces.try_emplace(digest_of(frames), 0);
  if (is_new) known->second = ++tables.last_stacktrace;
  return known->second;
}

Id add_event(MemoryTables& tables, const BatchEvent& event, Id process_id) {
  EventRecord record;
  record.id = ++tables.last_event;
  record.when = stored_time(event.when);
  record.process_id = process_id;
  if (event.has_data) {
    record.digest = digest_of(event.data);
    std::vector<Attribute> attributes;
    for (const AttributeView& view : event.data) {
      attributes.emplace_back(std::string(view.key),
                              view.value ? std::optional<std::string>(*view.value) : std::nullopt);
    }
    record.data = Attributes(std::move(attributes));
  }
  if (event.stacktrace != nullptr) {
    record.stacktrace_id = find_or_add_stacktrace(tables, event.stacktrace->frames());
    record.frames = event.stacktrace->frames();
  }
  record.trace = event.trace;
  const Id id = record.id;
  tables.events.emplace(id, std::move(record));
  return id;
}

void add_trace_event(MemoryTables& tables, const BatchTraceEvent& event, Id process_id) {
  const auto text = [](std::string_view view) { return std::string(view); };
  const TraceEventTexts<std::string_view>& t = event.texts;
  TraceEventRecord record{
      {event},
      ++tables.last_trace_event,
      process_id,
      stored_time(event.when),
      {text(t.service), text(t.instance), text(t.environment), text(t.execution), text(t.thread),
       text(t.name), text(t.file), text(t.data), text(t.clock), text(t.locks)}};
  tables.trace_events.emplace(std::pair(record.when, record.row), std::move(record));
}

Removed remove_events(MemoryTables& tables, Time before, std::size_t most) {
  std::set<std::pair<Time, Id>> old;
  for (const auto& [id, event] : tables.events) {
    if (event.when < before) old.emplace(event.when, id);
    if (old.size() > most) old.erase(std::prev(old.end()));
  }
  for (const auto& [when, id] : old) tables.events.erase(id);
  std::set<Id> used;
  for (const auto& [id, event] : tables.events) used.insert(event.stacktrace_id.value_or(0));
  const auto stacktraces =
      std::erase_if(tables.stacktraces, [&](const auto& known) { return !used.contains(known.second); });
  return {.events = old.size(), .stacktraces = stacktraces};
}

Removed remove_trace_events(MemoryTables& tables, Time before, std::size_t most) {
  Removed removed;
  while (removed.trace_events < most && !tables.trace_events.empty() &&
         tables.trace_events.begin()->first.first < before) {
    tables.trace_events.erase(tables.trace_events.begin());
    ++removed.trace_events;
  }
  return removed;
}

Removed remove_processes(MemoryTables& tables, Time before, std::size_t most) {
  std::set<Id> used;
  for (const auto& [id, event] : tables.events) used.insert(event.process_id);
  for (const auto& [place, event] : tables.trace_events) used.insert(event.process_id);
  for (const auto& [segment, position] : tables.positions) used.insert(position.process_id);
  Removed removed;
  std::erase_if(tables.processes, [&](const auto& known) {
    const bool goes = removed.processes < most && known.second.run_ts < before && !used.contains(known.first);
    if (goes) ++removed.processes;
    return goes;
  });
  return removed;
}

Removed remove_slice(MemoryTables& tables, Time before, std::size_t most) {
  most = std::max<std::size_t>(most, 1);
  Removed removed = remove_events(tables, before, most);
  if (removed.empty()) removed = remove_trace_events(tables, before, most);
  return removed.empty() ? remove_processes(tables, before, most) : removed;
}

bool is_unresolved(const Frame& frame) {
  return !frame.module.empty() && !frame.build_id.empty() && (frame.lineno == 0 || frame.function.empty());
}

/// Those with a frame that is not resolved, by their ids.
std::map<Id, StacktraceRecord> unresolved_stacktraces(const MemoryTables& tables) {
  std::map<Id, StacktraceRecord> unresolved;
  for (const auto& [digest, id] : tables.stacktraces) unresolved[id] = {id, digest, {}};
  for (const auto& [id, event] : tables.events) {
    if (event.stacktrace_id) unresolved[*event.stacktrace_id].frames = event.frames;
  }
  std::erase_if(unresolved,
                [](const auto& known) { return std::ranges::none_of(known.second.frames, is_unresolved); });
  return unresolved;
}

FramesReplaced replace(MemoryTables& tables, const StacktraceRecord& stacktrace) {
  const auto known = tables.stacktraces.find(stacktrace.digest);
  if (known == tables.stacktraces.end() || known->second != stacktrace.id) return {};
  tables.stacktraces.erase(known);
  const Stacktrace fit(stacktrace.frames);
  const auto [holder, is_new] = tables.stacktraces.try_emplace(digest_of(fit.frames()), stacktrace.id);
  for (auto& [id, event] : tables.events) {
    if (event.stacktrace_id != stacktrace.id) continue;
    event.stacktrace_id = holder->second;
    event.frames = fit.frames();
  }
  return is_new ? FramesReplaced{.replaced = 1} : FramesReplaced{.merged = 1};
}

bool has_every_term(const Attributes& data, const std::vector<Attribute>& where) {
  return std::ranges::all_of(
      where, [&](const Attribute& term) { return std::ranges::find(data, term) != data.end(); });
}

bool is_within(Time time, std::optional<Time> from, std::optional<Time> to) {
  return (!from || *from <= time) && (!to || time < *to);
}

bool matches(const TraceEventQuery& query, const TraceEventRecord& event) {
  return is_within(event.when, query.from, query.to) &&
         (!query.trace_id || *query.trace_id == event.trace_id) &&
         (!query.variable || (event.kind == TraceKind::state_change && *query.variable == event.texts.name));
}

/// Of its events, oldest first.
TraceSummary summary_of(const std::vector<const TraceEventRecord*>& events) {
  TraceSummary summary{.trace_id = events.front()->trace_id,
                       .first = events.front()->when,
                       .last = events.back()->when,
                       .events = events.size(),
                       .services = {},
                       .root = events.front()->texts.name};
  std::set<std::string> services, executions;
  for (const TraceEventRecord* event : events) {
    if (event->kind == TraceKind::error) ++summary.errors;
    executions.insert(event->texts.execution);
    services.insert(event->texts.service);
  }
  summary.executions = executions.size();
  summary.services.assign(services.begin(), services.end());
  return summary;
}

bool matches(const EventQuery& query, const EventRecord& event, const ProcessRecord& process) {
  return is_within(event.when, query.from, query.to) &&
         (!query.process_id || *query.process_id == event.process_id) &&
         (!query.app_name || *query.app_name == process.app.name) &&
         (!query.env_name || (process.environment && *query.env_name == process.environment->name)) &&
         (!query.has_stacktrace || *query.has_stacktrace == event.stacktrace_id.has_value()) &&
         has_every_term(event.data, query.where);
}

/// A place in the order of events: newest first is descending in both.
using Place = std::pair<Time, Id>;

Place place_of(const EventRecord& event) {
  return {event.when, event.id};
}

std::string cursor_at(const Place& place) {
  return std::to_string(place.first.time_since_epoch().count()) + "/" + std::to_string(place.second);
}

Place place_of(std::string_view cursor) {
  std::int64_t nanoseconds = 0;
  Id id = 0;
  const char* const end = cursor.data() + cursor.size();
  const auto time_read = std::from_chars(cursor.data(), end, nanoseconds);
  if (time_read.ec == std::errc() && time_read.ptr != end && *time_read.ptr == '/') {
    const auto id_read = std::from_chars(time_read.ptr + 1, end, id);
    if (id_read.ec == std::errc() && id_read.ptr == end)
      return {Time(std::chrono::nanoseconds(nanoseconds)), id};
  }
  throw StoreError(StoreError::Kind::rejected, "not a cursor of this store");
}

}  // namespace

MemoryStore::MemoryStore(const std::vector<std::string>& parameters)
    : tables_(parameters.size() == 1 ? tables_named(parameters[0]) : std::make_shared<MemoryTables>()) {
  if (parameters.size() > 1) {
    throw ConfigError({.key = "store.config"},
                      "MemoryStore takes one parameter at most, the name of its storage");
  }
}

MemoryStore::~MemoryStore() = default;

std::unique_lock<std::mutex> MemoryStore::open_tables() const {
  std::unique_lock lock(tables_->mutex);
  if (is_shut_down_) throw StoreError(StoreError::Kind::unavailable, "the store is shut down");
  return lock;
}

BatchResult MemoryStore::write(const Batch& batch) {
  // Frames are resolved here, where it may take its time, and not under the lock.
  for (const BatchEvent& event : batch.events) {
    if (event.stacktrace != nullptr) event.stacktrace->frames();
  }
  const auto lock = open_tables();
  for (const JournalPosition& position : batch.positions) {
    const auto stored = tables_->positions.find(position.segment);
    const std::uint64_t noted = stored == tables_->positions.end() ? 0 : stored->second.position;
    if (position.noted != 0 && position.noted != noted) {
      throw StoreError(StoreError::Kind::in_doubt,
                       "the position of " + std::string(position.segment) + " is " + std::to_string(noted));
    }
  }
  for (const BatchProcess& process : batch.processes) {
    if (process.id != 0 && !row(tables_->processes, process.id)) {
      throw StoreError(StoreError::Kind::rejected, "there is no process " + std::to_string(process.id));
    }
  }
  BatchResult result;
  for (const BatchProcess& process : batch.processes) {
    result.process_ids.push_back(process.id != 0 ? process.id : add_process(*tables_, *process.info));
  }
  for (const BatchEvent& event : batch.events) {
    result.event_ids.push_back(add_event(*tables_, event, result.process_ids.at(event.process)));
  }
  for (const BatchTraceEvent& event : batch.trace_events) {
    add_trace_event(*tables_, event, result.process_ids.at(event.process));
  }
  for (const JournalPosition& position : batch.positions) {
    StoredPosition& stored = tables_->positions[std::string(position.segment)];
    stored = {std::string(position.segment), position.position, result.process_ids.at(position.process)};
  }
  return result;
}

AppInserted MemoryStore::insert_app(std::string_view name, std::optional<std::string_view> vsn) {
  const auto lock = open_tables();
  return find_or_add_app(*tables_, name, vsn);
}

std::optional<ProcessRecord> MemoryStore::get_process_by_id(Id id) {
  const auto lock = open_tables();
  return row(tables_->processes, id);
}

std::optional<EnvironmentRecord> MemoryStore::get_environment_by_id(Id id) {
  const auto lock = open_tables();
  return row(tables_->environments, id);
}

std::optional<AppRecord> MemoryStore::get_app_by_id(Id id) {
  const auto lock = open_tables();
  return row(tables_->apps, id);
}

std::optional<AppVersionRecord> MemoryStore::get_app_vsn_by_id(Id id) {
  const auto lock = open_tables();
  return row(tables_->app_vsns, id);
}

std::optional<EventRecord> MemoryStore::get_event_by_id(Id id) {
  const auto lock = open_tables();
  return row(tables_->events, id);
}

std::vector<AppRecord> MemoryStore::get_apps() {
  const auto lock = open_tables();
  return tables_->apps;
}

std::vector<AppVersionRecord> MemoryStore::get_app_vsns(Id app_id) {
  const auto lock = open_tables();
  std::vector<AppVersionRecord> result;
  std::ranges::copy_if(tables_->app_vsns, std::back_inserter(result),
                       [&](const AppVersionRecord& vsn) { return vsn.app_id == app_id; });
  return result;
}

std::vector<ProcessRecord> MemoryStore::get_processes(const ProcessQuery& query) {
  const auto lock = open_tables();
  std::vector<ProcessRecord> result;
  for (const auto& [id, process] : tables_->processes) {
    if (query.app_id && *query.app_id != process.app.id) continue;
    if (is_within(process.run_ts, query.from, query.to)) result.push_back(process);
  }
  return result;
}

std::vector<EventRecord> MemoryStore::get_events_by_data(const std::vector<Attribute>& where,
                                                         std::optional<Id> process_id) {
  const auto lock = open_tables();
  std::vector<EventRecord> result;
  for (const auto& [id, event] : tables_->events) {
    if (process_id && *process_id != event.process_id) continue;
    if (has_every_term(event.data, where)) result.push_back(event);
  }
  return result;
}

EventPage MemoryStore::get_events(const EventQuery& query) {
  const auto lock = open_tables();
  const std::optional<Place> after =
      query.cursor.empty() ? std::nullopt : std::optional(place_of(query.cursor));
  std::vector<const EventRecord*> found;
  for (const auto& [id, event] : tables_->events) {
    if (after && place_of(event) >= *after) continue;
    if (matches(query, event, *row(tables_->processes, event.process_id))) found.push_back(&event);
  }
  std::ranges::sort(found,
                    [](const EventRecord* a, const EventRecord* b) { return place_of(*a) > place_of(*b); });
  EventPage page;
  for (std::size_t i = 0; i < found.size() && i < query.limit; ++i) page.events.push_back(*found[i]);
  if (found.size() > page.events.size()) page.next = cursor_at(place_of(page.events.back()));
  return page;
}

bool MemoryStore::stores_trace_events() const noexcept {
  return true;
}

TraceEventPage MemoryStore::get_trace_events(const TraceEventQuery& query) {
  const auto lock = open_tables();
  auto next = tables_->trace_events.begin();
  if (!query.cursor.empty()) next = tables_->trace_events.upper_bound(place_of(query.cursor));
  TraceEventPage page;
  for (; next != tables_->trace_events.end(); ++next) {
    if (!matches(query, next->second)) continue;
    if (page.events.size() == query.limit) {
      page.next = cursor_at({page.events.back().when, page.events.back().row});
      break;
    }
    page.events.push_back(next->second);
  }
  return page;
}

std::vector<TraceSummary> MemoryStore::get_traces(const TraceQuery& query) {
  const auto lock = open_tables();
  std::map<TraceId, std::vector<const TraceEventRecord*>> traces;
  std::map<TraceId, Place> last;
  for (const auto& [place, event] : tables_->trace_events) {
    traces[event.trace_id].push_back(&event);
    if (is_within(event.when, query.from, query.to)) last[event.trace_id] = place;
  }
  std::vector<std::pair<Place, TraceId>> newest;
  for (const auto& [trace_id, place] : last) newest.emplace_back(place, trace_id);
  std::ranges::sort(newest, std::greater<>());
  std::vector<TraceSummary> summaries;
  for (const auto& [place, trace_id] : newest) {
    if (summaries.size() == query.limit) break;
    summaries.push_back(summary_of(traces[trace_id]));
  }
  return summaries;
}

std::vector<EventRecord> MemoryStore::get_events_of_trace(const TraceId& trace_id, std::size_t limit) {
  const auto lock = open_tables();
  std::vector<EventRecord> result;
  for (const auto& [id, event] : tables_->events) {
    if (event.trace && event.trace->trace_id == trace_id) result.push_back(event);
  }
  std::ranges::sort(result, {}, [](const EventRecord& event) { return place_of(event); });
  if (result.size() > limit) result.resize(limit);
  return result;
}

std::vector<StoredPosition> MemoryStore::get_positions(std::string_view prefix) {
  const auto lock = open_tables();
  std::vector<StoredPosition> result;
  for (const auto& [segment, position] : tables_->positions) {
    if (segment.starts_with(prefix)) result.push_back(position);
  }
  return result;
}

void MemoryStore::forget_positions(std::string_view prefix) {
  const auto lock = open_tables();
  std::erase_if(tables_->positions, [&](const auto& entry) { return entry.first.starts_with(prefix); });
}

Removed MemoryStore::remove_older(Time before, std::size_t most) {
  const auto lock = open_tables();
  return remove_slice(*tables_, before, most);
}

Removed MemoryStore::count_older(Time before) {
  const auto lock = open_tables();
  // What removing it from a copy removes.
  MemoryTables copy;
  copy.processes = tables_->processes;
  copy.events = tables_->events;
  copy.trace_events = tables_->trace_events;
  copy.stacktraces = tables_->stacktraces;
  copy.positions = tables_->positions;
  constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
  Removed removed = remove_events(copy, before, kAll);
  removed.trace_events = remove_trace_events(copy, before, kAll).trace_events;
  removed.processes = remove_processes(copy, before, kAll).processes;
  return removed;
}

std::vector<StacktraceRecord> MemoryStore::get_stacktraces_to_symbolize(Id after, std::size_t limit) {
  const auto lock = open_tables();
  std::vector<StacktraceRecord> page;
  const std::map<Id, StacktraceRecord> all = unresolved_stacktraces(*tables_);
  for (auto next = all.upper_bound(after); next != all.end(); ++next) {
    page.push_back(next->second);
    if (page.size() >= limit) break;
  }
  return page;
}

std::uint64_t MemoryStore::count_stacktraces_to_symbolize() {
  const auto lock = open_tables();
  return unresolved_stacktraces(*tables_).size();
}

FramesReplaced MemoryStore::replace_frames(const std::vector<StacktraceRecord>& stacktraces) {
  const auto lock = open_tables();
  FramesReplaced replaced;
  for (const StacktraceRecord& stacktrace : stacktraces) {
    const FramesReplaced one = replace(*tables_, stacktrace);
    replaced.replaced += one.replaced;
    replaced.merged += one.merged;
  }
  return replaced;
}

std::function<void()> MemoryStore::snapshot() const {
  const auto lock = open_tables();
  return [tables = tables_, rows = MemoryRows(*tables_)] {
    const std::lock_guard tables_lock(tables->mutex);
    static_cast<MemoryRows&>(*tables) = rows;
  };
}

bool MemoryStore::shutdown(std::chrono::nanoseconds) {
  const std::lock_guard lock(tables_->mutex);
  is_shut_down_ = true;
  return true;
}

}  // namespace codewake::testing
