// Which events can have caused which: all of a history, each event after what came before it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "clock_tree.hpp"
#include "history.hpp"

namespace codewake::analysis {

/// What an execution knows when an event happens.
///
/// Executions count time in epochs, from 1 on: one ends with each event that another execution comes to know
/// of. An event of epoch e came before another execution's event if that one's clock knows e epochs.
struct Moment {
  std::uint32_t event = 0;  ///< in History::events
  std::uint32_t execution = 0;
  std::uint32_t epoch = 0;
  ClockTree::Clock clock = nullptr;  ///< borrowed; knows its own epoch, too
};

/// Happens-before, rebuilt. Takes time and memory in proportion to events, and to what executions learn of
/// each other. Reentrant.
class Order {
 public:
  enum class Kind {
    observed,  ///< as it was this time
    firm       ///< as it is however locks go from one execution to the other
  };

  /// Borrows the history.
  Order(const History& history, Kind kind);
  Order(const Order&) = delete;
  Order& operator=(const Order&) = delete;

  const ClockTree& clocks() const noexcept { return clocks_; }
  ClockTree& clocks() noexcept { return clocks_; }

  /// Calls `visit` with the moment of each event, once for an object: those of one execution by their steps,
  /// and none before one that came before it. What contradicts that is left out, and noted.
  template <class Visit>
  void walk(Visit visit) {
    for (std::uint32_t event = 0; event < history_.events.size(); ++event) {
      if (!is_done_[event]) advance(event, visit);
    }
  }

  /// Executions of which what was recorded contradicts itself.
  const std::vector<bool>& contradictory() const noexcept { return is_contradictory_; }

  /// An execution's first event of that epoch of which `is` is true, which there must be.
  template <class Is>
  std::uint32_t event_of(std::uint32_t execution, std::uint32_t epoch, Is is) const {
    const auto its = events_of(execution, epoch);
    return *std::find_if(its.begin(), its.end(),
                         [&](std::uint32_t number) { return is(history_.events[number]); });
  }

 private:
  /// An event that ends an epoch.
  struct Publication {
    std::uint32_t execution = 0;
    std::uint32_t position = 0;  ///< how many events of the execution are done then
    std::uint32_t wanted = 0;    ///< by so many events that are still to come
    ClockTree::Clock clock = nullptr;
  };
  struct Edge {
    std::uint32_t event = 0;
    std::uint32_t publication = 0;
  };
  struct Progress {
    ClockTree::Clock clock = nullptr;
    std::uint32_t done = 0;  ///< how many events
    std::uint32_t epoch = 1;
    bool knows_epoch = false;
    bool is_waiting = false;
  };
  struct Wait {
    std::uint32_t execution = 0;
    std::uint32_t until = 0;  ///< how many of its events
  };

  std::span<const std::uint32_t> events_of(std::uint32_t execution, std::uint32_t epoch) const;
  template <class Visit>
  void advance(std::uint32_t event, Visit& visit);
  std::size_t first_edge_of(std::uint32_t event) const;
  bool is_wanting(std::uint32_t event);
  void learn(std::uint32_t event);
  void publish(std::uint32_t execution);

  const History& history_;
  ClockTree clocks_;
  std::vector<Publication> publications_;         // by execution, then by position
  std::vector<std::uint32_t> first_publication_;  // of each execution, and the end
  std::vector<Edge> edges_;                       // by event
  std::vector<bool> has_edges_, is_done_, is_contradictory_;
  std::vector<Progress> progress_;  // by execution
  std::vector<Wait> waits_;         // each for the next
};

template <class Visit>
void Order::advance(std::uint32_t event, Visit& visit) {
  const std::uint32_t wanted = history_.events[event].execution;
  const auto its = history_.events_of(wanted);
  std::uint32_t until = progress_[wanted].done;
  while (its[until++] != event) {
  }
  waits_.push_back({wanted, until});
  progress_[wanted].is_waiting = true;
  while (!waits_.empty()) {
    const Wait wait = waits_.back();
    Progress& progress = progress_[wait.execution];
    if (progress.done >= wait.until) {
      progress.is_waiting = false;
      waits_.pop_back();
      continue;
    }
    const std::uint32_t next = history_.events_of(wait.execution)[progress.done];
    if (has_edges_[next]) {
      if (is_wanting(next)) continue;
      learn(next);
    }
    if (!progress.knows_epoch) {
      progress.clock = clocks_.raised(progress.clock, wait.execution, progress.epoch);
      progress.knows_epoch = true;
    }
    visit(Moment{next, wait.execution, progress.epoch, progress.clock});
    is_done_[next] = true;
    ++progress.done;
    publish(wait.execution);
  }
}

}  // namespace codewake::analysis
