// What led to an event: functions, spawns and requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "codewake/analysis.hpp"
#include "history.hpp"

namespace codewake::analysis {

/// Reads an execution when it is first asked for one of its events. Borrows the history. Thread-bound.
class CallChains {
 public:
  explicit CallChains(const History& history) : history_(history) {}

  /// The innermost first: the functions that the event is in, then what its execution began with and what
  /// began that, and so on outwards; at most 64. A function of which no return was recorded is not known
  /// to be one that the event is in.
  std::vector<Caller> of(std::uint32_t event);

 private:
  static constexpr std::size_t kMost = 64;
  /// Of each event that is in a function, the call of the innermost; sorted.
  using Functions = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

  void add_functions(std::vector<Caller>& callers, std::uint32_t event);
  Caller caller_of(std::uint32_t event, Caller::Kind kind) const;
  const Functions& functions_of(std::uint32_t execution);

  const History& history_;
  std::unordered_map<std::uint32_t, Functions> functions_;  // by execution
};

}  // namespace codewake::analysis
