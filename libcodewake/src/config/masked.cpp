#include "config/masked.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "codewake/config.hpp"
#include "codewake/utf8.hpp"

// Masking is generous on purpose: showing less than could be shown is a nuisance, showing a password is a
// leak. So a password that is not percent-encoded, or stands in a URL that is wrong in some other way, is
// found too.
namespace codewake {
namespace {

using internal::kMask;

// Names that end like this hold a secret, whatever stands before.
constexpr std::array<std::string_view, 18> kSecretEnds = {
    "password", "passwd",        "passphrase", "pwd",        "api_key",   "api-key",
    "apikey",   "accesskey",     "secretkey",  "privatekey", "secret",    "token",
    "jwt",      "authorization", "cookie",     "signature",  "sessionid", "credential"};

// These are short, so they count as a word alone: `access_key` and `accessKey`, but not `monkey`.
constexpr std::array<std::string_view, 9> kSecretWords = {"key", "pass", "auth",        "sig", "pw",
                                                          "pat", "otp",  "credentials", "sas"};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
}

bool ends_with_ignoring_case(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         std::ranges::equal(text.substr(text.size() - end.size()), end, {}, lower);
}

bool ends_with_word(std::string_view text, std::string_view word) {
  if (!ends_with_ignoring_case(text, word)) return false;
  if (text.size() == word.size()) return true;
  const char first = text[text.size() - word.size()];
  const char before = text[text.size() - word.size() - 1];
  return !is_alphanumeric(before) || (first != lower(first) && before == lower(before));
}

/// As a server would read it: percent-encoding may be nested, as where a URL stands in another one.
std::string decoded(std::string_view text) {
  std::string result(text);
  for (int depth = 0; depth < 3 && result.find('%') != std::string::npos; ++depth) {
    std::string next;
    for (std::size_t i = 0; i < result.size(); ++i) {
      unsigned value = 0;
      const char* const digits = result.data() + i + 1;
      const bool is_escape = result[i] == '%' && i + 2 < result.size() &&
                             std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2;
      next += is_escape ? static_cast<char>(value) : result[i];
      if (is_escape) i += 2;
    }
    result = std::move(next);
  }
  return result;
}

/// Whether what stands before a `=` or a `:` ends with a name that `matches`, as in `-c app.token`. Names are
/// known by their ends, so the end is all that is looked at: a text may have a colon at each second byte.
template <class Predicate>
bool ends_with_name(std::string_view before, Predicate matches) {
  constexpr std::size_t kLongestEnd = 512;
  before = before.substr(0, before.find_last_not_of(" \t\"'") + 1);
  std::string text = decoded(before.substr(before.size() - std::min(before.size(), kLongestEnd)));
  const std::size_t last = text.find_last_not_of(" \t\"'");
  if (last == std::string::npos) return false;
  text.resize(last + 1);
  const std::size_t begin = text.find_last_of("?&;# \t\r\n\"',({[=");
  return matches(std::string_view(text).substr(begin == std::string::npos ? 0 : begin + 1));
}

bool is_header_name(std::string_view name) {
  return ends_with_word(name, "header") || ends_with_word(name, "headers");
}

// A password is what stands between the first colon after the scheme and the last @. What is taken for one
// may be a port and a path with an @ in it. Before an @ of HTTP there is no user that matters: a name alone
// is a token.
std::string mask_url(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) return std::string(text);
  const std::size_t scheme = text.find("://");
  const std::size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  const std::size_t colon = text.find(':', begin);
  if (colon < at) return fmt::format("{}{}{}", text.substr(0, colon + 1), kMask, text.substr(at));
  const bool is_http = scheme != std::string_view::npos && (ends_with_word(text.substr(0, scheme), "http") ||
                                                            ends_with_word(text.substr(0, scheme), "https"));
  const std::size_t end = text.find_first_of("/?#", begin);
  const std::size_t user = text.substr(0, end).rfind('@');
  if (!is_http || user == std::string_view::npos) return std::string(text);
  return fmt::format("{}{}{}", text.substr(0, begin), kMask, text.substr(user));
}

