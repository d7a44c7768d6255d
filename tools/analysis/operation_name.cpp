#include "operation_name.hpp"

#include <algorithm>
#include <cstddef>

namespace codewake::analysis {
namespace {

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

bool is_hex(char c) noexcept {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_blank(char c) noexcept {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_number(std::string_view text) noexcept {
  if (text.starts_with('-')) text.remove_prefix(1);
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction = point == std::string_view::npos ? "0" : text.substr(point + 1);
  return !whole.empty() && !fraction.empty() && std::ranges::all_of(whole, is_digit) &&
         std::ranges::all_of(fraction, is_digit);
}

bool is_uuid(std::string_view text) noexcept {
  constexpr std::string_view kForm = "00000000-0000-0000-0000-000000000000";
  return std::ranges::equal(text, kForm,
                            [](char c, char form) { return form == '-' ? c == '-' : is_hex(c); });
}

// With a digit in it, for `facade` and `deadbeef` are words.
bool is_hex_id(std::string_view text) noexcept {
  constexpr std::size_t kShortest = 8;
  return text.size() >= kShortest && std::ranges::all_of(text, is_hex) && std::ranges::any_of(text, is_digit);
}

bool is_id(std::string_view segment) noexcept {
  return is_number(segment) || is_uuid(segment) || is_hex_id(segment);
}

struct Request {
  std::string_view method;
  std::string_view host;
  std::string_view path;
};

Request parse_request(std::string_view text) noexcept {
  Request request;
  const std::size_t blank = text.find(' ');
  if (blank != std::string_view::npos) {
    request.method = text.substr(0, blank);
    text.remove_prefix(blank + 1);
  }
  const std::size_t scheme = text.substr(0, text.find_first_of("/?#")).find(':');
  if (scheme != std::string_view::npos && text.substr(scheme).starts_with("://")) {
    text.remove_prefix(scheme + 3);
    const std::size_t end = std::min(text.find_first_of("/?#"), text.size());
    request.host = text.substr(0, end);
    request.host.remove_prefix(request.host.rfind('@') +
                               1);  // a user's name and password; none: npos + 1 is 0
    text.remove_prefix(end);
  }
  request.path = text.substr(0, text.find_first_of("?#"));
  return request;
}

void cut(std::string& text) {
  if (text.size() <= kMostPattern) return;
  std::size_t end = kMostPattern;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // within a character
  text.resize(end);
  text += "…";
}

// The end of what is quoted from `begin` on; a quote that is doubled is part of it.
std::size_t end_of_quoted(std::string_view text, std::size_t begin) noexcept {
  const char quote = text[begin];
  for (std::size_t i = begin + 1; i < text.size(); ++i) {
    if (text[i] != quote) continue;
    if (i + 1 == text.size() || text[i + 1] != quote) return i + 1;
    ++i;
  }
  return text.size();
}

// `(?, ?, ?)` of any length is one pattern.
void append_value(std::string& pattern) {
  if (!pattern.ends_with("?, ") && !pattern.ends_with("?,")) {
    pattern += '?';
    return;
  }
  pattern.resize(pattern.rfind(','));
}

}  // namespace

std::string request_pattern(std::string_view method_and_url) {
  const Request request = parse_request(method_and_url);
  std::string pattern(request.method);
  if (!pattern.empty()) pattern += ' ';
  std::string_view path = request.path;
  if (path.empty()) pattern += '/';
  while (!path.empty() && pattern.size() <= kMostPattern) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, end);
    pattern += is_id(segment) ? "{}" : segment;
    path.remove_prefix(end);
    if (path.empty()) break;
    pattern += '/';
    path.remove_prefix(1);
  }
  cut(pattern);
  return pattern;
}

std::string_view host_of_request(std::string_view method_and_url) noexcept {
  return parse_request(method_and_url).host;
}

std::string statement_pattern(std::string_view statement) {
  std::string pattern;
  for (std::size_t i = 0; i < statement.size() && pattern.size() <= kMostPattern;) {
    const char c = statement[i];
    if (c == '\'') {
      append_value(pattern);
      i = end_of_quoted(statement, i);
    } else if (is_digit(c) && (i == 0 || !is_letter(statement[i - 1]))) {
      append_value(pattern);
      while (i < statement.size() &&
             (is_digit(statement[i]) || is_letter(statement[i]) || statement[i] == '.'))
        ++i;
    } else if (c == '?') {
      append_value(pattern);
      ++i;
    } else if (is_letter(c) || c == '$') {  // a word, or PostgreSQL's $1, as a whole
      do pattern += statement[i++];
      while (i < statement.size() && (is_letter(statement[i]) || is_digit(statement[i])));
    } else if (is_blank(c)) {
      if (!pattern.empty() && pattern.back() != ' ') pattern += ' ';
      ++i;
    } else {
      pattern += c;
      ++i;
    }
  }
  if (pattern.ends_with(' ')) pattern.pop_back();
  cut(pattern);
  return pattern;
}

std::string statement_verb(std::string_view statement) {
  constexpr std::size_t kLongest = 20;
  std::string verb;
  const auto first = std::ranges::find_if_not(statement, is_blank);
  for (auto at = first; at != statement.end() && is_letter(*at) && verb.size() < kLongest; ++at) {
    verb += *at >= 'a' && *at <= 'z' ? static_cast<char>(*at - 'a' + 'A') : *at;
  }
  return verb;
}

}  // namespace codewake::analysis
