// Accesses that no lock keeps apart, though something ordered them this time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "access_tree.hpp"
#include "history.hpp"
#include "order.hpp"
#include "race_detector.hpp"

namespace codewake::analysis {

/// An example of accesses without a common lock: events.
struct UnguardedFound {
  std::uint32_t first = 0, second = 0;
  bool is_certain = false;
};

/// Takes the moments of a firm order. Two accesses of different executions are suspicious
/// - where both hold locks, but none in common, whatever ordered them;
/// - where one of them holds a lock, the other none, and only locks ordered them: but not what was written
///   without a lock, and not a read of what was written, for that is how things are handed over.
/// Where neither holds one, nothing says that locks are meant to order them.
class LockSetDetector {
 public:
  /// Borrows both.
  LockSetDetector(const History& history, const Order& order);

  void visit(const Moment& moment);

  const std::map<PlacePair, UnguardedFound>& found() const noexcept { return found_; }

 private:
  struct Site {
    std::uint32_t place = 0;
    std::uint32_t lock_set = 0;
    AccessKind kind;
    std::uint32_t first = 0;  ///< an event
    std::uint32_t other = 0;  ///< one of another execution than the first; the first itself: there is none
    AccessTree accesses;
  };

  std::optional<std::uint32_t> find_suspicious(const Moment& moment, const Site& site, AccessKind kind) const;

  const History& history_;
  const Order& order_;
  std::vector<bool> is_mixed_;  // variables, by name, that are accessed with locks and without
  std::unordered_map<std::uint32_t, std::vector<Site>> variables_;
  std::map<PlacePair, UnguardedFound> found_;
};

}  // namespace codewake::analysis
