#include "base/base64url.hpp"

#include <array>
#include <cstdint>
#include <utility>

namespace codewake::internal {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::array<std::int8_t, 256> kValues = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}();

}  // namespace

std::string encode_base64url(std::string_view bytes) {
  std::string text((bytes.size() * 4 + 2) / 3, '\0');
  char* out = text.data();
  const auto byte_at = [&](std::size_t at) -> std::uint32_t { return static_cast<unsigned char>(bytes[at]); };
  std::size_t at = 0;
  for (; at + 3 <= bytes.size(); at += 3) {
    const std::uint32_t three = byte_at(at) << 16 | byte_at(at + 1) << 8 | byte_at(at + 2);
    *out++ = kAlphabet[three >> 18];
    *out++ = kAlphabet[three >> 12 & 63];
    *out++ = kAlphabet[three >> 6 & 63];
    *out++ = kAlphabet[three & 63];
  }
  if (at + 1 == bytes.size()) {
    *out++ = kAlphabet[byte_at(at) >> 2];
    *out++ = kAlphabet[byte_at(at) << 4 & 63];
  } else if (at + 2 == bytes.size()) {
    *out++ = kAlphabet[byte_at(at) >> 2];
    *out++ = kAlphabet[(byte_at(at) << 4 | byte_at(at + 1) >> 4) & 63];
    *out++ = kAlphabet[byte_at(at + 1) << 2 & 63];
  }
  return text;
}

std::optional<std::string> decode_base64url(std::string_view text) {
  for (int padding = 0; padding < 2 && text.ends_with('=') && text.size() % 4 != 1; ++padding)
    text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes(text.size() * 3 / 4, '\0');
  char* out = bytes.data();
  int bad = 0;  // negative once a character is none of the alphabet
  const auto value_at = [&](std::size_t at) -> std::uint32_t {
    const int value = kValues[static_cast<unsigned char>(text[at])];
    bad |= value;
    return static_cast<std::uint32_t>(value);
  };
  std::size_t at = 0;
  for (; at + 4 <= text.size(); at += 4) {
    const std::uint32_t four =
        value_at(at) << 18 | value_at(at + 1) << 12 | value_at(at + 2) << 6 | value_at(at + 3);
    *out++ = static_cast<char>(four >> 16);
    *out++ = static_cast<char>(four >> 8);
    *out++ = static_cast<char>(four);
  }
  std::uint32_t left_over = 0;
  if (at + 2 == text.size()) {
    const std::uint32_t two = value_at(at) << 6 | value_at(at + 1);
    *out++ = static_cast<char>(two >> 4);
    left_over = two & 15;
  } else if (at + 3 == text.size()) {
    const std::uint32_t three = value_at(at) << 12 | value_at(at + 1) << 6 | value_at(at + 2);
    *out++ = static_cast<char>(three >> 10);
    *out++ = static_cast<char>(three >> 2);
    left_over = three & 3;
  }
  return bad < 0 || left_over != 0 ? std::nullopt : std::optional(std::move(bytes));
}

}  // namespace codewake::internal
