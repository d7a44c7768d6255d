// Makes a history of events as stores give them back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "codewake/records.hpp"
#include "codewake/trace_event.hpp"
#include "history.hpp"
#include "names.hpp"
#include "stored_clock.hpp"

namespace codewake::analysis {

/// Takes about 60 bytes for an event and 300 for an execution. Whatever the events say of each other, it
/// takes them: what is missing, malformed or contradicts itself shows as damage of their executions.
/// Reentrant.
class HistoryBuilder {
 public:
  HistoryBuilder();
  HistoryBuilder(const HistoryBuilder&) = delete;
  HistoryBuilder& operator=(const HistoryBuilder&) = delete;
  ~HistoryBuilder();

  /// In any order, though best by time. Throws std::length_error with more than four thousand million.
  void add(const TraceEventRecord& event);
  /// A process of which events are there.
  void add(const ProcessRecord& process);

  /// The history, once; nothing can be added then.
  History finish();

  std::size_t events() const noexcept { return history_.events.size(); }
  /// Those that the events were of.
  const std::unordered_set<Id>& processes() const noexcept { return process_ids_; }

 private:
  /// What is remembered of an execution between its events.
  struct Mind {
    std::size_t clock_head = 0;  // a hash of it; 0: none yet
    std::vector<std::pair<std::uint32_t, std::uint64_t>>
        known;                   // steps, by the number of an execution's name
    LockSet held;                // in the order in which they were taken
    std::size_t locks_text = 0;  // a hash of what lock_set was made of; 0: none
    std::uint32_t lock_set = 0;
    std::uint64_t highest_step = 0;
    std::uint32_t lowest_step = ~std::uint32_t{0};
    std::uint64_t begun_by = 0;  // the id of what came before the event with the lowest step
    SpanId upstream;             // that of the same event
  };
  /// An event of an older system: its execution shows only when all are there.
  struct Older {
    std::uint32_t event = 0;
    std::uint64_t parent = 0;
  };
  struct Sent {
    std::uint32_t event = 0;
    SpanId span;
  };
  struct Awaited {
    std::uint32_t event = 0;
    std::string task;
  };
  using EventOfId = std::unordered_map<std::uint64_t, std::uint32_t>;

  std::uint32_t execution_of(const TraceEventRecord& event);
  std::uint32_t name_number(std::string_view execution);
  std::uint32_t add_execution(const TraceEventRecord& event, bool has_clock);
  void read_clock(Mind& mind, std::uint32_t event, const TraceEventRecord& record);
  std::uint32_t place_of(const TraceEventRecord& event);
  std::uint32_t lock_of(const TraceEventRecord& event, std::string_view name);
  void note_lock(Mind& mind, const TraceEventRecord& event);
  std::uint32_t lock_set_of(Mind& mind, const TraceEventRecord& event);
  void note_task(std::uint32_t event, const TraceEventRecord& record);
  void note_message(std::uint32_t event, const TraceEventRecord& record);

  // history_order.cpp
  EventOfId find_parents() const;
  void chain_older(const EventOfId& parents);
  void resolve_clocks();
  void add_spawns(const EventOfId& parents);
  void add_joins();
  void add_messages();
  void add_older_locks();
  void look_for_damage();
  void add_machines();
  void order_by_execution();
  std::optional<std::uint32_t> find_execution(std::uint32_t name, const TraceId& trace) const;
  void begin_by(std::uint32_t first, std::uint32_t before);
  void precede(std::uint32_t event, std::uint32_t before, bool is_firm = true);
  void precede_by_last(std::uint32_t event, std::uint32_t execution, std::int64_t until);

  History history_;
  Names execution_names_;
  StoredClockReader clocks_;
  std::vector<std::vector<std::uint32_t>> named_so_;  // executions, by the number of their name
  std::vector<std::unique_ptr<Mind>> minds_;          // by execution
  std::vector<std::uint64_t> ids_;                    // of events, in short
  std::unordered_set<std::string> traces_;
  std::unordered_map<std::uint64_t, std::uint32_t> place_numbers_;
  std::unordered_map<std::string, std::uint32_t> lock_set_numbers_;
  std::unordered_map<std::string, std::uint32_t> spawn_of_task_;
  std::vector<Older> older_;
  std::unordered_set<std::uint32_t> shared_events_;  // of locks, by older systems: taken or let go by readers
  std::vector<Sent> sent_;
  std::vector<Awaited> awaited_;
  std::unordered_set<Id> process_ids_;
  std::vector<ProcessRecord> processes_;
};

}  // namespace codewake::analysis
