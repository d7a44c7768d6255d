// Accesses to variables that nothing orders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "access_tree.hpp"
#include "history.hpp"
#include "order.hpp"

namespace codewake::analysis {

/// How an event accesses its variable.
struct AccessKind {
  bool is_write = false;
  bool is_atomic = false;

  bool operator==(const AccessKind&) const = default;
};
AccessKind access_kind_of(const Happened& event) noexcept;

/// Whether two accesses can make a race at all.
inline bool is_conflict(AccessKind a, AccessKind b) noexcept {
  return (a.is_write || b.is_write) && !(a.is_atomic && b.is_atomic);
}

/// Whether a lock is held at both accesses, at one of them alone.
bool has_common_lock(const LockSet& a, const LockSet& b);

inline constexpr std::uint32_t kAnyVariable = ~std::uint32_t{0};

/// Places whose accesses make a finding together; of unknown places, those of each variable.
struct PlacePair {
  std::uint32_t first = 0, second = 0;    ///< in History::places; first ≤ second
  std::uint32_t variable = kAnyVariable;  ///< in History::names

  auto operator<=>(const PlacePair&) const = default;
};
/// Of an access and one at the other place, to the same variable.
PlacePair place_pair(const History& history, const Happened& event, std::uint32_t other_place);

/// What was found of two places.
struct RaceFound {
  std::uint64_t write_write = 0, read_write = 0;  ///< pairs of accesses
  std::uint32_t first = 0, second = 0;            ///< an example: events; of writes where there is one
  bool is_write_example = false;
  bool is_certain = false;  ///< of the executions of the example, nothing is missing
  std::unordered_set<std::uint32_t> variables;
};
using RacesFound = std::map<PlacePair, RaceFound>;

/// Takes the moments of an observed order, and counts the pairs of accesses that it leaves unordered.
class RaceDetector {
 public:
  /// Borrows both.
  RaceDetector(const History& history, const Order& order);
  RaceDetector(const RaceDetector&) = delete;
  RaceDetector& operator=(const RaceDetector&) = delete;
  ~RaceDetector();

  void visit(const Moment& moment);

  const RacesFound& found() const noexcept { return found_; }

 private:
  struct Site;
  struct Variable;

  void compare(const Moment& moment, const Site& site, AccessKind kind);
  const History& history_;
  const Order& order_;
  std::vector<std::unique_ptr<Variable>> variables_;  // by name
  RacesFound found_;
};

}  // namespace codewake::analysis
