#include "clock_tree.hpp"

#include <algorithm>

namespace codewake::analysis {

ClockTree::ClockTree(std::size_t executions) {
  for (std::size_t room = kLeafSize; room < executions; room <<= kInnerBits) ++levels_;
}

ClockTree::Node* ClockTree::make() {
  Node* node = free_;
  if (node == nullptr) {
    node = &nodes_.emplace_back();
  } else {
    free_ = node->next_free;
  }
  node->serial = ++last_serial_;
  node->references = 1;
  return node;
}

ClockTree::Node* ClockTree::copy(const Node& from, std::size_t level) {
  Node* const node = make();
  if (level == 0) {
    node->epochs = from.epochs;
  } else {
    node->children = from.children;
    for (Node* child : node->children) share(child);
  }
  return node;
}

ClockTree::Node* ClockTree::own(Node* node, std::size_t level) {
  if (node->references == 1) {
    node->serial = ++last_serial_;
    return node;
  }
  --node->references;
  return copy(*node, level);
}

void ClockTree::release(Node* node, std::size_t level) noexcept {
  if (node == nullptr || --node->references != 0) return;
  if (level > 0) {
    for (Node* child : node->children) release(child, level - 1);
  }
  node->next_free = free_;
  free_ = node;
}

std::uint32_t ClockTree::epoch_of(Clock clock, std::uint32_t execution) const noexcept {
  const Node* node = clock;
  for (std::size_t level = levels_; level > 0 && node != nullptr; --level)
    node = node->children[child_of(execution, level)];
  return node == nullptr ? 0 : node->epochs[slot_of(execution)];
}

ClockTree::Node* ClockTree::raised(Node* node, std::uint32_t execution, std::uint32_t epoch,
                                   std::size_t level) {
  if (node == nullptr) {
    node = make();
    if (level == 0) {
      node->epochs = {};
    } else {
      node->children = {};
    }
  }
  if (level == 0) {
    if (node->epochs[slot_of(execution)] >= epoch) return node;
    node = own(node, level);
    node->epochs[slot_of(execution)] = epoch;
    return node;
  }
  node = own(node, level);
  Node*& child = node->children[child_of(execution, level)];
  child = raised(child, execution, epoch, level - 1);
  return node;
}

ClockTree::Node* ClockTree::replaced(Node* node, Node* other, std::size_t level) noexcept {
  share(other);
  release(node, level);
  return other;
}

// Of two that are alike the older one is taken, so that in the end all clocks share it.
bool ClockTree::gains(const Node* node, const Node* other, std::size_t level) noexcept {
  if (other == nullptr || node == other) return false;
  if (node == nullptr) return true;
  if (level > 0) {
    for (std::size_t i = 0; i < kInnerSize; ++i) {
      if (gains(node->children[i], other->children[i], level - 1)) return true;
    }
    return false;
  }
  bool has_more = false, has_less = false;
  for (std::size_t i = 0; i < kLeafSize; ++i) {
    has_more |= node->epochs[i] > other->epochs[i];
    has_less |= node->epochs[i] < other->epochs[i];
  }
  return has_less || (!has_more && other->serial < node->serial);
}

ClockTree::Node* ClockTree::joined(Node* node, Node* other, std::size_t level) {
  if (!gains(node, other, level)) return node;
  if (node == nullptr) return share(other);
  if (level == 0) {
    const bool is_covered = std::equal(node->epochs.begin(), node->epochs.end(), other->epochs.begin(),
                                       [](std::uint32_t a, std::uint32_t b) { return a <= b; });
    if (is_covered) return replaced(node, other, level);
    node = own(node, level);
    for (std::size_t i = 0; i < kLeafSize; ++i) node->epochs[i] = std::max(node->epochs[i], other->epochs[i]);
    return node;
  }
  node = own(node, level);
  for (std::size_t i = 0; i < kInnerSize; ++i)
    node->children[i] = joined(node->children[i], other->children[i], level - 1);
  return node->children == other->children ? replaced(node, other, level) : node;
}

}  // namespace codewake::analysis
