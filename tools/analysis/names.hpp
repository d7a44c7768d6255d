// Texts by number, so that each is kept once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace codewake::analysis {

/// Numbers texts from 0 on, in the order in which they come. 0 is the empty text. Reentrant.
class Names {
 public:
  using Number = std::uint32_t;

  /// Once there are `most`, whatever is new has the number of `kOther`.
  explicit Names(std::size_t most = kUnbounded);

  static constexpr std::size_t kUnbounded = 0xFFFF'FFFF;
  /// The text of all those for which there was no room.
  static constexpr std::string_view kOther = "…";

  Number number_of(std::string_view text);
  std::optional<Number> find(std::string_view text) const;
  const std::string& text_of(Number number) const { return texts_[number]; }
  std::size_t size() const noexcept { return texts_.size(); }

 private:
  const std::size_t most_;
  std::deque<std::string> texts_;  // stay where they are
  std::unordered_map<std::string_view, Number> numbers_;
};

}  // namespace codewake::analysis
