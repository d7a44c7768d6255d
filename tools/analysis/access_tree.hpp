// The accesses of one place to one variable, asked which of them a clock does not know.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "clock_tree.hpp"

namespace codewake::analysis {

/// Counts by execution and epoch, in a tree of the shape of the clocks': of the parts of a clock that were
/// asked for before, the answer is remembered. While each access comes after all before it, as those that a
/// lock guards do, who knows of the last knows of all, and there is but a list. Thread-bound, with the
/// clocks, which it borrows.
class AccessTree {
 public:
  explicit AccessTree(const ClockTree& clocks) : clocks_(&clocks) {}

  /// Epochs of an execution come in order. `clock`: what the execution knows, itself included.
  void add(std::uint32_t execution, std::uint32_t epoch, ClockTree::Clock clock);

  /// How many the clock does not know.
  std::uint64_t count_unknown(ClockTree::Clock clock) const {
    if (is_chain_ && knows_last(clock)) return 0;
    plant();
    return root_ ? count_unknown(*root_, clock, clocks_->levels()) : 0;
  }
  /// An execution and its epoch in which the clock does not know of an access; empty where it knows of all.
  std::optional<std::pair<std::uint32_t, std::uint32_t>> find_unknown(ClockTree::Clock clock) const;

 private:
  struct Counted {
    std::uint32_t epoch = 0;
    std::uint32_t so_far = 0;  ///< up to its end
  };
  struct Listed {
    std::uint32_t execution = 0;
    Counted counted;
  };
  /// What one execution did. Most do it in one epoch.
  struct Lane {
    std::uint32_t execution = 0;
    Counted last;
    std::unique_ptr<std::vector<Counted>> earlier;
  };
  struct Node {
    std::uint64_t total = 0;
    mutable std::uint64_t asked = 0;  // the serial of the clock's node that was asked for; 0: none since
    mutable std::uint64_t answer = 0;
    std::vector<Lane> lanes;                      // of a leaf
    std::vector<std::unique_ptr<Node>> children;  // of an inner node
  };

  bool knows_last(ClockTree::Clock clock) const noexcept {
    return clocks_->epoch_of(clock, last_.execution) >= last_.counted.epoch;
  }
  void plant() const;
  void insert(std::uint32_t execution, std::uint32_t epoch, std::uint32_t count) const;
  static std::uint64_t count_unknown(const Node& node, const ClockTree::Node* clock, std::size_t level);
  static std::uint64_t count_unknown(const Lane& lane, std::uint32_t known);

  const ClockTree* clocks_;
  Listed last_;                       // what was added last; of epoch 0: nothing
  bool is_chain_ = true;              // each came after all before it
  mutable std::vector<Listed> list_;  // what is not in the tree yet
  mutable std::unique_ptr<Node> root_;
};

}  // namespace codewake::analysis
