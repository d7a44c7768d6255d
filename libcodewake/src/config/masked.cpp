#include "config/masked.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>

#include "codewake/config.hpp"
#include "codewake/utf8.hpp"

// Masking is generous on purpose: showing less than could be shown is a nuisance, showing a password is a
// leak. So a password that is not percent-encoded, or stands in a URL that is wrong in some other way, is
// found too.
namespace codewake {
namespace {

using internal::kMask;

constexpr std::array<std::string_view, 9> kSecretNames = {
    "password", "passwd", "pwd", "passphrase", "api_key", "api-key", "apikey", "secret", "token"};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool ends_with_ignoring_case(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         std::ranges::equal(text.substr(text.size() - end.size()), end, {}, lower);
}

// A password is what stands between the first colon after the scheme and the last @. What is taken for one
// may be a port and a path with an @ in it.
std::string mask_url(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) return std::string(text);
  const std::size_t scheme = text.find("://");
  const std::size_t colon = text.find(':', scheme == std::string_view::npos ? 0 : scheme + 3);
  if (colon >= at) return std::string(text);
  return fmt::format("{}{}{}", text.substr(0, colon + 1), kMask, text.substr(at));
}

bool separates_names(char c) {
  return c == '?' || c == '&' || c == ';' || c == ' ' || c == '\t' || c == '\n';
}

// A query's value ends at the next &; any other may hold whatever it likes and goes on to the end.
std::string mask_assignments(std::string_view text) {
  std::string result;
  while (true) {
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) return result.append(text);
    std::size_t end = equals;
    while (end > 0 && text[end - 1] == ' ') --end;
    std::size_t begin = end;
    while (begin > 0 && !separates_names(text[begin - 1])) --begin;
    result.append(text.substr(0, equals + 1));
    const std::string_view name = text.substr(begin, end - begin);
    const bool in_query = begin > 0 && (text[begin - 1] == '?' || text[begin - 1] == '&');
    text.remove_prefix(equals + 1);
    if (!internal::is_secret_name(name)) continue;
    result.append(kMask);
    text = in_query ? text.substr(std::min(text.find('&'), text.size())) : std::string_view();
  }
}

}  // namespace

std::string masked(std::string_view parameter) {
  return mask_assignments(mask_url(parameter));
}

namespace internal {

bool is_secret_name(std::string_view name) {
  return std::ranges::any_of(kSecretNames,
                             [name](std::string_view end) { return ends_with_ignoring_case(name, end); });
}

std::string on_one_line(std::string_view text) {
  constexpr std::size_t longest = 200;
  std::size_t length = std::min(text.size(), longest);
  if (length < text.size()) {
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  }
  std::string result;
  const std::string fit = to_storable(text.substr(0, length));
  for (const char c : fit) {
    if (static_cast<unsigned char>(c) >= ' ' && c != '\x7f') {
      result += c;
    } else {
      fmt::format_to(std::back_inserter(result), "\\x{:02x}", c);
    }
  }
  return length < text.size() ? result + "…" : result;
}

std::string shown(std::string_view text) {
  return fmt::format("'{}'", on_one_line(masked(text)));
}

}  // namespace internal
}  // namespace codewake
