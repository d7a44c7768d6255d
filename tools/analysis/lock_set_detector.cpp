#include "lock_set_detector.hpp"

#include <algorithm>
#include <optional>

namespace codewake::analysis {

LockSetDetector::LockSetDetector(const History& history, const Order& order)
    : history_(history), order_(order), is_mixed_(history.names.size()) {
  std::vector<bool> with(history.names.size()), without(history.names.size());
  for (const Happened& event : history.events) {
    if (event.kind != TraceKind::state_change) continue;
    (history.lock_sets[event.lock_set].empty() ? without : with)[event.name] = true;
  }
  for (std::size_t name = 0; name < with.size(); ++name) is_mixed_[name] = with[name] && without[name];
}

void LockSetDetector::visit(const Moment& moment) {
  const Happened& event = history_.events[moment.event];
  if (event.kind != TraceKind::state_change) return;
  std::vector<Site>& sites = variables_[event.name];
  const AccessKind kind = access_kind_of(event);
  for (const Site& site : sites) {
    if (!is_conflict(kind, site.kind) || site.lock_set == event.lock_set) continue;
    const PlacePair places = place_pair(history_, event, site.place);
    const auto known = found_.find(places);
    if (known != found_.end() && known->second.is_certain) continue;
    const auto other = find_suspicious(moment, site, kind);
    if (!other) continue;
    const bool is_certain = history_.executions[history_.events[*other].execution].damage == 0 &&
                            history_.executions[moment.execution].damage == 0;
    if (known == found_.end() || is_certain) found_[places] = {*other, moment.event, is_certain};
  }
  auto site = std::find_if(sites.begin(), sites.end(), [&](const Site& each) {
    return each.place == event.place && each.lock_set == event.lock_set && each.kind == kind;
  });
  if (site == sites.end()) {
    sites.push_back(
        {event.place, event.lock_set, kind, moment.event, moment.event, AccessTree(order_.clocks())});
    site = std::prev(sites.end());
  } else if (site->other == site->first && history_.events[site->first].execution != moment.execution) {
    site->other = moment.event;
  }
  // Only between accesses with a lock and without does the order matter.
  if (is_mixed_[event.name]) site->accesses.add(moment.execution, moment.epoch, moment.clock);
}

// The event of the site that is, where there is one.
std::optional<std::uint32_t> LockSetDetector::find_suspicious(const Moment& moment, const Site& site,
                                                              AccessKind kind) const {
  const Happened& event = history_.events[moment.event];
  const LockSet& locks = history_.lock_sets[event.lock_set];
  const LockSet& others = history_.lock_sets[site.lock_set];
  if (!locks.empty() && !others.empty()) {
    if (has_common_lock(locks, others)) return std::nullopt;
    for (const std::uint32_t candidate : {site.first, site.other}) {
      if (history_.events[candidate].execution != moment.execution) return candidate;
    }
    return std::nullopt;
  }
  const bool is_handed_over = site.kind.is_write && (others.empty() || !kind.is_write);
  if (is_handed_over || locks.empty() == others.empty()) return std::nullopt;
  const auto unknown = site.accesses.find_unknown(moment.clock);
  if (!unknown) return std::nullopt;
  return order_.event_of(unknown->first, unknown->second, [&](const Happened& other) {
    return other.kind == TraceKind::state_change && other.name == event.name && other.place == site.place &&
           other.lock_set == site.lock_set && access_kind_of(other) == site.kind;
  });
}

}  // namespace codewake::analysis
