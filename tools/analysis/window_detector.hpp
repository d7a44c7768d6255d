// Checks, and the acts that depend on them, with room for others in between.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "access_tree.hpp"
#include "history.hpp"
#include "order.hpp"

namespace codewake::analysis {

/// Places in History::places: of the check, of the act, and of the write that can come in between.
struct WindowPlaces {
  std::uint32_t check = 0, act = 0, between = 0;
  std::uint32_t variable = 0;  ///< in History::names; any, where the places are known

  auto operator<=>(const WindowPlaces&) const = default;
};
/// An example: events.
struct WindowFound {
  std::uint32_t check = 0, act = 0, between = 0;
  bool is_certain = false;
};
using WindowsFound = std::map<WindowPlaces, WindowFound>;

/// A window is open from an execution's last read of a variable to the write that follows it, for writes of
/// others that no lock keeps out: one that is held all the time, and at the other write as well.
///
/// Takes the moments of either order, and then looks for two things. In the observed one: writes that nothing
/// orders before the check or behind the act. In the firm one: writes that only a lock ordered, which is held
/// at each of the three, but let go between check and act; it may come in between another time.
class WindowDetector {
 public:
  using Variables = std::unordered_set<std::uint32_t>;  ///< in History::names

  /// Takes the moments of an observed order. Borrows both. Must go before the order, whose clocks it holds.
  WindowDetector(const History& history, Order& order);
  /// The same of a firm order, and of these variables alone, where the observed one's `with_gaps` are enough.
  WindowDetector(const History& history, Order& order, const Variables& variables)
      : WindowDetector(history, order) {
    chosen_ = &variables;
  }
  WindowDetector(const WindowDetector&) = delete;
  WindowDetector& operator=(const WindowDetector&) = delete;
  ~WindowDetector();

  void visit(const Moment& moment);

  const WindowsFound& found() const noexcept { return found_; }
  /// Variables of which a check and its act were made with a lock that was let go in between.
  const Variables& with_gaps() const noexcept { return with_gaps_; }

 private:
  struct Check {
    std::uint32_t event = 0;
    ClockTree::Clock clock = nullptr;
  };
  struct Write {
    std::uint32_t place = 0, lock_set = 0;
    AccessTree accesses;
  };
  struct Window {
    std::uint32_t check_place = 0, act_place = 0;
    std::uint32_t check_locks = 0, act_locks = 0;  ///< lock sets
    LockSet throughout;                            ///< held from the one to the other
    AccessTree acts;
  };
  struct Variable {
    std::vector<Write> writes;
    std::vector<Window> windows;
    std::unordered_map<std::uint32_t, Check> checks;  // by execution, where no write followed yet
  };

  bool was_let_go(std::uint32_t lock, std::uint32_t execution, std::uint32_t since) const;
  void close(const Moment& moment, Variable& variable, const Check& check);
  void look_behind(const Moment& moment, const Variable& variable);
  LockSet held_throughout(std::uint32_t check, std::uint32_t act) const;
  bool is_open(const Window& window, std::uint32_t lock_set) const;
  std::pair<std::uint32_t, std::uint32_t> check_and_act(const Window& window, std::uint32_t variable,
                                                        std::uint32_t execution, std::uint32_t epoch) const;
  void report(std::uint32_t check, std::uint32_t act, std::uint32_t between);
  bool is_reported(const Window& window, std::uint32_t between_place, std::uint32_t variable) const;
  WindowPlaces places_of(std::uint32_t check_place, std::uint32_t act_place, std::uint32_t between_place,
                         std::uint32_t variable) const;

  const History& history_;
  Order& order_;
  const Variables* chosen_ = nullptr;                      // null: all, in the observed order
  std::unordered_map<std::uint32_t, Variable> variables_;  // by name
  // By execution: the last step in which it let go of a lock, by the lock's name.
  std::vector<std::unordered_map<std::uint32_t, std::uint32_t>> let_go_;
  std::vector<std::optional<std::uint32_t>> lock_names_;  // in History::names, by lock
  Variables with_gaps_;
  WindowsFound found_;
};

}  // namespace codewake::analysis
