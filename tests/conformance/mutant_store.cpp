#include "mutant_store.hpp"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/digest.hpp"
#include "codewake/errors.hpp"
#include "codewake/event.hpp"
#include "codewake/frame.hpp"
#include "codewake/records.hpp"
#include "codewake/stacktrace.hpp"
#include "codewake/time.hpp"
#include "memory_store.hpp"
#include "mutants.hpp"

namespace codewake::testing {
namespace {

#define CODEWAKE_DEFECT(defect, sentence) defect,
constexpr std::string_view kDefects[] = {"none", CODEWAKE_MUTANTS(CODEWAKE_DEFECT)};
#undef CODEWAKE_DEFECT

std::string replaced(std::string text, std::string_view old_part, std::string_view new_part) {
  for (std::size_t i = 0; (i = text.find(old_part, i)) != std::string::npos; i += new_part.size()) {
    text.replace(i, old_part.size(), new_part);
  }
  return text;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string only_three_byte_characters(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) >= 0xF0; }, '?');
  return text;
}

class MutantStore : public MemoryStore {
 public:
  explicit MutantStore(std::shared_ptr<MutantStorage> storage, const std::vector<std::string>& parameters)
      : MemoryStore(parameters), storage_(std::move(storage)) {}

  BatchResult write(const Batch& batch) override;
  AppInserted insert_app(std::string_view name, std::optional<std::string_view> vsn) override;
  std::optional<EventRecord> insert_event(const EventInput& event, bool sync) override;
  std::optional<ProcessRecord> get_process_by_id(Id id) override;
  std::optional<AppRecord> get_app_by_id(Id id) override;
  std::optional<EventRecord> get_event_by_id(Id id) override;
  std::vector<AppVersionRecord> get_app_vsns(Id app_id) override;
  std::vector<ProcessRecord> get_processes(const ProcessQuery& query) override;
  std::vector<EventRecord> get_events_by_data(const std::vector<Attribute>& where,
                                              std::optional<Id> process_id) override;
  EventPage get_events(const EventQuery& query) override;
  std::vector<ExceptionGroup> get_exceptions(const ExceptionQuery& query) override;
  void insert_trace_event(const TraceEventInput& event) override;
  TraceEventPage get_trace_events(const TraceEventQuery& query) override;
  std::vector<TraceSummary> get_traces(const TraceQuery& query) override;
  std::vector<EventRecord> get_events_of_trace(const TraceId& trace_id, std::size_t limit) override;
  std::vector<StoredPosition> get_positions(std::string_view prefix) override;
  Removed remove_older(Time before, std::size_t most) override;
  Removed count_older(Time before) override;
  std::vector<StacktraceRecord> get_stacktraces_to_symbolize(Id after, std::size_t limit) override;
  FramesReplaced replace_frames(const std::vector<StacktraceRecord>& stacktraces) override;
  bool shutdown(std::chrono::nanoseconds timeout) override;

 private:
  bool has(std::string_view defect) const { return storage_->defect == defect; }

  BatchResult write_in_parts(const Batch& batch, std::size_t first_part);
  BatchResult write_altered(const Batch& batch);
  void alter(BatchTraceEvent& event) const;
  void alter_data(std::vector<AttributeView>& data) const;
  EventRecord altered(EventRecord event) const;
  std::vector<Attribute> altered(std::vector<Attribute> where) const;
  EventPage page_by_offset(EventQuery query);

  std::shared_ptr<MutantStorage> storage_;
  std::atomic<int> written_{0};
  std::atomic<bool> removed_stacks_{false};
  std::atomic<bool> kept_bytes_{false};
  std::vector<EventRecord> removed_events_;
};

// ── writing ──

