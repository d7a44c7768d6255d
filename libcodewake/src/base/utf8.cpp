#include "codewake/utf8.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace codewake {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";    // U+FFFD
constexpr std::string_view kSymbolForNull = "\xE2\x90\x80";  // U+2400

struct Sequence {
  std::size_t length;  // of the good sequence, or of the part that one replacement stands for; at least 1
  bool good;
};

// The allowed range of the second byte by the first, which is where overlong forms, surrogates and what lies
// beyond U+10FFFF show themselves (Unicode 15, table 3-7).
struct Lead {
  std::size_t length;
  std::uint8_t second_low;
  std::uint8_t second_high;
};

constexpr Lead lead_of(std::uint8_t byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

Sequence sequence_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[at + i]); };
  if (byte(0) < 0x80) return {1, true};
  const Lead lead = lead_of(byte(0));
  const std::size_t left = text.size() - at;
  if (lead.length == 0 || left < 2 || byte(1) < lead.second_low || byte(1) > lead.second_high)
    return {1, false};
  for (std::size_t i = 2; i < lead.length; ++i) {
    if (i >= left || (byte(i) & 0xC0) != 0x80) return {i, false};
  }
  return {lead.length, true};
}

// How many bytes from `at` are ASCII other than NUL, eight at a time.
std::size_t plain_run(std::string_view text, std::size_t at) {
  const std::size_t begin = at;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    const std::uint64_t zero_bytes = (word - 0x0101010101010101u) & ~word;
    if (((word | zero_bytes) & 0x8080808080808080u) != 0) break;
  }
  while (at < text.size() && text[at] != '\0' && static_cast<std::uint8_t>(text[at]) < 0x80) ++at;
  return at - begin;
}

// Where the first byte stands that cannot be stored as it is; the text's size if there is none.
std::size_t first_unfit(std::string_view text) {
  for (std::size_t at = plain_run(text, 0); at < text.size(); at += plain_run(text, at)) {
    if (text[at] == '\0') return at;
    const Sequence sequence = sequence_at(text, at);
    if (!sequence.good) return at;
    at += sequence.length;
  }
  return text.size();
}

}  // namespace

bool is_storable(std::string_view text) noexcept {
  return first_unfit(text) == text.size();
}

Utf8Character decode_utf8(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const Sequence sequence = sequence_at(text, 0);
  if (!sequence.good || sequence.length == 1) return {byte(0), 1, sequence.good};
  char32_t value = byte(0) & (0x7Fu >> sequence.length);
  for (std::size_t i = 1; i < sequence.length; ++i) value = (value << 6) | (byte(i) & 0x3Fu);
  return {value, sequence.length, true};
}

std::string to_storable(std::string_view text) {
  std::size_t at = first_unfit(text);
  std::string out(text.substr(0, at));
  while (at < text.size()) {
    if (text[at] == '\0') {
      out += kSymbolForNull;
      ++at;
      continue;
    }
    const Sequence sequence = sequence_at(text, at);
    out += sequence.good ? text.substr(at, sequence.length) : kReplacement;
    at += sequence.length;
  }
  return out;
}

}  // namespace codewake
