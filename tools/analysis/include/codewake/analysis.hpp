// Finds races, and what may become one, in recorded traces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/store.hpp"
#include "codewake/time.hpp"
#include "codewake/trace_event.hpp"

namespace codewake::analysis {

/// Which events: every field that is given must match.
struct RaceQuery {
  std::optional<TraceId> trace_id = std::nullopt;
  std::optional<Time> from = std::nullopt;  ///< from ≤ when
  std::optional<Time> to = std::nullopt;    ///< when < to
};

/// What a finding says. README.md shows an example of each.
enum class Verdict : std::uint8_t {
  /// Two accesses to a variable, one of them a write, that nothing orders.
  race = 1,
  /// A read, and a write of the same execution that may depend on it, with room in between for the write of
  /// another.
  check_then_act = 2,
  /// Locks that are taken one inside of the other, in one order here and another there.
  lock_order = 3,
  /// Two accesses that were ordered this time, though no lock is held at both.
  potential_race = 4
};
enum class Severity : std::uint8_t { critical = 1, warning = 2 };

/// `race`, `check-then-act`, `lock-order`, `potential-race`; `critical`, `warning`.
std::string_view to_string(Verdict verdict) noexcept;
std::string_view to_string(Severity severity) noexcept;

/// What led to an event, one step outwards.
struct Caller {
  enum class Kind : std::uint8_t {
    function = 1,  ///< it happened in a function that was tracked
    spawn = 2,     ///< its task was spawned
    served = 3,    ///< it was done for a request that its service was asked
    request = 4    ///< the request was sent
  };
  Kind kind = Kind::function;
  std::string name = {};  ///< the function or task, or the request's method and URL
  std::string service = {}, execution = {};
  std::string file = {};  ///< where it was called, spawned, received or sent; empty: not known
  std::uint32_t line = 0;

  bool operator==(const Caller&) const = default;
};

/// `function`, `spawn`, `served`, `request`.
std::string_view to_string(Caller::Kind kind) noexcept;

/// One finding, whatever the number of times it happened: it is told apart by its verdict and the places in
/// the source, and where these are not known, by the variable.
struct Finding {
  Verdict verdict = Verdict::race;
  Severity severity = Severity::critical;
  /// Something is missing of the executions: with all that they did, it may turn out to be none.
  bool is_uncertain = false;
  /// An example: the two accesses; check, act and the write in between; or what takes each lock of a cycle.
  std::vector<TraceEventRecord> events = {};
  /// What led to each of `events`, the innermost first, as far as it was recorded.
  std::vector<std::vector<Caller>> stacks = {};
  /// How many pairs of accesses nothing orders, of a race; of two writes, and of a read and a write.
  std::uint64_t write_write = 0, read_write = 0;
  /// The variables of a race, 100 at most, in alphabetical order, and how many there are.
  std::vector<std::string> variables = {};
  std::size_t variable_count = 0;
  /// The locks of a cycle, in the order of `events`.
  std::vector<std::string> locks = {};
  /// Why nothing keeps them apart: a sentence or more.
  std::string why = {};
};

/// What was looked at, and what was found: races first, the gravest first.
struct RaceReport {
  std::vector<Finding> findings;
  std::uint64_t events = 0, executions = 0, traces = 0;
  /// Of so many executions something is missing.
  std::uint64_t damaged_executions = 0;
};

/// Is told how many events were read, some times a second; may throw, which ends the analysis.
using OnProgress = std::function<void(std::uint64_t events)>;

/// Looks at what a store has. Reads it in pages and keeps about 100 bytes of an event; takes some seconds for
/// a million. Throws StoreError, and std::length_error with more than four thousand million events.
/// Thread-safe as the store is: reads on a thread of its own.
RaceReport find_races(Store& store, const RaceQuery& query = {}, const OnProgress& on_progress = {});

/// Looks at these events. Reentrant.
RaceReport find_races(std::span<const TraceEventRecord> events);

/// As people read it: a few lines, without a line's end behind the last.
std::string describe(const Finding& finding);

}  // namespace codewake::analysis
