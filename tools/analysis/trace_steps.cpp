#include "trace_steps.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <tuple>

#include "names.hpp"
#include "trace_calls.hpp"

namespace codewake::analysis {
namespace {

using Number = TraceSteps::Number;

// Some 36 years in nanoseconds: sums of a few of these do not overflow.
constexpr std::int64_t kFarthest = std::int64_t{1} << 60;

std::int64_t difference(Time a, Time b) noexcept {
  std::int64_t result = 0;
  if (__builtin_sub_overflow(a.time_since_epoch().count(), b.time_since_epoch().count(), &result)) {
    return a < b ? -kFarthest : kFarthest;
  }
  return std::clamp(result, -kFarthest, kFarthest);
}

/// A text member of the event's data; empty where it has none.
std::string text_in_data(const TraceEventRecord& event, const char* key) {
  const nlohmann::json data = nlohmann::json::parse(event.texts.data, nullptr, false);
  const bool is_there = data.is_object() && data.contains(key) && data[key].is_string();
  return is_there ? data[key].get<std::string>() : std::string();
}

template <class Key>
std::span<const std::pair<Key, Number>> all_of(const std::vector<std::pair<Key, Number>>& sorted,
                                               const Key& key) {
  const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), std::pair(key, Number{0}),
                                              [](const auto& a, const auto& b) { return a.first < b.first; });
  return {first, last};
}

}  // namespace

TraceSteps::TraceSteps(std::span<const TraceEventRecord> events)
    : events_(events), execution_of_(events.size()), has_previous_(events.size()) {
  group();
  index();
  take_times();
  known_.resize(executions_.size());
  for (Number execution = 0; execution < executions_.size(); ++execution) add_edges_of(execution);
  add_calls();
  store_edges();
  find_shifts();
}

std::chrono::nanoseconds TraceSteps::time(Number number) const {
  return std::chrono::nanoseconds(times_[number] + shifts_[instance_of_[number]]);
}

std::span<const Number> TraceSteps::waited_for(Number number) const {
  return std::span(waited_for_).subspan(edge_begin_[number], edge_begin_[number + 1] - edge_begin_[number]);
}

std::optional<Number> TraceSteps::previous(Number number) const {
  return has_previous_[number] ? std::optional(waited_for_[edge_begin_[number]]) : std::nullopt;
}

std::vector<ClockShift> TraceSteps::shifts() const {
  std::vector<ClockShift> shifts;
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    if (shifts_[i] == 0) continue;
    shifts.push_back({.service = std::string(instances_[i].first),
                      .instance = std::string(instances_[i].second),
                      .shift = std::chrono::nanoseconds(shifts_[i])});
  }
  return shifts;
}

// ── what there is ──

void TraceSteps::group() {
  std::map<ExecutionKey, Number> by_key;
  for (Number number = 0; number < events_.size(); ++number) {
    const auto next = static_cast<Number>(executions_.size());
    const auto [known, is_new] = by_key.emplace(ExecutionKey::of(events_[number]), next);
    if (is_new) executions_.emplace_back();
    execution_of_[number] = known->second;
    executions_[known->second].push_back(number);
  }
  for (std::vector<Number>& its : executions_) {
    std::ranges::stable_sort(its, {}, [this](Number number) {
      return std::tuple(events_[number].step, events_[number].when, events_[number].row);
    });
  }
}

void TraceSteps::index() {
  for (Number number = 0; number < events_.size(); ++number) {
    by_id_.emplace_back(events_[number].id, number);
    if (events_[number].kind != TraceKind::async_spawn) continue;
    if (std::string task = text_in_data(events_[number], "task_id"); !task.empty()) {
      spawns_.emplace_back(std::move(task), number);
    }
  }
  for (Number execution = 0; execution < executions_.size(); ++execution) {
    const TraceEventRecord& first = events_[executions_[execution].front()];
    if (!first.parent_id.empty()) children_.emplace_back(first.parent_id, execution);
    if (!is_shared_component(first.texts.execution)) {
      by_name_.emplace(first.texts.execution, execution);
    } else if (!first.span_id.empty()) {
      by_span_.emplace_back(first.span_id, execution);
    }
  }
  std::ranges::sort(by_id_);
  std::ranges::sort(children_);
  std::ranges::sort(by_span_);
  std::ranges::sort(spawns_);
}