BatchResult MutantStore::write_in_parts(const Batch& batch, std::size_t first_part) {
  std::set<std::uint32_t> good;
  for (std::uint32_t i = 0; i < batch.processes.size(); ++i) {
    if (batch.processes[i].id == 0 || get_process_by_id(batch.processes[i].id)) good.insert(i);
  }
  const std::vector<BatchProcess> processes(batch.processes.begin(), batch.processes.begin() + 1);
  std::vector<BatchEvent> events;
  for (const BatchEvent& event : batch.events.first(first_part)) {
    if (event.process == 0 && good.contains(0)) events.push_back(event);
  }
  MemoryStore::write({.processes = processes, .events = events});
  return MemoryStore::write(batch);
}

void MutantStore::alter_data(std::vector<AttributeView>& data) const {
  if (has("sorts attributes")) std::ranges::stable_sort(data, {}, &AttributeView::key);
  if (has("drops repeated keys")) {
    std::set<std::string_view> seen;
    std::erase_if(data, [&](const AttributeView& view) { return !seen.insert(view.key).second; });
  }
  for (AttributeView& view : data) {
    if (has("writes NULL as an empty value") && !view.value) view.value = "";
    if (!view.value) continue;
    if (has("cuts long values")) view.value = view.value->substr(0, 65535);
    if (has("trims values"))
      view.value = view.value->substr(std::min(view.value->size(), view.value->find_first_not_of(' ')));
    if (has("writes an empty value as NULL") && view.value->empty()) view.value = std::nullopt;
  }
}

BatchResult MutantStore::write_altered(const Batch& batch) {
  std::vector<BatchProcess> processes(batch.processes.begin(), batch.processes.end());
  std::vector<BatchEvent> events(batch.events.begin(), batch.events.end());
  std::deque<std::vector<AttributeView>> data;
  std::deque<Stacktrace> stacks;
  for (BatchEvent& event : events) {
    alter_data(data.emplace_back(event.data.begin(), event.data.end()));
    event.data = data.back();
    if (has("writes no data as an empty list")) event.has_data = true;
    if (has("forgets the traces of events")) event.trace.reset();
    if (has("keeps milliseconds only"))
      event.when = std::chrono::floor<std::chrono::milliseconds>(event.when);
    if (event.stacktrace == nullptr) continue;
    std::vector<Frame> frames = event.stacktrace->frames();
    if (has("takes a stack without frames for none") && frames.empty()) event.stacktrace = nullptr;
    if (has("cuts deep stacks") && frames.size() > 64) {
      frames.resize(64);
      event.stacktrace = &stacks.emplace_back(std::move(frames));
    }
  }
  for (BatchProcess& process : processes) {
    if (has("takes events of unknown processes") && process.id != 0 && !get_process_by_id(process.id))
      process.id = 1;
  }
  std::vector<JournalPosition> positions(batch.positions.begin(), batch.positions.end());
  if (has("forgets positions")) positions.clear();
  if (has("does not look at noted positions")) {
    for (JournalPosition& position : positions) position.noted = 0;
  }
  if (has("keeps the first position")) {
    std::erase_if(positions, [&](const auto& position) {
      return !MemoryStore::get_positions(position.segment).empty();
    });
  }
  std::vector<BatchTraceEvent> trace_events(batch.trace_events.begin(), batch.trace_events.end());
  for (BatchTraceEvent& event : trace_events) alter(event);
  BatchResult result = MemoryStore::write(
      {.processes = processes, .events = events, .trace_events = trace_events, .positions = positions});
  if (has("gives trace events ids of events")) result.event_ids.resize(events.size() + trace_events.size());
  return result;
}

void MutantStore::alter(BatchTraceEvent& event) const {
  if (has("drops whose upstream it is")) event.upstream_span_id = {};
  if (has("keeps microseconds of durations") && event.duration)
    event.duration = std::chrono::floor<std::chrono::microseconds>(*event.duration);
  if (has("cuts texts of trace events")) event.texts.data = event.texts.data.substr(0, 65535);
}

