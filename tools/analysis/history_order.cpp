// The part of HistoryBuilder that finds what came before what, once all events are there.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "history_builder.hpp"

namespace codewake::analysis {
namespace {

std::string key_of(const SpanId& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

}  // namespace

History HistoryBuilder::finish() {
  const EventOfId parents = find_parents();
  resolve_clocks();
  chain_older(parents);
  order_by_execution();
  add_spawns(parents);
  add_joins();
  add_messages();
  add_older_locks();
  look_for_damage();
  add_machines();
  std::stable_sort(history_.precedences.begin(), history_.precedences.end(),
                   [](const Precedence& a, const Precedence& b) { return a.event < b.event; });
  history_.traces = traces_.size();
  return std::move(history_);
}

// Of all ids, only those that somebody names are worth a place in a table.
HistoryBuilder::EventOfId HistoryBuilder::find_parents() const {
  EventOfId found;
  for (const auto& mind : minds_) {
    if (mind->begun_by != 0) found.emplace(mind->begun_by, kNoEvent);
  }
  for (const Older& older : older_) {
    if (older.parent != 0) found.emplace(older.parent, kNoEvent);
  }
  // Most are not: a bit of each that is named spares them the look into the table.
  std::vector<bool> is_named(std::size_t{1} << 20);
  for (const auto& [id, event] : found) is_named[id % is_named.size()] = true;
  for (std::size_t event = 0; event < ids_.size(); ++event) {
    if (!is_named[ids_[event] % is_named.size()]) continue;
    if (const auto wanted = found.find(ids_[event]); wanted != found.end())
      wanted->second = static_cast<std::uint32_t>(event);
  }
  return found;
}

// The execution's first event follows what it began with.
void HistoryBuilder::begin_by(std::uint32_t first, std::uint32_t before) {
  const std::uint32_t execution = history_.events[first].execution;
  if (history_.events[before].execution == execution) return;
  history_.executions[execution].begun_by = before;
  precede(first, before);
}

void HistoryBuilder::precede(std::uint32_t event, std::uint32_t before, bool is_firm) {
  const Happened& earlier = history_.events[before];
  if (earlier.execution == history_.events[event].execution) return;
  history_.precedences.push_back({event, earlier.execution, earlier.step, is_firm});
}

// An older system's event follows its parent. The first that does so in the same thread goes on with the
// parent's execution, another one begins one of its own; so does an event of which the parent is elsewhere.
void HistoryBuilder::chain_older(const EventOfId& parents) {
  std::vector<std::uint32_t> last(history_.executions.size(), kNoEvent);  // event, by execution
  std::unordered_map<std::uint32_t, std::uint32_t> last_of_thread;        // event, by the execution at first
  std::vector<std::pair<std::uint32_t, std::uint32_t>> followed;          // an event, and its parent
  for (const auto& [event, parent_id] : older_) {
    Happened& happened = history_.events[event];
    const std::uint32_t thread = happened.execution;
    std::uint32_t parent = kNoEvent;
    if (parent_id != 0) {
      parent = parents.at(parent_id);
    } else if (const auto before = last_of_thread.find(thread); before != last_of_thread.end()) {
      parent = before->second;
    }
    const bool is_chained = parent != kNoEvent && parent < event &&
                            !history_.executions[history_.events[parent].execution].has_clock &&
                            last[history_.events[parent].execution] == parent;
    if (is_chained) {
      happened.execution = history_.events[parent].execution;
      happened.step = history_.events[parent].step + 1;
    } else {
      if (last[thread] != kNoEvent) {
        ExecutionHistory made = history_.executions[thread];
        made.damage = 0;
        happened.execution = static_cast<std::uint32_t>(history_.executions.size());
        history_.executions.push_back(std::move(made));
        minds_.push_back(std::make_unique<Mind>());
        last.push_back(kNoEvent);
      }
      happened.step = 1;
      if (parent != kNoEvent) followed.emplace_back(event, parent);
      if (parent_id != 0 && parent == kNoEvent)
        history_.executions[happened.execution].damage |= kLostBeginning;
    }
    last[happened.execution] = event;
    last_of_thread[thread] = event;
  }
  // Only now all of them have their steps.
  for (const auto& [event, parent] : followed) begin_by(event, parent);
}

std::optional<std::uint32_t> HistoryBuilder::find_execution(std::uint32_t name, const TraceId& trace) const {
  std::optional<std::uint32_t> found;
  for (const std::uint32_t execution : named_so_[name]) {
    if (!history_.executions[execution].has_clock) continue;
    if (history_.executions[execution].trace_id == trace) return execution;
    if (found) return std::nullopt;
    found = execution;
  }
  return found;
}

// Clocks name executions, of which some may not be there: what these knew came along.
void HistoryBuilder::resolve_clocks() {
  std::erase_if(history_.precedences, [this](Precedence& precedence) {
    const std::uint32_t own = history_.events[precedence.event].execution;
    const auto found = find_execution(precedence.execution, history_.executions[own].trace_id);
    if (!found || *found == own || precedence.steps == 0) return true;
    precedence.execution = *found;
    return false;
  });
}

void HistoryBuilder::order_by_execution() {
  std::vector<std::uint32_t>& begin = history_.begin_of;
  begin.assign(history_.executions.size() + 1, 0);
  for (const Happened& event : history_.events) ++begin[event.execution + 1];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<std::uint32_t>& sorted = history_.by_execution;
  sorted.resize(history_.events.size());
  std::vector<std::uint32_t> next(begin.begin(), begin.end() - 1);
  for (std::uint32_t event = 0; event < sorted.size(); ++event)
    sorted[next[history_.events[event].execution]++] = event;
  const auto is_before = [this](std::uint32_t a, std::uint32_t b) {
    return history_.events[a].step < history_.events[b].step;
  };
  for (std::size_t execution = 0; execution + 1 < begin.size(); ++execution) {
    const auto first = sorted.begin() + begin[execution], last = sorted.begin() + begin[execution + 1];
    if (!std::is_sorted(first, last, is_before)) std::stable_sort(first, last, is_before);
  }
}

void HistoryBuilder::add_spawns(const EventOfId& parents) {
  for (std::uint32_t execution = 0; execution < history_.executions.size(); ++execution) {
    const auto its = history_.events_of(execution);
    const std::uint64_t begun_by = minds_[execution]->begun_by;
    if (!history_.executions[execution].has_clock || its.empty() || begun_by == 0) continue;
    const std::uint32_t parent = parents.at(begun_by);
    if (parent != kNoEvent) {
      begin_by(its.front(), parent);
    } else if (history_.events[its.front()].step == 1) {
      history_.executions[execution].damage |= kLostBeginning;
    }
  }
}

// The last event of the execution until then comes before.
void HistoryBuilder::precede_by_last(std::uint32_t event, std::uint32_t execution, std::int64_t until) {
  const auto its = history_.events_of(execution);
  for (auto last = its.rbegin(); last != its.rend(); ++last) {
    if (history_.events[*last].when <= until) return precede(event, *last);
  }
}

// What clocks say of joins needs no other word; these are of older systems. Until it was awaited the task ran
// in the same process, by the same clock.
void HistoryBuilder::add_joins() {
  if (awaited_.empty()) return;
  const auto key = [](std::uint32_t execution, std::uint32_t step) {
    return std::uint64_t{execution} << 32 | step;
  };
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> begun_by;  // executions, by the step before
  for (const Precedence& precedence : history_.precedences) {
    const std::uint32_t execution = history_.events[precedence.event].execution;
    if (history_.events_of(execution).front() == precedence.event)
      begun_by[key(precedence.execution, precedence.steps)].push_back(execution);
  }
  for (const auto& [event, task] : awaited_) {
    const auto spawn = spawn_of_task_.find(task);
    if (spawn == spawn_of_task_.end()) {
      history_.executions[history_.events[event].execution].damage |= kLostBeginning;
      continue;
    }
    const Happened& spawned = history_.events[spawn->second];
    for (const std::uint32_t child : begun_by[key(spawned.execution, spawned.step)])
      precede_by_last(event, child, history_.events[event].when);
  }
}

// A request came after it was sent, and an answer after it was given: by the span of the call, where no clock
// went along.
void HistoryBuilder::add_messages() {
  if (sent_.empty()) return;
  std::unordered_map<std::string, std::uint32_t> sender;
  for (const Sent& sent : sent_) sender.emplace(key_of(sent.span), sent.event);
  for (std::uint32_t execution = 0; execution < history_.executions.size(); ++execution) {
    const auto its = history_.events_of(execution);
    if (its.empty() || minds_[execution]->upstream.empty()) continue;
    const auto found = sender.find(key_of(minds_[execution]->upstream));
    if (found == sender.end()) continue;
    begin_by(its.front(), found->second);
    const std::uint32_t client = history_.events[found->second].execution;
    if (history_.executions[client].has_clock && history_.executions[execution].has_clock) continue;
    const auto is_answer = [this](std::uint32_t event) {
      return history_.events[event].kind == TraceKind::http_response;
    };
    const auto calls = history_.events_of(client);
    const auto sent = std::find(calls.begin(), calls.end(), found->second);
    const auto got = std::find_if(sent, calls.end(), is_answer);
    const auto given = std::find_if(its.begin(), its.end(), is_answer);
    if (got != calls.end() && given != its.end()) precede(*got, *given);
  }
}

// Of executions without a clock of their own a lock's way shows by the time: in one process there is one
// clock, and a lock is with one execution at a time, or with readers.
void HistoryBuilder::add_older_locks() {
  std::map<std::string, std::vector<std::uint32_t>> uses;
  for (const Older& older : older_) {
    const Happened& event = history_.events[older.event];
    if (event.kind != TraceKind::lock_acquire && event.kind != TraceKind::lock_release) continue;
    const ExecutionHistory& execution = history_.executions[event.execution];
    uses[std::to_string(execution.process_id) + '\0' + execution.name + '\0' +
         history_.names.text_of(event.name)]
        .push_back(older.event);
  }
  for (auto& [lock, its] : uses) {
    std::stable_sort(its.begin(), its.end(), [this](std::uint32_t a, std::uint32_t b) {
      return history_.events[a].when < history_.events[b].when;
    });
    std::vector<std::uint32_t> let_go;  // since it was taken alone
    std::uint32_t alone = kNoEvent;     // the last that let it go who had it alone
    for (const std::uint32_t number : its) {
      const bool is_shared = shared_events_.contains(number);
      if (history_.events[number].kind == TraceKind::lock_acquire) {
        if (alone != kNoEvent) precede(number, alone, false);
        if (is_shared) continue;
        for (const std::uint32_t reader : let_go) precede(number, reader, false);
      } else if (is_shared) {
        let_go.push_back(number);
      } else {
        alone = number;
        let_go.clear();
      }
    }
  }
}

void HistoryBuilder::look_for_damage() {
  for (std::uint32_t number = 0; number < history_.executions.size(); ++number) {
    ExecutionHistory& execution = history_.executions[number];
    std::vector<std::uint32_t> held;  // names
    for (const std::uint32_t event : history_.events_of(number)) {
      const auto& [kind, name] = std::pair(history_.events[event].kind, history_.events[event].name);
      if (kind == TraceKind::lock_acquire) held.push_back(name);
      if (kind != TraceKind::lock_release) continue;
      const auto taken = std::find(held.begin(), held.end(), name);
      if (taken != held.end()) held.erase(taken);
    }
    if (!held.empty()) execution.damage |= kUnreleasedLock;
    if (!execution.has_clock) continue;
    std::uint32_t expected = 1;
    for (const std::uint32_t event : history_.events_of(number)) {
      if (history_.events[event].step > expected) execution.damage |= kLostEvents;
      expected = std::min(history_.events[event].step, ~std::uint32_t{0} - 1) + 1;
    }
  }
  for (const Precedence& precedence : history_.precedences) {
    ExecutionHistory& execution = history_.executions[precedence.execution];
    const auto its = history_.events_of(precedence.execution);
    if (execution.has_clock && history_.events[its.back()].step < precedence.steps)
      execution.damage |= kLostEvents;
  }
}

// A process that began when another one of the same computer had ended comes after it. The computer sees it:
// it is an execution, of which a step is that a process begins.
void HistoryBuilder::add_machines() {
  struct Life {
    std::int64_t first = std::numeric_limits<std::int64_t>::max(),
                 last = std::numeric_limits<std::int64_t>::min();
    std::vector<std::uint32_t> executions;
  };
  std::map<Id, Life> lives;
  for (std::uint32_t execution = 0; execution < history_.executions.size(); ++execution) {
    const auto its = history_.events_of(execution);
    if (its.empty()) continue;
    Life& life = lives[history_.executions[execution].process_id];
    life.executions.push_back(execution);
    for (const std::uint32_t event : its) {
      life.first = std::min(life.first, history_.events[event].when);
      life.last = std::max(life.last, history_.events[event].when);
    }
  }
  std::map<std::string, std::vector<const Life*>> computers;
  for (const ProcessRecord& process : processes_) {
    const auto life = lives.find(process.id);
    // Every computer calls itself that.
    if (life == lives.end() || !process.fqdn || process.fqdn->empty() ||
        process.fqdn->starts_with("localhost"))
      continue;
    life->second.first = std::min(life->second.first, process.run_ts.time_since_epoch().count());
    computers[*process.fqdn].push_back(&life->second);
  }
  for (auto& [name, begun] : computers) {
    std::vector<const Life*> ended = begun;
    std::sort(begun.begin(), begun.end(), [](const Life* a, const Life* b) { return a->first < b->first; });
    std::sort(ended.begin(), ended.end(), [](const Life* a, const Life* b) { return a->last < b->last; });
    if (begun.empty() || ended.front()->last >= begun.back()->first) continue;
    const auto computer = static_cast<std::uint32_t>(history_.executions.size());
    ExecutionHistory& seen = history_.executions.emplace_back();
    seen.name = name;
    seen.is_machine = true;
    std::uint32_t step = 0;
    auto next_end = ended.begin();
    for (const Life* life : begun) {
      for (bool is_first = true; next_end != ended.end() && (*next_end)->last < life->first; ++next_end) {
        if (std::exchange(is_first, false)) {
          history_.events.push_back({.when = life->first, .execution = computer, .step = ++step});
        }
        for (const std::uint32_t execution : (*next_end)->executions)
          precede(static_cast<std::uint32_t>(history_.events.size() - 1),
                  history_.events_of(execution).back());
      }
      if (step == 0) continue;
      for (const std::uint32_t execution : life->executions)
        history_.precedences.push_back({history_.events_of(execution).front(), computer, step});
    }
  }
  order_by_execution();
}

}  // namespace codewake::analysis
