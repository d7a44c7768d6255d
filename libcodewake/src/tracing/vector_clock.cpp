#include "codewake/vector_clock.hpp"

#include <algorithm>
#include <cstring>

namespace codewake {
namespace {

// The executions of one service differ at the end of their names, which is looked at first.
bool is_same(std::string_view a, std::string_view b) noexcept {
  constexpr std::size_t kEnd = 8;
  if (a.size() != b.size()) return false;
  if (a.size() >= kEnd && std::memcmp(a.data() + a.size() - kEnd, b.data() + b.size() - kEnd, kEnd) != 0)
    return false;
  return a == b;
}

}  // namespace

std::uint64_t VectorClock::steps_of(std::string_view execution) const noexcept {
  if (execution == own_.execution) return own_.steps;
  const auto known = std::ranges::find(others_, execution, &Component::execution);
  return known == others_.end() ? 0 : known->steps;
}

template <class Said>
bool VectorClock::learn(Said&& said) {
  if (said.steps == 0 || is_same(said.execution, own_.execution)) return false;
  const auto known = std::ranges::find_if(
      others_, [&](const Component& other) { return is_same(other.execution, said.execution); });
  if (known != others_.end()) {
    const bool is_new = said.steps > known->steps;
    if (is_new) known->steps = said.steps;
    std::rotate(known, known + 1, others_.end());
    return is_new;
  }
  if (others_.size() == kMaxOthers) others_.erase(others_.begin());
  others_.push_back(std::forward<Said>(said));
  return true;
}

bool VectorClock::merge(std::span<const Component> said) {
  if (others_.empty()) others_.reserve(std::min(said.size() + 1, kMaxOthers));
  bool is_new = false;
  for (const Component& component : said) is_new = learn(component) || is_new;
  return is_new;
}

bool VectorClock::merge(std::vector<Component>&& said) {
  if (others_.empty()) others_.reserve(std::min(said.size(), kMaxOthers));
  bool is_new = false;
  for (Component& component : said) is_new = learn(std::move(component)) || is_new;
  return is_new;
}

bool VectorClock::merge(const VectorClock& said) {
  const bool has_new_others = merge(said.others_);
  return learn(said.own_) || has_new_others;
}

}  // namespace codewake