BatchResult MutantStore::write(const Batch& batch) {
  const auto is_refused = [&](const BatchEvent& event) {
    return std::ranges::any_of(event.data,
                               [&](const AttributeView& view) { return view.key == storage_->refused_key; });
  };
  const auto refused = std::ranges::find_if(batch.events, is_refused);
  if (!storage_->refused_key.empty() && refused != batch.events.end()) {
    if (has("writes what comes before a refused event")) {
      MemoryStore::write(
          {batch.processes, batch.events.first(static_cast<std::size_t>(refused - batch.events.begin()))});
    }
    throw StoreError(StoreError::Kind::rejected, "refused");
  }
  if (has("writes half a batch before it fails")) return write_in_parts(batch, batch.events.size() / 2);
  if (has("stores trace events before it fails")) {
    for (std::uint32_t i = 0; i < batch.processes.size(); ++i) {
      if (batch.processes[i].id == 0) continue;
      for (BatchTraceEvent event : batch.trace_events) {
        if (event.process != i || !MemoryStore::get_process_by_id(batch.processes[i].id)) continue;
        event.process = 0;
        MemoryStore::write({.processes = batch.processes.subspan(i, 1), .trace_events = {&event, 1}});
      }
    }
  }
  if (has("stores batches twice")) MemoryStore::write(batch);
  if (has("stores something for an empty batch") && batch.processes.empty()) {
    ProcessInfo info;
    info.app_name = "empty";
    const BatchProcess process{.id = 0, .info = &info};
    MemoryStore::write({.processes = {&process, 1}});
  }
  return write_altered(batch);
}

AppInserted MutantStore::insert_app(std::string_view name, std::optional<std::string_view> vsn) {
  if (has("finds apps whatever their case")) return MemoryStore::insert_app(lower(std::string(name)), vsn);
  if (has("makes an app for each insert")) {
    return MemoryStore::insert_app(std::string(name) + std::to_string(++written_), vsn);
  }
  if (has("keeps an empty version") && vsn && vsn->empty()) return MemoryStore::insert_app(name, "none");
  AppInserted inserted = MemoryStore::insert_app(name, vsn);
  if (has("merges versions across apps") && vsn) {
    for (const AppRecord& app : get_apps()) {
      for (const AppVersionRecord& known : get_app_vsns(app.id)) {
        if (known.vsn != *vsn || known.id > inserted.app_vsn->id) continue;
        inserted.app_vsn = known;
      }
    }
  }
  return inserted;
}

std::optional<EventRecord> MutantStore::insert_event(const EventInput& event, bool sync) {
  if (has("drops what nobody waits for") && !sync) return std::nullopt;
  if (has("loses one event in fifty") && !sync && ++written_ % 50 == 0) return std::nullopt;
  if (has("stores one event in fifty twice") && ++written_ % 50 == 0) MemoryStore::insert_event(event, false);
  EventInput input = event;
  if (has("gives events to the first process") && !input.process_id && last_process_id())
    input.process_id = 1;
  const auto record = MemoryStore::insert_event(input, sync);
  return has("answers nothing to sync") ? std::nullopt : record;
}

// ── reading ──

EventRecord MutantStore::altered(EventRecord event) const {
  std::vector<Attribute> data(event.data.begin(), event.data.end());
  for (Attribute& attribute : data) {
    if (!attribute.value) continue;
    std::string& value = *attribute.value;
    if (has("cuts numbers") && value.starts_with("0.")) value = value.substr(0, 8);
    if (has("knows only the first plane of Unicode")) value = only_three_byte_characters(value);
    if (has("composes combining marks")) value = replaced(value, "e\xcc\x81", "\xc3\xa9");
    if (has("replaces bad bytes by question marks")) value = replaced(value, "\xef\xbf\xbd", "?");
  }
  event.data = Attributes(std::move(data));
  if (has("computes another digest") && event.digest) (*event.digest)[31] ^= 1;
  if (has("turns frames around")) std::ranges::reverse(event.frames);
  if (has("drops build ids")) {
    for (Frame& frame : event.frames) frame.build_id.clear();
  }
  if (removed_stacks_) event.frames.clear();
  if (kept_bytes_) {
    for (Frame& frame : event.frames) frame.function = replaced(frame.function, "\xef\xbf\xbd", "\xff");
  }
  if (has("gives every stack an id of its own") && event.stacktrace_id) event.stacktrace_id = event.id;
  return event;
}

