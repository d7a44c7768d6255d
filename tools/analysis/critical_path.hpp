// The chain of events that determined how long a trace took.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/trace_event.hpp"
#include "trace_steps.hpp"

namespace codewake::analysis {

/// What time was spent on.
enum class Doing : std::uint8_t {
  begin,    ///< nothing yet: the first event
  work,     ///< whatever an execution does between two events of its own
  query,    ///< waiting for a database
  call,     ///< waiting for the answer of somebody of whom the trace knows nothing
  lock,     ///< waiting for a lock
  spawn,    ///< until a task began that was spawned
  join,     ///< until it was seen that a task had ended
  request,  ///< until a request was there that was sent
  answer,   ///< until its answer was there
  message   ///< until something else was there that another execution told
};

std::string_view to_string(Doing doing) noexcept;

/// From one event of the chain to the next.
struct CriticalSegment {
  const TraceEventRecord* from = nullptr;  ///< null: it is the first
  const TraceEventRecord* to = nullptr;    ///< whose execution it was that worked or waited
  Doing doing = Doing::begin;
  std::chrono::nanoseconds begin{0};  ///< since the first event of the chain
  std::chrono::nanoseconds time{0};   ///< never negative
  std::string inside = {};            ///< the innermost function that was not left yet; empty: none is known
};

/// How much of the path was spent where.
struct CriticalShare {
  std::string name;
  std::chrono::nanoseconds time{0};
  std::uint64_t segments = 0;
};

struct CriticalPath {
  std::chrono::nanoseconds total{0};  ///< of the chain, which the segments add up to
  std::chrono::nanoseconds trace{0};  ///< from the trace's first event to its last
  std::vector<CriticalSegment> segments = {};
  std::vector<CriticalShare> services = {};  ///< the largest first, and so the kinds
  std::vector<CriticalShare> kinds = {};
  std::vector<ClockShift> shifts = {};  ///< that made times comparable
  bool can_compare = true;              ///< no: times of different machines contradict each other
};

/// Walks back from the end of the request that the trace began with or, where it began with none, from its
/// last event: to the event before it in its execution, or that of another execution for which it had to wait
/// (TraceSteps), whichever was last. Empty where there are no events. Takes time and memory in proportion to
/// the events and what their clocks say. Borrows the events in its result. Thread-safe.
CriticalPath find_critical_path(std::span<const TraceEventRecord> events);

}  // namespace codewake::analysis
