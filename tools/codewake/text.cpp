#include "text.hpp"

#include <wchar.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "codewake/utf8.hpp"
#include "codewake/visible.hpp"

namespace codewake::cli {
namespace {

std::size_t columns_of(const Utf8Character& c) {
  if (c.code_point < 0x80) return 1;
  const int width = ::wcwidth(static_cast<wchar_t>(c.code_point));
  return width < 0 ? 1 : static_cast<std::size_t>(width);
}

}  // namespace

std::string quoted_where_needed(std::string_view text, bool is_key) {
  std::string shown = visible(text);
  const bool needed = text.empty() || text == "NULL" || shown.size() != text.size() ||
                      text.find_first_of(is_key ? " \"=" : " \"") != std::string_view::npos;
  if (!needed) return shown;
  std::string result = "\"";
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = text.find_first_of("\"\\", begin);
    result += visible(text.substr(begin, end - begin));
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
    const Utf8Character c = decode_utf8(text.substr(i));
    width += columns_of(c);
    i += c.size_bytes;
  }
  return width;
}

std::string_view fitting_prefix(std::string_view text, std::size_t width) {
  std::size_t used = 0;
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Character c = decode_utf8(text.substr(i));
    used += columns_of(c);
    if (used > width) return text.substr(0, i);
    i += c.size_bytes;
  }
  return text;
}

}  // namespace codewake::cli