std::optional<Number> TraceSteps::find(const TraceEventId& id) const {
  const auto found = all_of(by_id_, id);
  return id.empty() || found.empty() ? std::nullopt : std::optional(found.front().second);
}

std::optional<Number> TraceSteps::latest_within(Number execution, std::uint64_t steps) const {
  const std::vector<Number>& its = executions_[execution];
  // Where none is missing, its place tells.
  if (steps > 0 && steps <= its.size() && events_[its[steps - 1]].step == steps &&
      (steps == its.size() || events_[its[steps]].step > steps)) {
    return its[steps - 1];
  }
  const auto later =
      std::ranges::upper_bound(its, steps, {}, [this](Number number) { return events_[number].step; });
  return later == its.begin() ? std::nullopt : std::optional(*std::prev(later));
}

// ── what came before what ──

void TraceSteps::add_edge(Number to, std::optional<Number> from) {
  if (from && *from != to) edges_.push_back({to, *from});
}

void TraceSteps::add_edges_of(Number execution) {
  const std::vector<Number>& its = executions_[execution];
  for (std::size_t place = 0; place < its.size(); ++place) {
    const TraceEventRecord& event = events_[its[place]];
    add_previous(its, place);
    // Hardly any event hears something new, and clocks may be long.
    const bool is_first = place == 0;
    if (!is_first && says_the_same_of_others(event.texts.clock, events_[its[place - 1]].texts.clock) &&
        !event.texts.clock.empty()) {
      continue;
    }
    const auto clock = clocks_.read(event.texts.clock);
    add_heard(its[place], clock);
    if (is_first) add_beginning(its[place], clock);
    if (event.kind == TraceKind::async_await && clock.empty()) add_awaited(its[place]);
  }
}

void TraceSteps::add_previous(const std::vector<Number>& its, std::size_t place) {
  const Number number = its[place];
  std::optional<Number> previous;
  if (place > 0) previous = its[place - 1];
  if (is_shared_component(events_[number].texts.execution)) {
    const std::optional<Number> parent = find(events_[number].parent_id);
    if (parent && execution_of_[*parent] == execution_of_[number]) previous = parent;
    if (parent && execution_of_[*parent] != execution_of_[number]) {
      if (place == 0) return;  // add_beginning has it
      return add_edge(number, parent);
    }
  }
  if (!previous || *previous == number) return;
  has_previous_[number] = true;
  add_edge(number, previous);
}

std::uint64_t& TraceSteps::known_of(Number other, Number execution) {
  Known& known = known_[other];
  if (known.execution != execution) known = {.execution = execution};
  return known.steps;
}

// What was heard last stands last, but for the own component, and is who told.
void TraceSteps::add_heard(Number event, std::span<const StoredComponent> clock) {
  const Number execution = execution_of_[event];
  for (auto component = clock.rbegin(); component != clock.rend(); ++component) {
    const auto other = by_name_.find(component->execution);
    if (other == by_name_.end() || other->second == execution) continue;
    std::uint64_t& steps = known_of(other->second, execution);
    if (component->steps <= steps) continue;
    const std::optional<Number> latest = latest_within(other->second, component->steps);
    if (latest && events_[*latest].step > steps) add_edge(event, latest);
    steps = component->steps;
  }
}

void TraceSteps::add_beginning(Number first, std::span<const StoredComponent> clock) {
  const TraceEventRecord& event = events_[first];
  const std::optional<Number> parent = find(event.parent_id);
  if (parent && execution_of_[*parent] != execution_of_[first]) add_edge(first, parent);
  // The caller has an older SDK, which sent its span: how far it was, its service's component tells.
  const auto callers = all_of(by_span_, event.upstream_span_id);
  if (callers.empty() || callers.front().second == execution_of_[first]) return;
  const Number caller = callers.front().second;
  const std::string& name = events_[executions_[caller].front()].texts.execution;
  const auto said = std::ranges::find(clock, name, &StoredComponent::execution);
  add_edge(first, said != clock.end() ? latest_within(caller, said->steps)
                                      : std::optional(executions_[caller].front()));
}

