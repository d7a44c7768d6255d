// What executions know of each other, as trees that share what is alike.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>

namespace codewake::analysis {

/// Makes vector clocks of up to a fixed number of executions, and owns them: each is a tree of which the
/// parts that two clocks have in common exist once. Joining two takes the time of what differs in them, and a
/// copy takes none. A clock is never changed while a second one shares its nodes. Thread-bound.
class ClockTree {
 public:
  static constexpr std::size_t kLeafBits = 6, kInnerBits = 5;
  static constexpr std::size_t kLeafSize = std::size_t{1} << kLeafBits;
  static constexpr std::size_t kInnerSize = std::size_t{1} << kInnerBits;

  /// Either a leaf, with the epochs of 64 executions, or an inner node.
  struct Node {
    std::uint64_t serial;  ///< tells its content apart from all others there ever were
    std::uint32_t references;
    union {
      std::array<std::uint32_t, kLeafSize> epochs;
      std::array<Node*, kInnerSize> children;
      Node* next_free;
    };
  };
  /// A clock. Null knows nothing. Whoever has one gives it back by `release`.
  using Clock = Node*;

  explicit ClockTree(std::size_t executions);
  ClockTree(const ClockTree&) = delete;
  ClockTree& operator=(const ClockTree&) = delete;

  /// Levels of inner nodes above the leaves.
  std::size_t levels() const noexcept { return levels_; }

  Clock share(Clock clock) noexcept {
    if (clock != nullptr) ++clock->references;
    return clock;
  }
  void release(Clock clock) noexcept { release(clock, levels_); }

  /// How many epochs of the execution are known.
  std::uint32_t epoch_of(Clock clock, std::uint32_t execution) const noexcept;

  /// `clock`, which it takes, with at least this epoch.
  Clock raised(Clock clock, std::uint32_t execution, std::uint32_t epoch) {
    return raised(clock, execution, epoch, levels_);
  }

  /// `clock`, which it takes, with what `other` knows.
  Clock joined(Clock clock, Clock other) { return joined(clock, other, levels_); }

 private:
  Node* make();
  Node* copy(const Node& from, std::size_t level);
  /// `node` itself where nobody shares it, else a copy that takes its place.
  Node* own(Node* node, std::size_t level);
  void release(Node* node, std::size_t level) noexcept;
  Node* raised(Node* node, std::uint32_t execution, std::uint32_t epoch, std::size_t level);
  Node* joined(Node* node, Node* other, std::size_t level);
  /// Whether `joined` makes another of it.
  static bool gains(const Node* node, const Node* other, std::size_t level) noexcept;
  /// `other` in the place of `node`.
  Node* replaced(Node* node, Node* other, std::size_t level) noexcept;

  std::size_t levels_ = 0;
  std::uint64_t last_serial_ = 0;
  std::deque<Node> nodes_;
  Node* free_ = nullptr;
};

/// Which child of an inner node at this level has the execution; levels count from 1, above the leaves.
inline std::size_t child_of(std::uint32_t execution, std::size_t level) noexcept {
  return (execution >> (ClockTree::kLeafBits + ClockTree::kInnerBits * (level - 1))) &
         (ClockTree::kInnerSize - 1);
}
inline std::size_t slot_of(std::uint32_t execution) noexcept {
  return execution & (ClockTree::kLeafSize - 1);
}

}  // namespace codewake::analysis
