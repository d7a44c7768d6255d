#include "text.hpp"

#include <fmt/format.h>
#include <wchar.h>

#include <array>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>

namespace codewake::cli {
namespace {

struct Decoded {
  char32_t code_point = 0;
  std::size_t size_bytes = 1;
  bool valid = false;
};

/// Reads the first character of `text`, which is not empty; an invalid one is its first byte alone.
Decoded decode(std::string_view text) {
  constexpr std::array<char32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1, true};
  if (lead < 0xC2 || lead > 0xF4) return {lead, 1, false};
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (text.size() < size) return {lead, 1, false};
  char32_t value = lead & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0u) != 0x80u) return {lead, 1, false};
    value = (value << 6) | (next & 0x3Fu);
  }
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < kSmallest[size] || value > 0x10FFFF || surrogate) return {lead, 1, false};
  return {value, size, true};
}

bool is_plain_ascii(char c) {
  return c >= 0x20 && c < 0x7F;
}

/// Characters beyond ASCII that a terminal acts on, or that hide or reorder what stands around them.
bool is_invisible(char32_t c) {
  return (c >= 0x80 && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

void append_visible(std::string& to, std::string_view text) {
  const auto out = std::back_inserter(to);
  for (std::size_t i = 0; i < text.size();) {
    if (is_plain_ascii(text[i])) {
      to += text[i++];
      continue;
    }
    const Decoded c = decode(text.substr(i));
    if (c.valid && c.code_point == '\n') {
      to += "\\n";
    } else if (c.valid && c.code_point == '\r') {
      to += "\\r";
    } else if (c.valid && c.code_point == '\t') {
      to += "\\t";
    } else if (!c.valid || c.code_point < 0x80) {
      fmt::format_to(out, "\\x{:02x}", static_cast<unsigned>(c.code_point));
    } else if (is_invisible(c.code_point)) {
      fmt::format_to(out, "\\u{:04x}", static_cast<unsigned>(c.code_point));
    } else {
      to += text.substr(i, c.size_bytes);
    }
    i += c.size_bytes;
  }
}

std::size_t columns_of(const Decoded& c) {
  if (c.code_point < 0x80) return 1;
  const int width = ::wcwidth(static_cast<wchar_t>(c.code_point));
  return width < 0 ? 1 : static_cast<std::size_t>(width);
}

}  // namespace

std::string visible(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  append_visible(result, text);
  return result;
}

std::string quoted_where_needed(std::string_view text, bool is_key) {
  std::string shown = visible(text);
  const bool needed = text.empty() || text == "NULL" || shown.size() != text.size() ||
                      text.find_first_of(is_key ? " \"=" : " \"") != std::string_view::npos;
  if (!needed) return shown;
  std::string result = "\"";
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = text.find_first_of("\"\\", begin);
    append_visible(result, text.substr(begin, end - begin));
    if (end == std::string_view::npos) break;
    result += '\\';
    result += text[end];
    begin = end + 1;
  }
  result += '"';
  return result;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size();) {
    const Decoded c = decode(text.substr(i));
    width += columns_of(c);
    i += c.size_bytes;
  }
  return width;
}

std::string_view fitting_prefix(std::string_view text, std::size_t width) {
  std::size_t used = 0;
  for (std::size_t i = 0; i < text.size();) {
    const Decoded c = decode(text.substr(i));
    used += columns_of(c);
    if (used > width) return text.substr(0, i);
    i += c.size_bytes;
  }
  return text;
}

}  // namespace codewake::cli
