#include "window_detector.hpp"

#include <algorithm>
#include <iterator>

#include "race_detector.hpp"

namespace codewake::analysis {

WindowDetector::WindowDetector(const History& history, Order& order)
    : history_(history), order_(order), let_go_(history.executions.size()) {
  for (std::uint32_t lock = 0; lock < history.locks.size(); ++lock)
    lock_names_.push_back(history.names.find(lock_name(history, lock)));
}

WindowDetector::~WindowDetector() {
  for (auto& [name, variable] : variables_) {
    for (auto& [execution, check] : variable.checks) order_.clocks().release(check.clock);
  }
}

void WindowDetector::visit(const Moment& moment) {
  const Happened& event = history_.events[moment.event];
  if (event.kind == TraceKind::lock_release) let_go_[moment.execution][event.name] = event.step;
  if (event.kind != TraceKind::state_change) return;
  if (chosen_ != nullptr && !chosen_->contains(event.name)) return;
  Variable& variable = variables_[event.name];
  const AccessKind kind = access_kind_of(event);
  if (!kind.is_write) {
    Check& check = variable.checks[moment.execution];
    order_.clocks().release(check.clock);
    check = {moment.event, order_.clocks().share(moment.clock)};
    return;
  }
  look_behind(moment, variable);
  if (const auto open = variable.checks.find(moment.execution); open != variable.checks.end()) {
    // What reads and writes in one step needs no check.
    if (static_cast<Access>(event.access) != Access::atomic_rmw) close(moment, variable, open->second);
    order_.clocks().release(open->second.clock);
    variable.checks.erase(open);
  }
  auto write = std::find_if(variable.writes.begin(), variable.writes.end(), [&](const Write& each) {
    return each.place == event.place && each.lock_set == event.lock_set;
  });
  if (write == variable.writes.end()) {
    variable.writes.push_back({event.place, event.lock_set, AccessTree(order_.clocks())});
    write = std::prev(variable.writes.end());
  }
  write->accesses.add(moment.execution, moment.epoch, moment.clock);
}

bool WindowDetector::was_let_go(std::uint32_t lock, std::uint32_t execution, std::uint32_t since) const {
  const std::optional<std::uint32_t> name = lock_names_[lock];
  if (!name) return false;
  const auto& released = let_go_[execution];
  const auto last = released.find(*name);
  return last != released.end() && last->second > since;
}

LockSet WindowDetector::held_throughout(std::uint32_t check, std::uint32_t act) const {
  const Happened& begin = history_.events[check];
  const Happened& end = history_.events[act];
  LockSet both;
  std::ranges::set_intersection(history_.lock_sets[begin.lock_set], history_.lock_sets[end.lock_set],
                                std::back_inserter(both));
  std::erase_if(both,
                [&](const HeldLock& held) { return was_let_go(held.lock, begin.execution, begin.step); });
  return both;
}

// Whether a write with these locks can come in between.
bool WindowDetector::is_open(const Window& window, std::uint32_t lock_set) const {
  const LockSet& locks = history_.lock_sets[lock_set];
  if (has_common_lock(window.throughout, locks)) return false;
  return chosen_ == nullptr || (has_common_lock(history_.lock_sets[window.check_locks], locks) &&
                                has_common_lock(history_.lock_sets[window.act_locks], locks));
}

// A window has closed: what was written before may have come in between.
void WindowDetector::close(const Moment& moment, Variable& variable, const Check& check) {
  const Happened& begin = history_.events[check.event];
  const Happened& end = history_.events[moment.event];
  LockSet throughout = held_throughout(check.event, moment.event);
  const std::size_t held = history_.lock_sets[begin.lock_set].size();
  const std::size_t held_then = history_.lock_sets[end.lock_set].size();
  if (held > 0 && held_then > 0 && throughout.size() < std::max(held, held_then)) with_gaps_.insert(end.name);
  auto window = std::find_if(variable.windows.begin(), variable.windows.end(), [&](const Window& each) {
    return each.check_place == begin.place && each.act_place == end.place &&
           each.check_locks == begin.lock_set && each.act_locks == end.lock_set &&
           each.throughout == throughout;
  });
  if (window == variable.windows.end()) {
    variable.windows.push_back({begin.place, end.place, begin.lock_set, end.lock_set, std::move(throughout),
                                AccessTree(order_.clocks())});
    window = std::prev(variable.windows.end());
  }
  window->acts.add(moment.execution, moment.epoch, moment.clock);
  for (const Write& write : variable.writes) {
    if (!is_open(*window, write.lock_set) || is_reported(*window, write.place, end.name)) continue;
    const auto unknown = write.accesses.find_unknown(check.clock);
    if (!unknown) continue;
    report(check.event, moment.event,
           order_.event_of(unknown->first, unknown->second, [&](const Happened& other) {
             return other.kind == TraceKind::state_change && other.name == end.name &&
                    other.place == write.place && other.lock_set == write.lock_set &&
                    access_kind_of(other).is_write;
           }));
  }
}

// A write may come in between the windows that closed before, where it does not know of that.
void WindowDetector::look_behind(const Moment& moment, const Variable& variable) {
  const Happened& event = history_.events[moment.event];
  for (const Window& window : variable.windows) {
    if (!is_open(window, event.lock_set) || is_reported(window, event.place, event.name)) continue;
    const auto unknown = window.acts.find_unknown(moment.clock);
    if (!unknown) continue;
    const auto [check, act] = check_and_act(window, event.name, unknown->first, unknown->second);
    report(check, act, moment.event);
  }
}

// An act of the epoch, and the read before it.
std::pair<std::uint32_t, std::uint32_t> WindowDetector::check_and_act(const Window& window,
                                                                      std::uint32_t variable,
                                                                      std::uint32_t execution,
                                                                      std::uint32_t epoch) const {
  const auto is_access = [&](const Happened& event, bool is_write, std::uint32_t place) {
    return event.kind == TraceKind::state_change && event.name == variable && event.place == place &&
           access_kind_of(event).is_write == is_write;
  };
  const std::uint32_t act = order_.event_of(execution, epoch, [&](const Happened& event) {
    return is_access(event, true, window.act_place) && event.lock_set == window.act_locks;
  });
  const auto its = history_.events_of(execution);
  auto before = std::find(its.rbegin(), its.rend(), act);
  const auto check = std::find_if(before, its.rend(), [&](std::uint32_t number) {
    return is_access(history_.events[number], false, window.check_place);
  });
  return {check == its.rend() ? act : *check, act};
}

WindowPlaces WindowDetector::places_of(std::uint32_t check_place, std::uint32_t act_place,
                                       std::uint32_t between_place, std::uint32_t variable) const {
  const auto is_known = [this](std::uint32_t place) { return history_.places[place].file != 0; };
  const bool are_known = is_known(check_place) && is_known(act_place) && is_known(between_place);
  return {check_place, act_place, between_place, are_known ? kAnyVariable : variable};
}

bool WindowDetector::is_reported(const Window& window, std::uint32_t between_place,
                                 std::uint32_t variable) const {
  const auto known = found_.find(places_of(window.check_place, window.act_place, between_place, variable));
  return known != found_.end() && known->second.is_certain;
}

void WindowDetector::report(std::uint32_t check, std::uint32_t act, std::uint32_t between) {
  const Happened& end = history_.events[act];
  const Happened& other = history_.events[between];
  const bool is_certain =
      history_.executions[end.execution].damage == 0 && history_.executions[other.execution].damage == 0;
  const WindowPlaces places = places_of(history_.events[check].place, end.place, other.place, end.name);
  const auto known = found_.find(places);
  if (known == found_.end() || is_certain) found_[places] = {check, act, between, is_certain};
}

}  // namespace codewake::analysis
