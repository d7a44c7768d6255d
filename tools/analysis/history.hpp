// What was recorded, small enough to keep millions of events in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "codewake/records.hpp"
#include "codewake/trace_event.hpp"
#include "names.hpp"

namespace codewake::analysis {

/// A line of source.
struct Place {
  std::uint32_t file = 0;  ///< in History::files; 0 where the place is not known
  std::uint32_t line = 0;
};

/// A lock that an execution holds.
struct HeldLock {
  std::uint32_t lock = 0;  ///< in History::locks
  bool is_shared = false;  ///< together with others that do, as readers

  auto operator<=>(const HeldLock&) const = default;
};
using LockSet = std::vector<HeldLock>;  ///< sorted, each once

/// One event.
struct Happened {
  std::int64_t when = 0;  ///< nanoseconds since the Unix epoch
  Id row = 0;             ///< as recorded
  std::uint32_t execution = 0;
  std::uint32_t step = 0;      ///< as recorded; of what older systems recorded, from 1 on as it came
  std::uint32_t name = 0;      ///< in History::names: the variable, the lock …
  std::uint32_t place = 0;     ///< in History::places
  std::uint32_t lock_set = 0;  ///< in History::lock_sets
  TraceKind kind = TraceKind::custom;
  std::uint8_t access = 0;  ///< of a state change, an Access; 0: none is given
};

/// Why less is known of an execution than it did; several may hold.
enum Damage : std::uint8_t {
  kLostEvents = 1,      ///< steps are missing
  kLostBeginning = 2,   ///< nothing is there of what began it
  kUnreleasedLock = 4,  ///< it took a lock and was not seen to let it go
  kContradiction = 8    ///< by what was recorded, something came before itself
};

/// The number of no event.
inline constexpr std::uint32_t kNoEvent = ~std::uint32_t{0};

struct ExecutionHistory {
  std::string name;
  TraceId trace_id;
  std::uint32_t service = 0;   ///< in History::services
  std::uint32_t instance = 0;  ///< in History::services
  Id process_id = 0;
  std::uint32_t begun_by = kNoEvent;  ///< in History::events: a spawn, a request
  std::uint8_t damage = 0;
  /// Its clock tells it apart from all others; else it is the service's, as older systems have it.
  bool has_clock = true;
  /// A computer, which sees its processes begin and end: no execution of a program.
  bool is_machine = false;
};

/// Before an event come the first `steps` steps of another execution.
struct Precedence {
  std::uint32_t event = 0;      ///< in History::events
  std::uint32_t execution = 0;  ///< the other
  std::uint32_t steps = 0;
  /// However threads are scheduled it is so: by a spawn, a join or a message. Else a lock happened to go from
  /// the one to the other, or the order follows from what is firm.
  bool is_firm = true;
};

/// All that is known of some traces. HistoryBuilder makes it.
struct History {
  std::vector<Happened> events;  ///< as they came
  std::vector<ExecutionHistory> executions;
  std::vector<Precedence> precedences;  ///< by `event`
  Names names, services, files, locks;
  std::vector<Place> places;
  std::vector<LockSet> lock_sets;
  std::size_t traces = 0;
  /// The events of the executions, one execution behind the other, as they happened; and where each begins,
  /// with the end of the last.
  std::vector<std::uint32_t> by_execution, begin_of;

  std::span<const std::uint32_t> events_of(std::uint32_t execution) const noexcept {
    return std::span(by_execution)
        .subspan(begin_of[execution], begin_of[execution + 1] - begin_of[execution]);
  }
  /// How many of the execution's events are among its first `steps` steps.
  std::uint32_t count_within(std::uint32_t execution, std::uint32_t steps) const noexcept;
};

/// The name of a lock, of which several processes may have one each.
std::string lock_name(const History& history, std::uint32_t lock);

}  // namespace codewake::analysis
