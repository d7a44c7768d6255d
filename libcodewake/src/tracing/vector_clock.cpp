#include "codewake/vector_clock.hpp"

#include <algorithm>

namespace codewake {

std::uint64_t VectorClock::steps_of(std::string_view execution) const noexcept {
  const auto found = std::find_if(components_.begin(), components_.end(),
                                  [&](const Component& known) { return known.execution == execution; });
  return found == components_.end() ? 0 : found->steps;
}

// It moves to the end: it is the one that was heard of last.
VectorClock::Component& VectorClock::component(std::string_view execution) {
  const auto found = std::find_if(components_.begin(), components_.end(),
                                  [&](const Component& known) { return known.execution == execution; });
  if (found != components_.end()) {
    std::rotate(found, found + 1, components_.end());
  } else {
    if (components_.size() == kMaxComponents) {
      const bool own_is_first = components_.front().execution == own_;
      components_.erase(components_.begin() + (own_is_first ? 1 : 0));
    }
    components_.push_back({std::string(execution), 0});
  }
  return components_.back();
}

std::uint64_t VectorClock::tick() {
  return ++component(own_).steps;
}

void VectorClock::merge(const std::vector<Component>& other) {
  for (const Component& said : other) {
    if (said.execution == own_) continue;
    Component& known = component(said.execution);
    known.steps = std::max(known.steps, said.steps);
  }
}

}  // namespace codewake
