#include "history.hpp"

#include <algorithm>

namespace codewake::analysis {

std::uint32_t History::count_within(std::uint32_t execution, std::uint32_t steps) const noexcept {
  const auto its = events_of(execution);
  const auto end =
      std::upper_bound(its.begin(), its.end(), steps,
                       [this](std::uint32_t most, std::uint32_t event) { return most < events[event].step; });
  return static_cast<std::uint32_t>(end - its.begin());
}

std::string lock_name(const History& history, std::uint32_t lock) {
  const std::string& text = history.locks.text_of(lock);
  return text.substr(0, text.find('\0'));
}

}  // namespace codewake::analysis
