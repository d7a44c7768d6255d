#include "lock_order_detector.hpp"

#include <algorithm>
#include <optional>
#include <set>

namespace codewake::analysis {

// A further lock that both hold lets only one of them go on.
bool LockOrderDetector::have_gate(std::uint32_t lock_set, std::uint32_t other, Locks locks) const {
  return std::ranges::any_of(history_.lock_sets[lock_set], [&](const HeldLock& held) {
    if (held.lock == locks.first || held.lock == locks.second) return false;
    return std::ranges::any_of(history_.lock_sets[other], [&](const HeldLock& theirs) {
      return theirs.lock == held.lock && !(theirs.is_shared && held.is_shared);
    });
  });
}

void LockOrderDetector::visit(const Moment& moment) {
  const Happened& event = history_.events[moment.event];
  if (event.kind != TraceKind::lock_acquire) return;
  const LockSet& locks = history_.lock_sets[event.lock_set];
  if (locks.size() < 2) return;
  const auto taken = std::ranges::find_if(locks, [&](const HeldLock& held) {
    return lock_name(history_, held.lock) == history_.names.text_of(event.name);
  });
  if (taken == locks.end()) return;
  for (const HeldLock& outside : locks) {
    if (outside.lock == taken->lock) continue;
    const Locks pair(outside.lock, taken->lock), reverse(taken->lock, outside.lock);
    LockCycle* const known = [&]() -> LockCycle* {
      const auto found = pairs_.find(std::minmax(outside.lock, taken->lock));
      return found == pairs_.end() ? nullptr : &found->second;
    }();
    const auto others = nestings_.find(reverse);
    if (others != nestings_.end() && (known == nullptr || !known->is_certain)) {
      for (const Nesting& nesting : others->second) {
        if (have_gate(event.lock_set, nesting.lock_set, pair)) continue;
        const auto unknown = nesting.accesses.find_unknown(moment.clock);
        if (!unknown) continue;
        const std::uint32_t other =
            order_.event_of(unknown->first, unknown->second, [&](const Happened& candidate) {
              return candidate.kind == TraceKind::lock_acquire && candidate.place == nesting.place &&
                     candidate.lock_set == nesting.lock_set;
            });
        const bool is_certain = history_.executions[unknown->first].damage == 0 &&
                                history_.executions[moment.execution].damage == 0;
        LockCycle& cycle = pairs_[std::minmax(outside.lock, taken->lock)];
        if (cycle.events.empty() || is_certain) cycle = {{other, moment.event}, is_certain};
        break;
      }
    }
    std::vector<Nesting>& nestings = nestings_[pair];
    auto nesting = std::ranges::find_if(nestings, [&](const Nesting& each) {
      return each.place == event.place && each.lock_set == event.lock_set;
    });
    if (nesting == nestings.end()) {
      nestings.push_back({event.place, event.lock_set, moment.event, AccessTree(order_.clocks())});
      nesting = std::prev(nestings.end());
    }
    nesting->accesses.add(moment.execution, moment.epoch, moment.clock);
  }
}

std::vector<LockCycle> LockOrderDetector::cycles() const {
  std::vector<LockCycle> cycles;
  for (const auto& [locks, cycle] : pairs_) cycles.push_back(cycle);
  find_longer(cycles);
  return cycles;
}

// Walks from each lock inwards, and never twice over one that leads nowhere. Pairs are left to `visit`.
void LockOrderDetector::find_longer(std::vector<LockCycle>& cycles) const {
  std::map<std::uint32_t, std::vector<std::uint32_t>> inside;
  for (const auto& [locks, nestings] : nestings_) inside[locks.first].push_back(locks.second);
  std::set<std::uint32_t> done;
  for (const auto& [root, unused] : inside) {
    struct Step {
      std::uint32_t lock;
      std::size_t next;
    };
    std::vector<Step> path;
    std::set<std::uint32_t> on_path;
    const auto enter = [&](std::uint32_t lock) {
      path.push_back({lock, 0});
      on_path.insert(lock);
    };
    if (!done.contains(root)) enter(root);
    while (!path.empty()) {
      Step& step = path.back();
      const auto found = inside.find(step.lock);
      if (found == inside.end() || step.next == found->second.size()) {
        done.insert(step.lock);
        on_path.erase(step.lock);
        path.pop_back();
        continue;
      }
      const std::uint32_t next = found->second[step.next++];
      if (done.contains(next)) continue;
      if (!on_path.contains(next)) {
        enter(next);
        continue;
      }
      const auto begin = std::ranges::find(path, next, &Step::lock);
      if (path.end() - begin < 3) continue;
      LockCycle cycle{{}, true};
      std::set<std::uint32_t> executions;
      for (auto at = begin; at != path.end(); ++at) {
        const std::uint32_t inner = at + 1 == path.end() ? next : (at + 1)->lock;
        const std::uint32_t event = nestings_.at({at->lock, inner}).front().event;
        cycle.events.push_back(event);
        executions.insert(history_.events[event].execution);
        cycle.is_certain =
            cycle.is_certain && history_.executions[history_.events[event].execution].damage == 0;
      }
      // One execution alone does not wait for itself.
      if (executions.size() == cycle.events.size()) cycles.push_back(std::move(cycle));
    }
  }
}

}  // namespace codewake::analysis
