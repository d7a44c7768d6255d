#include "race_detector.hpp"

#include <algorithm>

#include "codewake/trace_event.hpp"

namespace codewake::analysis {

AccessKind access_kind_of(const Happened& event) noexcept {
  switch (static_cast<Access>(event.access)) {
    case Access::read:
      return {.is_write = false, .is_atomic = false};
    case Access::atomic_read:
      return {.is_write = false, .is_atomic = true};
    case Access::atomic_write:
    case Access::atomic_rmw:
      return {.is_write = true, .is_atomic = true};
    default:  // a change of which no more is said
      return {.is_write = true, .is_atomic = false};
  }
}

bool has_common_lock(const LockSet& a, const LockSet& b) {
  return std::any_of(a.begin(), a.end(), [&](const HeldLock& held) {
    return std::any_of(b.begin(), b.end(), [&](const HeldLock& other) {
      return held.lock == other.lock && !(held.is_shared && other.is_shared);
    });
  });
}

PlacePair place_pair(const History& history, const Happened& event, std::uint32_t other_place) {
  const auto is_known = [&](std::uint32_t place) { return history.places[place].file != 0; };
  const bool are_known = is_known(event.place) && is_known(other_place);
  return {std::min(event.place, other_place), std::max(event.place, other_place),
          are_known ? kAnyVariable : event.name};
}

/// One place that accesses one variable, in one way.
struct RaceDetector::Site {
  std::uint32_t place = 0;
  AccessKind kind;
  AccessTree accesses;
};

struct RaceDetector::Variable {
  std::vector<Site> sites;
  // The access before this one. Where all earlier ones came before it, who knows of it knows of all.
  std::uint32_t last_execution = 0, last_epoch = 0;
  bool is_after_all = true;
};

RaceDetector::RaceDetector(const History& history, const Order& order)
    : history_(history), order_(order), variables_(history.names.size()) {}

RaceDetector::~RaceDetector() = default;

void RaceDetector::visit(const Moment& moment) {
  const Happened& event = history_.events[moment.event];
  if (event.kind != TraceKind::state_change) return;
  std::unique_ptr<Variable>& slot = variables_[event.name];
  if (slot == nullptr) slot = std::make_unique<Variable>();
  Variable& variable = *slot;
  const AccessKind kind = access_kind_of(event);
  const bool knows_last =
      variable.sites.empty() ||
      order_.clocks().epoch_of(moment.clock, variable.last_execution) >= variable.last_epoch;
  if (!variable.is_after_all || !knows_last) {
    variable.is_after_all = kind.is_write;
    for (const Site& site : variable.sites) {
      if (!is_conflict(kind, site.kind) && !kind.is_write) continue;
      if (site.accesses.count_unknown(moment.clock) == 0) continue;
      variable.is_after_all = false;
      if (is_conflict(kind, site.kind)) compare(moment, site, kind);
    }
  }
  variable.last_execution = moment.execution;
  variable.last_epoch = moment.epoch;
  auto site = std::find_if(variable.sites.begin(), variable.sites.end(),
                           [&](const Site& each) { return each.place == event.place && each.kind == kind; });
  if (site == variable.sites.end()) {
    variable.sites.push_back({event.place, kind, AccessTree(order_.clocks())});
    site = std::prev(variable.sites.end());
  }
  site->accesses.add(moment.execution, moment.epoch, moment.clock);
}

void RaceDetector::compare(const Moment& moment, const Site& site, AccessKind kind) {
  const Happened& event = history_.events[moment.event];
  RaceFound& found = found_[place_pair(history_, event, site.place)];
  const bool is_first = found.variables.empty();
  const bool is_write_write = kind.is_write && site.kind.is_write;
  (is_write_write ? found.write_write : found.read_write) += site.accesses.count_unknown(moment.clock);
  found.variables.insert(event.name);
  // The best example is one of executions of which all is known, then one of two writes.
  const auto rank = [](bool is_certain, bool is_write) { return 2 * int{is_certain} + int{is_write}; };
  const int rank_so_far = is_first ? -1 : rank(found.is_certain, found.is_write_example);
  if (rank(true, is_write_write) <= rank_so_far) return;
  const auto unknown = site.accesses.find_unknown(moment.clock);
  const bool is_certain =
      history_.executions[unknown->first].damage == 0 && history_.executions[moment.execution].damage == 0;
  if (rank(is_certain, is_write_write) <= rank_so_far) return;
  found.first = order_.event_of(unknown->first, unknown->second, [&](const Happened& other) {
    return other.kind == TraceKind::state_change && other.name == event.name && other.place == site.place &&
           access_kind_of(other) == site.kind;
  });
  found.second = moment.event;
  found.is_certain = is_certain;
  found.is_write_example = is_write_write;
}

}  // namespace codewake::analysis
