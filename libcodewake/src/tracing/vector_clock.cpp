#include "codewake/vector_clock.hpp"

#include <algorithm>

namespace codewake {

std::uint64_t VectorClock::steps_of(std::string_view execution) const noexcept {
  if (execution == own_.execution) return own_.steps;
  const auto known = std::ranges::find(others_, execution, &Component::execution);
  return known == others_.end() ? 0 : known->steps;
}

bool VectorClock::learn(const Component& said) {
  if (said.execution == own_.execution || said.steps == 0) return false;
  const auto known = std::ranges::find(others_, said.execution, &Component::execution);
  if (known != others_.end()) {
    const bool is_new = said.steps > known->steps;
    if (is_new) known->steps = said.steps;
    std::rotate(known, known + 1, others_.end());
    return is_new;
  }
  if (others_.size() == kMaxOthers) others_.erase(others_.begin());
  others_.push_back(said);
  return true;
}

bool VectorClock::merge(std::span<const Component> said) {
  bool is_new = false;
  for (const Component& component : said) is_new = learn(component) || is_new;
  return is_new;
}

bool VectorClock::merge(const VectorClock& said) {
  const bool has_new_others = merge(said.others_);
  return learn(said.own_) || has_new_others;
}

}  // namespace codewake