std::vector<Attribute> MutantStore::altered(std::vector<Attribute> where) const {
  if (has("matches the first term only") && where.size() > 1) where.resize(1);
  if (has("matches a key once")) {
    std::set<std::string> seen;
    std::erase_if(where, [&](const Attribute& term) { return !seen.insert(term.key).second; });
  }
  if (has("takes terms for patterns")) {
    std::erase_if(where, [](const Attribute& term) { return term.value == "%" || term.value == "_"; });
  }
  for (Attribute& term : where) {
    if (has("matches NULL with an empty value") && !term.value) term.value = "";
  }
  return where;
}

std::optional<ProcessRecord> MutantStore::get_process_by_id(Id id) {
  std::optional<ProcessRecord> process = MemoryStore::get_process_by_id(id);
  if (!process) return process;
  if (has("drops the user's name")) process->username.reset();
  if (has("makes up a user's name") && !process->username) process->username = "";
  if (has("gives each process an environment of its own") && process->environment)
    process->environment->id = id;
  if (has("records runs an hour early")) process->run_ts -= std::chrono::hours(1);
  if (has("replaces bad bytes of names by question marks")) {
    process->app.name = replaced(process->app.name, "\xef\xbf\xbd", "?");
  }
  return process;
}

std::optional<AppRecord> MutantStore::get_app_by_id(Id id) {
  if (has("does not commit an inserted app")) return std::nullopt;
  return MemoryStore::get_app_by_id(id);
}

std::optional<EventRecord> MutantStore::get_event_by_id(Id id) {
  const auto event = MemoryStore::get_event_by_id(id);
  if (!event && has("answers an unknown id with the first event")) return MemoryStore::get_event_by_id(1);
  return event ? std::optional(altered(*event)) : std::nullopt;
}

std::vector<AppVersionRecord> MutantStore::get_app_vsns(Id app_id) {
  if (!has("lists the versions of every app")) return MemoryStore::get_app_vsns(app_id);
  std::vector<AppVersionRecord> all;
  for (Id id = 1; const auto vsn = get_app_vsn_by_id(id); ++id) all.push_back(*vsn);
  return all;
}

std::vector<ProcessRecord> MutantStore::get_processes(const ProcessQuery& query) {
  std::vector<ProcessRecord> processes = MemoryStore::get_processes(query);
  if (has("orders processes by time")) std::ranges::stable_sort(processes, {}, &ProcessRecord::run_ts);
  return processes;
}

std::vector<EventRecord> MutantStore::get_events_by_data(const std::vector<Attribute>& where,
                                                         std::optional<Id> process_id) {
  if (has("ignores the process")) process_id.reset();
  std::vector<EventRecord> events = MemoryStore::get_events_by_data(altered(where), process_id);
  std::ranges::transform(events, events.begin(),
                         [&](EventRecord& event) { return altered(std::move(event)); });
  events.insert(events.end(), removed_events_.begin(), removed_events_.end());
  return events;
}

EventPage MutantStore::page_by_offset(EventQuery query) {
  const std::size_t offset = query.cursor.empty() ? 0 : std::stoul(query.cursor);
  const std::size_t limit = query.limit;
  query.cursor.clear();
  query.limit = offset + limit;
  EventPage page = MemoryStore::get_events(query);
  page.events.erase(page.events.begin(), page.events.begin() + static_cast<std::ptrdiff_t>(offset));
  if (!page.next.empty()) page.next = std::to_string(offset + limit);
  return page;
}

