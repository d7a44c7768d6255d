// The events of one trace, and what each of them had to wait for.
//
// What came before what is taken from the clocks, not from times:
//  - The first `steps` events of an execution that an event's clock names came before it. What its execution
//  has
//    heard since the event before is what this one may have waited for.
//  - Executions whose component is their service's (older SDKs) say nothing by it: there an event's
//  `parent_id` is
//    the one before it.
//  - Where clocks are missing: whoever spawned an execution, or called it, and whoever answered a call.
// Times of different machines are compared only once they are shifted, so that nothing arrives before it was
// sent. Data that contradicts itself makes what is found wrong, and nothing else.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "codewake/trace_event.hpp"
#include "stored_clock.hpp"

namespace codewake::analysis {

/// The clock of one instance of a service, against the others'.
struct ClockShift {
  std::string service;
  std::string instance;
  std::chrono::nanoseconds shift{0};  ///< is added to its times
};

/// Reentrant.
class TraceSteps {
 public:
  using Number = std::uint32_t;

  /// Borrows the events for as long as it lives. They may come in any order.
  explicit TraceSteps(std::span<const TraceEventRecord> events);

  std::size_t size() const noexcept { return events_.size(); }
  const TraceEventRecord& event(Number number) const { return events_[number]; }

  /// Its time since the first event's as it was recorded, shifted.
  std::chrono::nanoseconds time(Number number) const;

  /// What it had to wait for: first the event before it in its execution, if any, then what it heard of
  /// others, whom it heard last first.
  std::span<const Number> waited_for(Number number) const;
  /// The event before it in its execution.
  std::optional<Number> previous(Number number) const;

  /// Its executions, each by its events in order.
  const std::vector<std::vector<Number>>& executions() const noexcept { return executions_; }
  Number execution_of(Number number) const { return execution_of_[number]; }

  /// Of those instances that are shifted.
  std::vector<ClockShift> shifts() const;
  /// No: the times contradict the order in such a way that no shift helps; nothing is shifted then.
  bool can_shift() const noexcept { return can_shift_; }

 private:
  struct Edge {
    Number to, from;
  };

  void group();
  void index();
  void add_edges_of(Number execution);
  void add_previous(const std::vector<Number>& its, std::size_t place);
  void add_heard(Number event, std::span<const StoredComponent> clock);
  std::uint64_t& known_of(Number other, Number execution);
  void add_beginning(Number first, std::span<const StoredComponent> clock);
  void add_awaited(Number event);
  void add_calls();
  void add_edge(Number to, std::optional<Number> from);
  std::optional<Number> latest_within(Number execution, std::uint64_t steps) const;
  std::optional<Number> find(const TraceEventId& id) const;
  void store_edges();
  void take_times();
  void find_shifts();
  bool settle_shifts(std::int64_t tolerance);

  const std::span<const TraceEventRecord> events_;
  std::vector<Number> execution_of_;
  std::vector<std::vector<Number>> executions_;
  std::unordered_map<std::string_view, Number> by_name_;  // of those with a component of their own
  // Sorted.
  std::vector<std::pair<TraceEventId, Number>> by_id_;
  std::vector<std::pair<TraceEventId, Number>> children_;  // executions, by the event that began them
  std::vector<std::pair<SpanId, Number>> by_span_;         // executions whose component is their service's
  std::vector<std::pair<std::string, Number>> spawns_;     // events, by the tasks that they began
  StoredClockReader clocks_;

  // How many steps of each other execution the one that is looked at knows of; of older ones, nothing.
  struct Known {
    Number execution = 0;
    std::uint64_t steps = 0;
  };
  std::vector<Known> known_;
  std::vector<Edge> edges_;         // while they are found
  std::vector<Number> edge_begin_;  // of each event, in waited_for_
  std::vector<Number> waited_for_;
  std::vector<bool> has_previous_;

  std::vector<std::int64_t> times_;
  std::vector<Number> instance_of_;  // of each event: whose clock its time is of
  std::vector<std::pair<std::string_view, std::string_view>> instances_;
  std::map<std::pair<Number, Number>, std::int64_t> least_;  // by how much one is behind another, at least
  std::vector<std::int64_t> shifts_;
  bool can_shift_ = true;
};

}  // namespace codewake::analysis