// Where no clock tells when the tasks ended: those that had by then.
void TraceSteps::add_awaited(Number event) {
  const std::string task = text_in_data(events_[event], "future_id");
  if (task.empty()) return;
  const auto spawns = all_of(spawns_, task);
  if (spawns.empty()) return;
  constexpr std::size_t kMost = 64;  // of many tasks with one name, the last ones may be missing
  const auto children = all_of(children_, events_[spawns.front().second].id);
  for (const auto& [id, child] : children.first(std::min(children.size(), kMost))) {
    const Number last = executions_[child].back();
    if (times_[last] <= times_[event]) add_edge(event, last);
  }
}

// Calls whose headers told no clock, or whose answers did not.
void TraceSteps::add_calls() {
  Names names;
  TraceCalls calls(names);
  for (Number number = 0; number < events_.size(); ++number) calls.add(events_[number], number);
  for (const Call& call : calls.match()) {
    if (call.asked == nullptr || !call.server) continue;
    add_edge(calls.first_of(*call.server), call.asked->tag);
    // Only an answer that stands right behind its request is certainly to that.
    const bool is_next = call.answered == call.asked + 1;
    if (call.response != nullptr && is_next) add_edge(call.answered->tag, call.response->tag);
  }
}

// By the events that waited; in the order in which they were found.
void TraceSteps::store_edges() {
  edge_begin_.assign(events_.size() + 1, 0);
  for (const Edge& edge : edges_) ++edge_begin_[edge.to + 1];
  for (std::size_t i = 1; i < edge_begin_.size(); ++i) edge_begin_[i] += edge_begin_[i - 1];
  waited_for_.resize(edges_.size());
  std::vector<Number> next(edge_begin_.begin(), edge_begin_.end() - 1);
  for (const Edge& edge : edges_) waited_for_[next[edge.to]++] = edge.from;
  edges_ = {};
}

// ── whose clock is behind ──

void TraceSteps::take_times() {
  if (events_.empty()) return;
  const Time first = std::ranges::min(events_, {}, &TraceEventRecord::when).when;
  std::map<std::pair<std::string_view, std::string_view>, Number> numbers;
  for (const TraceEventRecord& event : events_) {
    const std::pair<std::string_view, std::string_view> instance(event.texts.service, event.texts.instance);
    const auto [known, is_new] = numbers.emplace(instance, static_cast<Number>(instances_.size()));
    if (is_new) instances_.push_back(instance);
    instance_of_.push_back(known->second);
    times_.push_back(difference(event.when, first));
  }
  shifts_.assign(instances_.size(), 0);
}

void TraceSteps::find_shifts() {
  for (Number to = 0; to < events_.size(); ++to) {
    for (const Number from : waited_for(to)) {
      if (instance_of_[from] == instance_of_[to]) continue;
      const std::int64_t behind = times_[from] - times_[to];
      const auto [known, is_new] = least_.emplace(std::pair(instance_of_[from], instance_of_[to]), behind);
      if (!is_new) known->second = std::max(known->second, behind);
    }
  }
  // Clocks of one machine may differ by what it takes to read them.
  constexpr std::int64_t kReading = 100'000;
  can_shift_ = settle_shifts(0) || settle_shifts(kReading);
  if (!can_shift_) std::ranges::fill(shifts_, 0);
  // The clock of whoever began is taken for right.
  std::optional<Number> root;
  for (Number number = 0; number < events_.size(); ++number) {
    if (waited_for(number).empty() && (!root || time(number) < time(*root))) root = number;
  }
  const std::int64_t base = root ? shifts_[instance_of_[*root]] : 0;
  for (std::int64_t& shift : shifts_) shift -= base;
}

// Each is moved to the first moment at which nothing arrives before it was sent, until that holds for all.
// Where it cannot hold, as a message would go back in time both ways, this does not end by itself.
bool TraceSteps::settle_shifts(std::int64_t tolerance) {
  constexpr std::size_t kMostWork = 2'000'000;
  std::ranges::fill(shifts_, 0);
  for (std::size_t round = 0, work = 0; round <= instances_.size(); ++round) {
    bool is_settled = true;
    for (const auto& [instances, behind] : least_) {
      const std::int64_t wanted = shifts_[instances.first] + behind;
      std::int64_t& shift = shifts_[instances.second];
      if (wanted - shift <= tolerance) continue;
      if (wanted > kFarthest) return false;
      shift = wanted;
      is_settled = false;
    }
    if (is_settled) return true;
    work += least_.size();
    if (work > kMostWork) return false;
  }
  return false;
}

}  // namespace codewake::analysis
