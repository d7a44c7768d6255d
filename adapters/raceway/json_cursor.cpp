#include "json_cursor.hpp"

#include <charconv>
#include <system_error>

namespace codewake::internal {
namespace {

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

/// Whether a double holds it; what is too small becomes zero, there as here.
bool is_in_range(std::string_view number) noexcept {
  constexpr std::size_t kSurelyFits = 300;
  const std::size_t exponent = number.find_first_of("eE");
  if (exponent == std::string_view::npos && number.size() < kSurelyFits) return true;
  double value = 0;
  const auto result = std::from_chars(number.data(), number.data() + number.size(), value);
  if (result.ec != std::errc::result_out_of_range) return true;
  if (exponent != std::string_view::npos) return number[exponent + 1] == '-';
  return number.starts_with("0.") || number.starts_with("-0.");
}

}  // namespace

bool JsonCursor::string(JsonValue& value) noexcept {
  skip_space();
  const char* const begin = at_;
  if (!skip_string()) return false;
  value = {JsonValue::Kind::string, {begin, at_}};
  return true;
}

bool JsonCursor::take(char c) noexcept {
  skip_space();
  if (at_ == end_ || *at_ != c) return false;
  ++at_;
  return true;
}

bool JsonCursor::at_end() noexcept {
  skip_space();
  return at_ == end_;
}

void JsonCursor::skip_space() noexcept {
  while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
}

bool JsonCursor::nested_value(JsonValue& value, int depth) noexcept {
  using Kind = JsonValue::Kind;
  skip_space();
  if (at_ == end_) return false;
  const char* const begin = at_;
  bool taken = false;
  switch (*at_) {
    case '"':
      value.kind = Kind::string;
      taken = skip_string();
      break;
    case '{':
      value.kind = Kind::object;
      taken = skip_nested('}', depth);
      break;
    case '[':
      value.kind = Kind::array;
      taken = skip_nested(']', depth);
      break;
    case 't':
    case 'f':
      value.kind = Kind::boolean;
      taken = skip_word(*at_ == 't' ? "true" : "false");
      break;
    case 'n':
      value.kind = Kind::null;
      taken = skip_word("null");
      break;
    default:
      value.kind = Kind::number;
      taken = skip_number();
      break;
  }
  value.text = {begin, at_};
  return taken;
}

bool JsonCursor::skip_nested(char close, int depth) noexcept {
  ++at_;
  if (depth == 0) return false;
  if (take(close)) return true;
  JsonValue ignored;
  do {
    if (close == '}') {
      skip_space();
      if (!skip_string() || !take(':')) return false;
    }
    if (!nested_value(ignored, depth - 1)) return false;
  } while (take(','));
  return take(close);
}

bool JsonCursor::skip_string() noexcept {
  if (at_ == end_ || *at_ != '"') return false;
  ++at_;
  while (at_ != end_) {
    const char c = *at_;
    if (c == '"') {
      ++at_;
      return true;
    }
    if (static_cast<unsigned char>(c) < ' ') return false;
    ++at_;
    if (c == '\\' && !skip_escape()) return false;
  }
  return false;
}

// Behind the backslash.
bool JsonCursor::skip_escape() noexcept {
  constexpr std::string_view kShort = "\"\\/bfnrt";
  if (at_ == end_) return false;
  const char c = *at_++;
  if (c != 'u') return kShort.find(c) != std::string_view::npos;
  unsigned unit = 0;
  if (!hex_digits(unit)) return false;
  if (unit < 0xD800 || unit > 0xDFFF) return true;
  if (unit > 0xDBFF || end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') return false;
  at_ += 2;
  return hex_digits(unit) && unit >= 0xDC00 && unit <= 0xDFFF;
}

bool JsonCursor::hex_digits(unsigned& number) noexcept {
  constexpr int kDigits = 4;
  if (end_ - at_ < kDigits) return false;
  const auto result = std::from_chars(at_, at_ + kDigits, number, 16);
  if (result.ec != std::errc() || result.ptr != at_ + kDigits) return false;
  at_ += kDigits;
  return true;
}

bool JsonCursor::skip_number() noexcept {
  const char* const begin = at_;
  if (at_ != end_ && *at_ == '-') ++at_;
  if (at_ != end_ && *at_ == '0') {
    ++at_;
  } else if (!skip_digits()) {
    return false;
  }
  if (at_ != end_ && *at_ == '.') {
    ++at_;
    if (!skip_digits()) return false;
  }
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    ++at_;
    if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    if (!skip_digits()) return false;
  }
  return is_in_range({begin, at_});
}

bool JsonCursor::skip_digits() noexcept {
  const char* const begin = at_;
  while (at_ != end_ && is_digit(*at_)) ++at_;
  return at_ != begin;
}

bool JsonCursor::skip_word(std::string_view word) noexcept {
  if (static_cast<std::size_t>(end_ - at_) < word.size() || std::string_view(at_, word.size()) != word)
    return false;
  at_ += word.size();
  return true;
}

}  // namespace codewake::internal
