#include "base/base64url.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace codewake::internal {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The two characters of twelve bits.
constexpr auto kPairs = [] {
  std::array<std::array<char, 2>, 4096> pairs{};
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = {kAlphabet[i >> 6], kAlphabet[i & 63]};
  return pairs;
}();

constexpr std::uint32_t kBad = 1u << 31;

/// What a character adds to the 24 bits of four, by its place among them; kBad for one that is none of the
/// alphabet.
constexpr auto kValues = [] {
  std::array<std::array<std::uint32_t, 256>, 4> values{};
  for (std::size_t place = 0; place < values.size(); ++place) {
    values[place].fill(kBad);
    for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
      values[place][static_cast<unsigned char>(kAlphabet[i])] =
          static_cast<std::uint32_t>(i << (18 - 6 * place));
    }
  }
  return values;
}();

std::uint64_t big_endian(std::uint64_t number) noexcept {
  return std::endian::native == std::endian::big ? number : __builtin_bswap64(number);
}

char* write_pair(char* out, std::uint64_t twelve_bits) noexcept {
  std::memcpy(out, kPairs[twelve_bits & 4095].data(), 2);
  return out + 2;
}

}  // namespace

void append_base64url(std::string& text, std::string_view bytes) {
  const std::size_t before = text.size();
  text.resize(before + (bytes.size() * 4 + 2) / 3);
  char* out = text.data() + before;
  const auto byte_at = [&](std::size_t at) -> std::uint64_t { return static_cast<unsigned char>(bytes[at]); };
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 6) {  // six of eight
    std::uint64_t eight;
    std::memcpy(&eight, bytes.data() + at, sizeof eight);
    eight = big_endian(eight);
    for (int shift = 52; shift >= 16; shift -= 12) out = write_pair(out, eight >> shift);
  }
  for (; at + 3 <= bytes.size(); at += 3) {
    const std::uint64_t three = byte_at(at) << 16 | byte_at(at + 1) << 8 | byte_at(at + 2);
    out = write_pair(write_pair(out, three >> 12), three);
  }
  if (at + 1 == bytes.size()) {
    write_pair(out, byte_at(at) << 4);
  } else if (at + 2 == bytes.size()) {
    const std::uint64_t two = byte_at(at) << 8 | byte_at(at + 1);
    out = write_pair(out, two >> 4);
    *out = kAlphabet[two << 2 & 63];
  }
}

std::optional<std::string> decode_base64url(std::string_view text) {
  for (int padding = 0; padding < 2 && text.ends_with('=') && text.size() % 4 != 1; ++padding)
    text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes(text.size() * 3 / 4, '\0');
  char* out = bytes.data();
  std::uint32_t all = 0;  // has kBad once a character is none of the alphabet
  const auto values_at = [&](std::size_t at, std::size_t characters) {
    std::uint32_t values = 0;
    for (std::size_t place = 0; place < characters; ++place)
      values |= kValues[place][static_cast<unsigned char>(text[at + place])];
    all |= values;
    return values;
  };
  std::size_t at = 0;
  for (; at + 12 <= text.size(); at += 8) {  // there is room for the two bytes too many
    const std::uint64_t upper = values_at(at, 4), lower = values_at(at + 4, 4);
    const std::uint64_t eight = big_endian(upper << 40 | lower << 16);
    std::memcpy(out, &eight, sizeof eight);
    out += 6;
  }
  for (; at + 4 <= text.size(); at += 4) {
    const std::uint32_t four = values_at(at, 4);
    *out++ = static_cast<char>(four >> 16);
    *out++ = static_cast<char>(four >> 8);
    *out++ = static_cast<char>(four);
  }
  std::uint32_t left_over = 0;
  if (at + 2 == text.size()) {
    const std::uint32_t two = values_at(at, 2);
    *out++ = static_cast<char>(two >> 16);
    left_over = two & 0xFFFF;
  } else if (at + 3 == text.size()) {
    const std::uint32_t three = values_at(at, 3);
    *out++ = static_cast<char>(three >> 16);
    *out++ = static_cast<char>(three >> 8);
    left_over = three & 0xFF;
  }
  if ((all & kBad) != 0 || left_over != 0) return std::nullopt;
  return bytes;
}

}  // namespace codewake::internal
