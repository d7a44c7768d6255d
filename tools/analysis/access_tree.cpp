#include "access_tree.hpp"

#include <algorithm>

namespace codewake::analysis {

void AccessTree::add(std::uint32_t execution, std::uint32_t epoch, ClockTree::Clock clock) {
  is_chain_ = is_chain_ && knows_last(clock);
  last_ = {execution, {epoch, 0}};
  if (root_ != nullptr) return insert(execution, epoch, 1);
  const bool is_again =
      !list_.empty() && list_.back().execution == execution && list_.back().counted.epoch == epoch;
  if (!is_again) list_.push_back({execution, {epoch, 0}});
  ++list_.back().counted.so_far;
}

void AccessTree::plant() const {
  for (const auto& [execution, counted] : list_) insert(execution, counted.epoch, counted.so_far);
  if (!list_.empty()) list_ = {};
}

void AccessTree::insert(std::uint32_t execution, std::uint32_t epoch, std::uint32_t count) const {
  std::unique_ptr<Node>* place = &root_;
  for (std::size_t level = clocks_->levels();; --level) {
    if (*place == nullptr) *place = std::make_unique<Node>();
    Node& node = **place;
    node.total += count;
    node.asked = 0;
    if (level == 0) break;
    if (node.children.empty()) node.children.resize(ClockTree::kInnerSize);
    place = &node.children[child_of(execution, level)];
  }
  std::vector<Lane>& lanes = (*place)->lanes;
  auto lane = std::find_if(lanes.rbegin(), lanes.rend(),
                           [&](const Lane& each) { return each.execution == execution; });
  if (lane == lanes.rend()) {
    lanes.push_back({execution, {epoch, 0}, nullptr});
    lane = lanes.rbegin();
  }
  if (lane->last.epoch != epoch) {
    if (lane->earlier == nullptr) lane->earlier = std::make_unique<std::vector<Counted>>();
    lane->earlier->push_back(std::exchange(lane->last, {epoch, lane->last.so_far}));
  }
  lane->last.so_far += count;
}

// Little is unknown, mostly: the search begins with the latest epochs.
std::uint64_t AccessTree::count_unknown(const Lane& lane, std::uint32_t known) {
  if (lane.last.epoch <= known) return 0;
  if (lane.earlier == nullptr) return lane.last.so_far;
  const std::vector<Counted>& earlier = *lane.earlier;
  std::size_t begin = earlier.size(), stride = 1;
  while (begin > 0 && earlier[begin - 1].epoch > known) {
    begin -= std::min(stride, begin);
    stride *= 2;
  }
  const auto first_unknown =
      std::upper_bound(earlier.begin() + static_cast<std::ptrdiff_t>(begin), earlier.end(), known,
                       [](std::uint32_t epoch, const Counted& counted) { return epoch < counted.epoch; });
  const std::uint32_t before = first_unknown == earlier.begin() ? 0 : std::prev(first_unknown)->so_far;
  return lane.last.so_far - before;
}

std::uint64_t AccessTree::count_unknown(const Node& node, const ClockTree::Node* clock, std::size_t level) {
  if (clock == nullptr) return node.total;
  if (node.asked == clock->serial) return node.answer;
  std::uint64_t count = 0;
  if (level == 0) {
    for (const Lane& lane : node.lanes) count += count_unknown(lane, clock->epochs[slot_of(lane.execution)]);
  } else {
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      if (node.children[i]) count += count_unknown(*node.children[i], clock->children[i], level - 1);
    }
  }
  node.asked = clock->serial;
  node.answer = count;
  return count;
}

std::optional<std::pair<std::uint32_t, std::uint32_t>> AccessTree::find_unknown(
    ClockTree::Clock clock) const {
  if (is_chain_ && knows_last(clock)) return std::nullopt;
  plant();
  const Node* node = root_.get();
  if (node == nullptr) return std::nullopt;
  for (std::size_t level = clocks_->levels(); level > 0; --level) {
    const Node* next = nullptr;
    for (std::size_t i = 0; i < node->children.size() && next == nullptr; ++i) {
      const ClockTree::Node* const known = clock == nullptr ? nullptr : clock->children[i];
      const Node* const child = node->children[i].get();
      if (child == nullptr || count_unknown(*child, known, level - 1) == 0) continue;
      next = child;
      clock = const_cast<ClockTree::Node*>(known);
    }
    if (next == nullptr) return std::nullopt;
    node = next;
  }
  for (const Lane& lane : node->lanes) {
    const std::uint32_t known = clock == nullptr ? 0 : clock->epochs[slot_of(lane.execution)];
    if (lane.last.epoch > known) return std::pair(lane.execution, lane.last.epoch);
  }
  return std::nullopt;
}

}  // namespace codewake::analysis