constexpr std::string_view kStartsInQuery = "?&#";
constexpr std::string_view kSeparators = "?&#; \t\n";

/// A `=`, or one that is percent-encoded once or more often.
struct Equals {
  std::size_t at = std::string_view::npos;
  std::size_t end = std::string_view::npos;
};

Equals find_equals(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '=') return {at, at + 1};
    if (text[at] != '%') continue;
    std::size_t digits = at + 1;
    while (text.substr(digits).starts_with("25")) digits += 2;
    const std::string_view hex = text.substr(digits, 2);
    if (hex == "3D" || hex == "3d") return {at, digits + 2};
  }
  return {};
}

/// `Name: value` without the value.
std::string mask_header(std::string_view value) {
  const std::size_t colon = value.find(':');
  return colon == std::string_view::npos ? std::string(kMask)
                                         : fmt::format("{}: {}", value.substr(0, colon), kMask);
}

// A query's value ends at the next &; any other may hold whatever it likes and goes on to the end.
std::string mask_assignments(std::string_view text) {
  std::string result;
  std::size_t begin = 0;  // of the name
  bool in_query = false;  // whether the parameter that it stands in ends at the next &
  while (true) {
    Equals equals = find_equals(text.substr(begin));
    if (equals.at == std::string_view::npos) return result.append(text.substr(begin));
    equals = {equals.at + begin, equals.end + begin};
    const std::string_view name = text.substr(begin, equals.at - begin);
    const std::size_t last = name.find_last_not_of(' ');
    const std::size_t separator =
        last == std::string_view::npos ? last : name.find_last_of(kSeparators, last);
    if (separator != std::string_view::npos)
      in_query = kStartsInQuery.find(name[separator]) != std::string_view::npos;
    result.append(text.substr(begin, equals.end - begin));
    begin = equals.end;
    const bool is_header = ends_with_name(name, is_header_name);
    if (!is_header && !ends_with_name(name, internal::is_secret_name)) continue;
    const std::size_t end = in_query ? std::min(text.find('&', begin), text.size()) : text.size();
    const std::string_view value = text.substr(begin, end - begin);
    result.append(is_header ? mask_header(value) : std::string(kMask));
    begin = end;
  }
}

// `Authorization: Basic …`: what a header says goes on to the end.
std::string mask_headers(std::string text) {
  for (std::size_t colon = text.find(':'); colon != std::string::npos; colon = text.find(':', colon + 1)) {
    const std::string_view value = std::string_view(text).substr(colon + 1);
    if (value.starts_with(kMask) || value.starts_with("//")) continue;
    if (!ends_with_name(std::string_view(text).substr(0, colon), internal::is_secret_name)) continue;
    text.resize(colon + 1);
    return text.append(" ").append(kMask);
  }
  return text;
}

// `Bearer …` without the header's name, as in messages of servers.
std::string mask_schemes(std::string text) {
  for (const std::string_view scheme : {"bearer ", "basic "}) {
    const auto is_same = [](char a, char b) { return lower(a) == b; };
    const auto found = std::search(text.begin(), text.end(), scheme.begin(), scheme.end(), is_same);
    if (found == text.end()) continue;
    const auto secret = found + static_cast<std::ptrdiff_t>(scheme.size());
    text.replace(secret, std::find(secret, text.end(), ' '), kMask);
  }
  return text;
}

}  // namespace

std::string masked(std::string_view parameter) {
  return mask_schemes(mask_headers(mask_assignments(mask_url(parameter))));
}

namespace internal {

bool is_secret_name(std::string_view name) {
  const auto is_end = [name](std::string_view end) { return ends_with_ignoring_case(name, end); };
  const auto is_word = [name](std::string_view word) { return ends_with_word(name, word); };
  return std::ranges::any_of(kSecretEnds, is_end) || std::ranges::any_of(kSecretWords, is_word);
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
