// Locks that are taken one inside of the other in more than one order.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "access_tree.hpp"
#include "history.hpp"
#include "order.hpp"

namespace codewake::analysis {

/// A cycle: each of the events takes a lock while its execution holds the one that the event before took, and
/// the first while it holds that of the last.
struct LockCycle {
  std::vector<std::uint32_t> events;
  bool is_certain = false;
};

/// Takes the moments of a firm order. Two executions may wait for each other where each takes a lock that the
/// other holds, both can be there at once, and no further lock keeps them from that. Of longer cycles only
/// one is found of locks that hang together.
class LockOrderDetector {
 public:
  /// Borrows both.
  LockOrderDetector(const History& history, const Order& order) : history_(history), order_(order) {}

  void visit(const Moment& moment);
  /// After all moments.
  std::vector<LockCycle> cycles() const;

 private:
  /// How a lock was taken inside of another.
  struct Nesting {
    std::uint32_t place = 0, lock_set = 0;  ///< the locks that are held then, the new one among them
    std::uint32_t event = 0;                ///< the first that did it
    AccessTree accesses;
  };
  using Locks = std::pair<std::uint32_t, std::uint32_t>;  ///< that outside, that inside

  bool have_gate(std::uint32_t lock_set, std::uint32_t other, Locks locks) const;
  void find_longer(std::vector<LockCycle>& cycles) const;

  const History& history_;
  const Order& order_;
  std::map<Locks, std::vector<Nesting>> nestings_;
  std::map<Locks, LockCycle> pairs_;  // the lower lock first
};

}  // namespace codewake::analysis
