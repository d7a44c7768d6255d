#include "base/json_text.hpp"

#include "base/plain_text.hpp"
#include "codewake/utf8.hpp"

namespace codewake::internal {
namespace {

bool needs_no_escape(char c) noexcept {
  return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\';
}

void append_escaped(std::string& json, std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : text) {
    if (needs_no_escape(c)) {
      json += c;
    } else if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (c == '\n') {
      json += "\\n";
    } else {
      json += "\\u00";
      json += kDigits[static_cast<unsigned char>(c) >> 4];
      json += kDigits[static_cast<unsigned char>(c) & 15];
    }
  }
}

}  // namespace

void append_json_string(std::string& json, std::string_view text) {
  json += '"';
  // A NUL byte is not storable, but can be escaped: it takes the way of what is not UTF-8, and becomes
  // U+2400.
  if (plain_length(text) == text.size()) {
    json += text;
  } else if (!is_storable(text)) {
    append_escaped(json, to_storable(text));
  } else {
    append_escaped(json, text);
  }
  json += '"';
}

}  // namespace codewake::internal
