#include "names.hpp"

namespace codewake::analysis {

Names::Names(std::size_t most) : most_(most) {
  number_of({});
  if (most_ != kUnbounded) number_of(kOther);
}

Names::Number Names::number_of(std::string_view text) {
  const auto known = numbers_.find(text);
  if (known != numbers_.end()) return known->second;
  if (texts_.size() >= most_ && text != kOther && !text.empty()) return numbers_.at(kOther);
  const auto number = static_cast<Number>(texts_.size());
  numbers_.emplace(texts_.emplace_back(text), number);
  return number;
}

std::optional<Names::Number> Names::find(std::string_view text) const {
  const auto known = numbers_.find(text);
  return known == numbers_.end() ? std::nullopt : std::optional(known->second);
}

}  // namespace codewake::analysis