EventPage MutantStore::get_events(const EventQuery& given) {
  EventQuery query = given;
  query.where = altered(query.where);
  if (has("ignores the environment")) query.env_name.reset();
  if (has("ignores the environment beside an app") && query.app_name) query.env_name.reset();
  static constexpr std::chrono::microseconds kStep(1);
  const auto later = [](Time time) { return time > Time::max() - kStep ? Time::max() : time + kStep; };
  if (has("includes the end of a range") && query.to) query.to = later(*query.to);
  if (has("excludes the start of a range") && query.from) query.from = later(*query.from);
  if (has("pages by offset")) return page_by_offset(query);
  EventPage page;
  try {
    page = MemoryStore::get_events(query);
  } catch (const StoreError&) {
    if (!has("takes any cursor")) throw;
  }
  for (EventRecord& event : page.events) event = altered(std::move(event));
  if (has("orders ties the other way")) {
    std::ranges::sort(page.events, {}, [](const EventRecord& event) {
      return std::pair(-event.when.time_since_epoch(), event.id);
    });
  }
  if (has("names a page after the last") && page.next.empty()) page.next = "0/0";
  if (has("skips an event between pages") && !page.next.empty()) page.events.pop_back();
  return page;
}

std::vector<ExceptionGroup> MutantStore::get_exceptions(const ExceptionQuery& given) {
  ExceptionQuery query = given;
  if (has("counts exceptions of all times")) query.from = query.to = std::nullopt;
  std::vector<ExceptionGroup> groups = MemoryStore::get_exceptions(query);
  if (has("groups exceptions by stack alone")) {
    std::set<Id> seen;
    std::erase_if(groups,
                  [&](const ExceptionGroup& group) { return !seen.insert(group.stacktrace_id).second; });
  }
  return groups;
}

// ── traces ──

void MutantStore::insert_trace_event(const TraceEventInput& event) {
  if (!has("drops single trace events")) MemoryStore::insert_trace_event(event);
}

TraceEventPage MutantStore::get_trace_events(const TraceEventQuery& given) {
  TraceEventQuery query = given;
  const bool has_other_case = has("finds variables whatever their case");
  const bool has_other_kinds = has("takes any kind for a variable");
  const bool is_filtered = query.variable && (has_other_case || has_other_kinds);
  if (is_filtered) query.variable.reset();
  TraceEventPage page = MemoryStore::get_trace_events(query);
  if (is_filtered) {
    std::erase_if(page.events, [&](const TraceEventRecord& event) {
      const bool is_name = event.texts.name == *given.variable ||
                           (has_other_case && lower(event.texts.name) == lower(*given.variable));
      return !is_name || (event.kind != TraceKind::state_change && !has_other_kinds);
    });
  }
  if (has("repeats a trace event between pages") && !query.cursor.empty() && !page.events.empty())
    page.events.insert(page.events.begin(), page.events.front());
  return page;
}

std::vector<TraceSummary> MutantStore::get_traces(const TraceQuery& given) {
  TraceQuery query = given;
  if (has("looks at the newest thousand trace events")) {
    const auto all = MemoryStore::get_trace_events({.limit = 1'000'000}).events;
    if (all.size() > 1'000) query.from = std::max(query.from, std::optional(all[all.size() - 1'000].when));
  }
  std::vector<TraceSummary> traces = MemoryStore::get_traces(query);
  if (has("sorts traces by their first event"))
    std::ranges::sort(traces, std::ranges::greater(), &TraceSummary::first);
  for (TraceSummary& trace : traces) {
    if (has("counts errors as events only")) trace.errors = 0;
  }
  return traces;
}

std::vector<EventRecord> MutantStore::get_events_of_trace(const TraceId& trace_id, std::size_t limit) {
  std::vector<EventRecord> events = MemoryStore::get_events_of_trace(trace_id, limit);
  if (has("orders events of a trace the other way")) std::ranges::reverse(events);
  return events;
}

