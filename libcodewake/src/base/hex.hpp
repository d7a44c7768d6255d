// Bytes as hexadecimal digits, and as UUIDs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace codewake::internal {

inline constexpr std::size_t kUuidLength = 36;

/// The two lower-case digits of each byte, one behind the other.
inline constexpr std::array<char, 512> kDigitPairs = [] {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<char, 512> pairs{};
  for (std::size_t i = 0; i < 256; ++i) {
    pairs[2 * i] = kDigits[i >> 4];
    pairs[2 * i + 1] = kDigits[i & 15];
  }
  return pairs;
}();

/// Writes two lower-case digits for each byte; the result is the end of them.
inline char* write_hex(char* to, std::span<const std::uint8_t> bytes) noexcept {
  for (const std::uint8_t byte : bytes) {
    std::memcpy(to, &kDigitPairs[2 * std::size_t{byte}], 2);
    to += 2;
  }
  return to;
}

/// Writes groups of 8, 4, 4, 4 and 12 digits; the result is the end of them.
inline char* write_uuid(char* to, std::span<const std::uint8_t, 16> bytes) noexcept {
  to = write_hex(to, bytes.first<4>());
  for (std::size_t group = 4; group < 10; group += 2) {
    *to++ = '-';
    to = write_hex(to, bytes.subspan(group, 2));
  }
  *to++ = '-';
  return write_hex(to, bytes.last<6>());
}

/// Appends what `write_hex` writes.
inline void append_hex(std::string& text, std::span<const std::uint8_t> bytes) {
  const std::size_t before = text.size();
  text.resize(before + 2 * bytes.size());
  write_hex(text.data() + before, bytes);
}

/// Appends what `write_uuid` writes.
inline void append_uuid(std::string& text, std::span<const std::uint8_t, 16> bytes) {
  const std::size_t before = text.size();
  text.resize(before + kUuidLength);
  write_uuid(text.data() + before, bytes);
}

/// The same as text of its own.
inline std::string format_uuid(std::span<const std::uint8_t, 16> bytes) {
  std::string text;
  append_uuid(text, bytes);
  return text;
}

/// The values of hexadecimal digits, -1 for what is none.
struct DigitValues {
  std::array<std::int8_t, 256> values{};

  constexpr explicit DigitValues(bool in_either_case) {
    values.fill(-1);
    for (int i = 0; i < 16; ++i) {
      values[static_cast<unsigned char>("0123456789abcdef"[i])] = static_cast<std::int8_t>(i);
      if (in_either_case)
        values[static_cast<unsigned char>("0123456789ABCDEF"[i])] = static_cast<std::int8_t>(i);
    }
  }
  constexpr int operator[](char c) const noexcept { return values[static_cast<unsigned char>(c)]; }
};
inline constexpr DigitValues kLowerDigits(false), kDigits(true);

/// False where `text` is not twice as many digits of `digits`; `bytes` says nothing then.
template <const DigitValues& digits = kDigits>
constexpr bool parse_hex(std::string_view text, std::span<std::uint8_t> bytes) noexcept {
  if (text.size() != 2 * bytes.size()) return false;
  int all = 0;  // negative once one is none
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int value = digits[text[2 * i]] * 16 | digits[text[2 * i + 1]];
    all |= value;
    bytes[i] = static_cast<std::uint8_t>(value);
  }
  return all >= 0;
}

/// Groups as `format_uuid` makes them, in either case.
constexpr bool parse_uuid(std::string_view text, std::span<std::uint8_t, 16> bytes) noexcept {
  if (text.size() != kUuidLength || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
    return false;
  return parse_hex(text.substr(0, 8), bytes.subspan(0, 4)) &&
         parse_hex(text.substr(9, 4), bytes.subspan(4, 2)) &&
         parse_hex(text.substr(14, 4), bytes.subspan(6, 2)) &&
         parse_hex(text.substr(19, 4), bytes.subspan(8, 2)) && parse_hex(text.substr(24), bytes.subspan(10));
}

}  // namespace codewake::internal
