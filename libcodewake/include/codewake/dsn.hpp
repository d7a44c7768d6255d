// Where a storage is, as one line of text: the URLs that SQLAlchemy users know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/export.hpp"

namespace codewake {

/// The parts of `scheme://user:password@host:port/path?key=value&…`, percent-decoded. A plain value:
/// reentrant.
struct CODEWAKE_API Dsn {
  std::string scheme;     ///< in lower case, such as `postgresql+psycopg2`; never empty
  std::string user = {};  ///< empty where there is none
  std::optional<std::string> password = {};
  /// Empty where there is none; an IPv6 address stands without its brackets. Several hosts, with commas
  /// between them, stand as they are written, each with its port: `one:5432,[::1]:5433`.
  std::string host = {};
  std::optional<std::uint16_t> port = {};  ///< of the one host
  /// What follows the slash after the authority: `rel` of `sqlite:///rel`, `/abs` of `sqlite:////abs`, `db`
  /// of `postgresql://host/db`. Empty where there is none.
  std::string path = {};
  /// In the order given; keys may repeat, a value may be empty, a plus sign is a space.
  std::vector<std::pair<std::string, std::string>> query = {};

  bool operator==(const Dsn&) const = default;

  /// As it may be shown: the password, and the values of query keys such as `password` or `token`, are `***`.
  /// For the rest, parse_dsn reads the same parts from it.
  std::string to_display() const;
};

/// Reads a DSN. Any bytes may be percent-encoded but NUL; in a user's name or a password `/`, `?`, `@` and
/// `:` must be. Throws ConfigError for `store.config`, with the DSN, its password masked, what is wrong and
/// what to write instead; trying again does not help. Thread-safe.
CODEWAKE_API Dsn parse_dsn(std::string_view text);

}  // namespace codewake
