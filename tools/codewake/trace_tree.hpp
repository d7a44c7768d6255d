// The executions of one trace, and who began whom.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "codewake/records.hpp"
#include "codewake/store.hpp"
#include "codewake/trace_event.hpp"

namespace codewake::cli {

/// Something that happened in an execution: one of the two is there.
struct TraceEntry {
  const TraceEventRecord* traced = nullptr;
  const EventRecord* logged = nullptr;

  Time when() const noexcept { return traced != nullptr ? traced->when : logged->when; }
};

struct TraceExecution {
  std::string name;  ///< as the clock has it; empty: of a span of which nothing else is known
  std::string service;
  std::string instance;
  SpanId span_id;
  std::optional<std::size_t> parent;  ///< which one began it
  TraceEventId begun_by;              ///< the parent's event that did; empty where it is not known
  std::vector<std::size_t> children;  ///< in the order of their begin
  std::vector<TraceEntry> entries;  ///< trace events by their steps, and between them by time what was logged

  Time first() const noexcept { return entries.front().when(); }
};

/// What a store has of a trace. Reentrant.
class TraceTree {
 public:
  TraceTree(std::vector<TraceEventRecord> events, std::vector<EventRecord> logged);
  TraceTree(const TraceTree&) = delete;
  TraceTree& operator=(const TraceTree&) = delete;

  bool empty() const noexcept { return executions_.empty(); }
  const std::vector<TraceEventRecord>& events() const noexcept { return events_; }
  const std::vector<EventRecord>& logged() const noexcept { return logged_; }
  /// In the order of their begin.
  const std::vector<TraceExecution>& executions() const noexcept { return executions_; }
  std::vector<std::size_t> roots() const;
  /// Of all that happened; the tree must not be empty.
  Time first() const;
  Time last() const;
  /// Each once, in alphabetical order.
  std::vector<std::string> services() const;

 private:
  void add_traced();
  void add_logged();
  void find_parents();

  const std::vector<TraceEventRecord> events_;
  const std::vector<EventRecord> logged_;
  std::vector<TraceExecution> executions_;
};

/// Reads all of it. Throws StoreError.
TraceTree read_trace(Store& store, const TraceId& trace_id);

}  // namespace codewake::cli
