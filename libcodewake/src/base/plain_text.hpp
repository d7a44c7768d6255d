// Text that JSON and headers carry as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace codewake::internal {

constexpr bool is_plain(char c) noexcept {
  return c >= 0x20 && c <= 0x7E && c != '"' && c != '\\';
}

/// How many characters at the beginning are printable ASCII, and neither a quotation mark nor a backslash.
/// Looks at eight at a time.
inline std::size_t plain_length(std::string_view text) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101u;
  const auto has_zero = [](std::uint64_t word) { return (word - kOnes) & ~word; };
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    const std::uint64_t other = word | (word + kOnes) | ((word - 0x20 * kOnes) & ~word) |
                                has_zero(word ^ '"' * kOnes) | has_zero(word ^ '\\' * kOnes);
    if ((other & 0x80 * kOnes) != 0) break;
  }
  while (at < text.size() && is_plain(text[at])) ++at;
  return at;
}

}  // namespace codewake::internal