std::vector<StoredPosition> MutantStore::get_positions(std::string_view prefix) {
  if (!has("lists positions whatever their case")) return MemoryStore::get_positions(prefix);
  std::vector<StoredPosition> positions = MemoryStore::get_positions("");
  std::erase_if(positions, [&](const StoredPosition& position) {
    return !lower(position.segment).starts_with(lower(std::string(prefix)));
  });
  return positions;
}

// ── retention ──

Removed MutantStore::remove_older(Time before, std::size_t most) {
  if (has("removes more than a slice")) ++most;
  if (has("removes what is as old as the limit")) before += std::chrono::microseconds(1);
  if (has("removes everything")) before = Time::max();
  if (has("keeps processes") && MemoryStore::count_older(before).events == 0) return {};
  if (has("removes recent processes") && MemoryStore::count_older(before).events == 0) {
    before += std::chrono::microseconds(50);
  }
  if (has("finds what was removed")) {
    for (EventRecord& event : MemoryStore::get_events({.to = before}).events) {
      removed_events_.push_back(std::move(event));
    }
  }
  if (has("keeps old trace events") && MemoryStore::count_older(before).events == 0) return {};
  const Removed removed = MemoryStore::remove_older(before, most);
  if (has("removes stacks that are in use") && removed.stacktraces > 0) removed_stacks_ = true;
  return removed;
}

Removed MutantStore::count_older(Time before) {
  Removed counted = MemoryStore::count_older(before);
  if (has("counts trace events as events")) counted.events += std::exchange(counted.trace_events, 0);
  if (has("removes what it counts")) MemoryStore::remove_older(before, 1);
  return counted;
}

// ── frames ──

std::vector<StacktraceRecord> MutantStore::get_stacktraces_to_symbolize(Id after, std::size_t limit) {
  if (has("pages unresolved stacks from the first")) after = 0;
  std::vector<StacktraceRecord> page = MemoryStore::get_stacktraces_to_symbolize(after, limit);
  if (!has("lists resolved stacks")) return page;
  for (const EventRecord& event : MemoryStore::get_events({}).events) {
    if (event.stacktrace_id) page.push_back({*event.stacktrace_id, digest_of(event.frames), event.frames});
  }
  return page;
}

FramesReplaced MutantStore::replace_frames(const std::vector<StacktraceRecord>& given) {
  std::vector<StacktraceRecord> stacktraces = given;
  if (has("keeps stacks apart that become equal") && stacktraces.size() > 1) stacktraces.resize(1);
  if (has("replaces what it finds")) {
    for (StacktraceRecord& stacktrace : stacktraces) {
      for (const StacktraceRecord& known : MemoryStore::get_stacktraces_to_symbolize(0, stacktraces.size())) {
        if (known.id == stacktrace.id) stacktrace.digest = known.digest;
      }
    }
  }
  if (has("keeps one frame of those it replaces")) {
    for (StacktraceRecord& stacktrace : stacktraces) stacktrace.frames.resize(1);
  }
  const FramesReplaced replaced = MemoryStore::replace_frames(stacktraces);
  if (has("keeps frames as they came") && !given.empty()) kept_bytes_ = true;
  return replaced;
}

bool MutantStore::shutdown(std::chrono::nanoseconds timeout) {
  return has("takes events after shutdown") || MemoryStore::shutdown(timeout);
}

}  // namespace

bool is_defect(std::string_view defect) {
  return std::ranges::find(kDefects, defect) != std::end(kDefects);
}

std::shared_ptr<Store> open_mutant(const std::shared_ptr<MutantStorage>& storage) {
  static const std::set<std::string_view> alone = {"shares nothing with other clients",
                                                   "hides its writes from other clients",
                                                   "is empty when opened again"};
  ++storage->opened;
  std::string name = storage->name;
  if (alone.contains(storage->defect)) name += " of client " + std::to_string(storage->opened);
  return std::make_shared<MutantStore>(storage, std::vector<std::string>{name});
}

}  // namespace codewake::testing
