// Bytes as hexadecimal digits, and as UUIDs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace codewake::internal {

/// Appends two lower-case digits for each byte.
inline void append_hex(std::string& text, std::span<const std::uint8_t> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
}

/// Appends groups of 8, 4, 4, 4 and 12 digits.
inline void append_uuid(std::string& text, std::span<const std::uint8_t, 16> bytes) {
  append_hex(text, bytes.first(4));
  for (const auto group :
       {bytes.subspan(4, 2), bytes.subspan(6, 2), bytes.subspan(8, 2), bytes.subspan(10)}) {
    text += '-';
    append_hex(text, group);
  }
}

/// The same as text of its own.
inline std::string format_uuid(std::span<const std::uint8_t, 16> bytes) {
  std::string text;
  text.reserve(36);
  append_uuid(text, bytes);
  return text;
}

/// -1 for what is no lower-case hexadecimal digit.
constexpr int lower_digit_of(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
/// The same in either case.
constexpr int digit_of(char c) noexcept {
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : lower_digit_of(c);
}

/// False where `text` is not twice as many digits, each by `digit`; `bytes` says nothing then.
template <int (*digit)(char) noexcept = digit_of>
constexpr bool parse_hex(std::string_view text, std::span<std::uint8_t> bytes) noexcept {
  if (text.size() != 2 * bytes.size()) return false;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = digit(text[2 * i]);
    const int low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

/// Groups as `format_uuid` makes them, in either case.
constexpr bool parse_uuid(std::string_view text, std::span<std::uint8_t, 16> bytes) noexcept {
  if (text.size() != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
    return false;
  return parse_hex(text.substr(0, 8), bytes.subspan(0, 4)) &&
         parse_hex(text.substr(9, 4), bytes.subspan(4, 2)) &&
         parse_hex(text.substr(14, 4), bytes.subspan(6, 2)) &&
         parse_hex(text.substr(19, 4), bytes.subspan(8, 2)) && parse_hex(text.substr(24), bytes.subspan(10));
}

}  // namespace codewake::internal
