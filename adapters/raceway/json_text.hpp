// Writing JSON at the end of a string.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

namespace codewake::internal {

/// Writes text, which is UTF-8, as a JSON string.
inline void append_json_string(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= ' ' && c != '"' && c != '\\') continue;
    out.append(text, begin, i - begin);
    begin = i + 1;
    if (c < ' ') {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else {
      out += '\\';
      out += text[i];
    }
  }
  out.append(text, begin);
  out += '"';
}

template <std::unsigned_integral Number>
void append_number(std::string& out, Number number) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

}  // namespace codewake::internal
