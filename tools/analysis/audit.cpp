#include "audit.hpp"

#include <unordered_map>
#include <utility>

#include "access_tree.hpp"
#include "history.hpp"
#include "order.hpp"
#include "race_detector.hpp"
#include "reading.hpp"

namespace codewake::analysis {
namespace {

/// An access, before its values are read.
struct Entry {
  std::uint32_t event = 0;
  bool is_unordered = false;
  std::optional<std::uint32_t> lost;  // an event
};

/// Takes moments, and keeps those of one variable.
class Trail {
 public:
  Trail(const History& history, Order& order, std::uint32_t variable)
      : history_(history), order_(order), variable_(variable), writes_(order.clocks()) {}
  Trail(const Trail&) = delete;
  Trail& operator=(const Trail&) = delete;
  ~Trail() {
    for (auto& [execution, clock] : read_) order_.clocks().release(clock);
  }

  void visit(const Moment& moment) {
    const Happened& event = history_.events[moment.event];
    if (event.kind != TraceKind::state_change || event.name != variable_) return;
    Entry entry;
    entry.event = moment.event;
    entry.is_unordered =
        !entries_.empty() && order_.clocks().epoch_of(moment.clock, last_execution_) < last_epoch_;
    const auto seen = read_.find(moment.execution);
    if (access_kind_of(event).is_write) {
      // What a step both reads and writes has been seen by then.
      const bool is_one_step = static_cast<Access>(event.access) == Access::atomic_rmw;
      const ClockTree::Clock known = seen == read_.end() ? moment.clock : seen->second;
      const auto lost = is_one_step ? std::nullopt : writes_.find_unknown(known);
      if (lost) {
        entry.lost = order_.event_of(lost->first, lost->second, [&](const Happened& other) {
          return other.kind == TraceKind::state_change && other.name == variable_ &&
                 access_kind_of(other).is_write;
        });
      }
      writes_.add(moment.execution, moment.epoch, moment.clock);
      if (seen != read_.end()) {
        order_.clocks().release(seen->second);
        read_.erase(seen);
      }
    } else {
      ClockTree::Clock& clock = read_[moment.execution];
      order_.clocks().release(clock);
      clock = order_.clocks().share(moment.clock);
    }
    last_execution_ = moment.execution;
    last_epoch_ = moment.epoch;
    entries_.push_back(entry);
  }

  const std::vector<Entry>& entries() const noexcept { return entries_; }

 private:
  const History& history_;
  Order& order_;
  const std::uint32_t variable_;
  AccessTree writes_;
  std::unordered_map<std::uint32_t, ClockTree::Clock> read_;  // what an execution knew at its last read
  std::uint32_t last_execution_ = 0, last_epoch_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace

std::vector<AuditedAccess> audit(Store& store, const std::string& variable, const RaceQuery& query,
                                 const OnProgress& on_progress) {
  const History history = read_history(store, query, on_progress);
  const auto name = history.names.find(variable);
  std::vector<AuditedAccess> trail;
  if (!name) return trail;
  std::unordered_map<std::uint32_t, std::size_t> number_of_event;
  std::vector<Entry> entries;
  {
    Order order(history, Order::Kind::observed);
    Trail found(history, order, *name);
    order.walk([&](const Moment& moment) { found.visit(moment); });
    entries = found.entries();
  }
  // The values are read once more: kept of all variables they would not fit into memory.
  std::unordered_map<Id, TraceEventRecord> records;
  TraceEventQuery accesses{
      .trace_id = query.trace_id, .variable = variable, .from = query.from, .to = query.to};
  do {
    TraceEventPage page = store.get_trace_events(accesses);
    for (TraceEventRecord& record : page.events) records.emplace(record.row, std::move(record));
    accesses.cursor = std::move(page.next);
  } while (!accesses.cursor.empty());
  for (const Entry& entry : entries) {
    const Happened& event = history.events[entry.event];
    const auto record = records.find(event.row);
    if (record == records.end()) continue;  // removed since
    number_of_event.emplace(entry.event, trail.size());
    trail.push_back({record->second, entry.is_unordered, std::nullopt});
    if (!entry.lost) continue;
    if (const auto lost = number_of_event.find(*entry.lost); lost != number_of_event.end())
      trail.back().lost = lost->second;
  }
  return trail;
}

}  // namespace codewake::analysis
