#include "codewake/dsn.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <iterator>
#include <system_error>

#include "codewake/config.hpp"
#include "codewake/errors.hpp"
#include "codewake/utf8.hpp"
#include "config/masked.hpp"

namespace codewake {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Cuts off what stands before the first of `ends`, or all; the end itself stays.
std::string_view take_until(std::string_view& text, std::string_view ends) {
  const std::size_t length = std::min(text.find_first_of(ends), text.size());
  const std::string_view part = text.substr(0, length);
  text.remove_prefix(length);
  return part;
}

// Loose on purpose: what has this form goes into brackets and means an address; whether it is one, the driver
// says.
bool is_ipv6(std::string_view host) {
  const std::string_view address = host.substr(0, host.find('%'));  // a zone may follow
  const auto fits = [](char c) { return hex_value(c) >= 0 || c == ':' || c == '.'; };
  return address.find(':') != std::string_view::npos && std::ranges::all_of(address, fits);
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text), rest_(text) {}

  Dsn parse() {
    if (std::ranges::any_of(text_, [](char c) { return (c >= '\0' && c < ' ') || c == '\x7f'; })) {
      fail("it holds a control character; percent-encode it");
    }
    parse_scheme();
    parse_authority(take_until(rest_, "/?"));
    if (rest_.starts_with('/')) {
      rest_.remove_prefix(1);
      dsn_.path = decoded(take_until(rest_, "?"), "path");
    }
    if (rest_.size() > 1) parse_query(rest_.substr(1));
    return std::move(dsn_);
  }

 private:
  void parse_scheme() {
    const std::size_t end = rest_.find("://");
    if (end == std::string_view::npos) fail("it has no ://");
    const std::string_view scheme = rest_.substr(0, end);
    const auto fits = [](char c) {
      return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.' || c == '_';
    };
    if (scheme.empty() || !is_letter(scheme[0]) || !std::ranges::all_of(scheme, fits)) {
      fail("what stands before :// is not a scheme");
    }
    for (const char c : scheme) dsn_.scheme += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    rest_.remove_prefix(end + 3);
  }

  void parse_authority(std::string_view authority) {
    const std::size_t at = authority.find('@');
    if (at != std::string_view::npos) {
      std::string_view user = authority.substr(0, at);
      authority.remove_prefix(at + 1);
      if (authority.find('@') != std::string_view::npos)
        fail("it has more than one @; write %40 for one in a password");
      dsn_.user = decoded(take_until(user, ":"), "user");
      if (!user.empty()) dsn_.password = decoded(user.substr(1), "password");
    }
    if (authority.find(',') == std::string_view::npos) {
      parse_host(authority);
      return;
    }
    for (std::string_view rest = authority; !rest.empty(); rest.remove_prefix(rest.empty() ? 0 : 1)) {
      parse_host(take_until(rest, ","));  // for what is wrong with it
    }
    dsn_.port.reset();
    dsn_.host = decoded(authority, "host");
  }

  void parse_host(std::string_view text) {
    if (text.starts_with('[')) {
      parse_ip_address(text);
    } else {
      dsn_.host = decoded(take_until(text, ":"), "host");
    }
    if (!text.empty()) parse_port(text.substr(1));
  }

  // Cuts an address in brackets off the front; a colon or nothing is left.
  void parse_ip_address(std::string_view& authority) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) fail("the bracket before the host is not closed");
    dsn_.host = decoded(authority.substr(1, end - 1), "host");
    if (!is_ipv6(dsn_.host)) fail("what stands in brackets is not an IPv6 address");
    authority.remove_prefix(end + 1);
    if (!authority.empty() && authority[0] != ':')
      fail("something other than a port stands behind the IPv6 address");
  }

  void parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || port == 0) {
      fail("the port is not a number from 1 to 65535; write %3A and %2F for : and / in a password");
    }
    dsn_.port = port;
  }

  void parse_query(std::string_view query) {
    while (true) {
      std::string_view term = take_until(query, "&");
      const std::string key = decoded(take_until(term, "="), "query", true);
      if (key.empty()) fail("a name is missing in the query");
      dsn_.query.emplace_back(key, term.empty() ? "" : decoded(term.substr(1), "query", true));
      if (query.empty()) return;
      query.remove_prefix(1);
    }
  }

  std::string decoded(std::string_view text, std::string_view part, bool plus_is_space = false) const {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '%') {
        result += plus_is_space && text[i] == '+' ? ' ' : text[i];
        continue;
      }
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
      if (low < 0)
        fail(fmt::format("a % in the {} is not followed by two hexadecimal digits; write %25 for %", part));
      if (high + low == 0) fail(fmt::format("the {} holds a NUL byte; remove it", part));
      result += static_cast<char>(high * 16 + low);
      i += 2;
    }
    return result;
  }

  [[noreturn]] void fail(std::string_view problem) const {
    throw ConfigError(
        {.key = "store.config"},
        fmt::format("DSN {}: {}; expected scheme://user:password@host:port/path?key=value, such as "
                    "sqlite:////absolute/path or postgresql://user@host/database",
                    internal::shown(text_), problem));
  }

  std::string_view text_;
  std::string_view rest_;
  Dsn dsn_;
};

// Encodes all but what stands for itself in any part, what is listed for this one, and letters beyond ASCII.
void append_encoded(std::string& to, std::string_view text, std::string_view listed = "") {
  const bool is_utf8 = is_storable(text);
  for (const char c : text) {
    const bool beyond_ascii = static_cast<unsigned char>(c) >= 0x80;
    const bool plain =
        is_letter(c) || is_digit(c) || std::string_view("-._~*").find(c) != std::string_view::npos;
    if (plain || (beyond_ascii && is_utf8) || listed.find(c) != std::string_view::npos) {
      to += c;
    } else {
      fmt::format_to(std::back_inserter(to), "%{:02X}", static_cast<unsigned char>(c));
    }
  }
}

// Whether this could have been written so: several hosts, each with a port that is one.
bool is_host_list(const std::string& host) {
  if (host.find(',') == std::string::npos) return false;
  std::string dsn = "p://";
  append_encoded(dsn, host, ",:[]");
  try {
    return parse_dsn(dsn) == Dsn{.scheme = "p", .host = host};
  } catch (const ConfigError&) {
    return false;
  }
}

}  // namespace

Dsn parse_dsn(std::string_view text) {
  return Parser(text).parse();
}

std::string Dsn::to_display() const {
  std::string text = scheme + "://";
  append_encoded(text, user);
  if (password) text.append(":").append(internal::kMask);
  if (!user.empty() || password) text += '@';
  if (is_ipv6(host)) {
    text += '[';
    append_encoded(text, host, ":");
    text += ']';
  } else {
    append_encoded(text, host, is_host_list(host) ? ",:[]" : "");
  }
  if (port) text += fmt::format(":{}", *port);
  if (!path.empty()) {
    text += '/';
    append_encoded(text, path, "/:");
  }
  char separator = '?';
  for (const auto& [key, value] : query) {
    text += std::exchange(separator, '&');
    append_encoded(text, key, "/:");
    text += '=';
    // A value may nest others, as libpq's options do.
    append_encoded(text, internal::is_secret_name(key) ? std::string(internal::kMask) : masked(value), "/:,");
  }
  return text;
}

}  // namespace codewake
