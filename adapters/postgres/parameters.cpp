#include "parameters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "codewake/dsn.hpp"
#include "codewake/errors.hpp"
#include "handle.hpp"
#include "raised_privileges.hpp"

namespace codewake::internal {
namespace {

constexpr std::string_view kForm = "write postgresql://user:password@host:port/database?sslmode=require";

/// A server that is gone must not hang a caller: libpq's own defaults wait for minutes or for ever.
constexpr std::array<std::pair<const char*, const char*>, 6> kDefaults = {
    {{"connect_timeout", "10"},
     {"keepalives_idle", "30"},
     {"keepalives_interval", "10"},
     {"keepalives_count", "3"},
     {"tcp_user_timeout", "30000"},
     {"fallback_application_name", "codewake"}}};

constexpr std::array<std::string_view, 6> kNumbers = {"connect_timeout",  "keepalives",
                                                      "keepalives_idle",  "keepalives_interval",
                                                      "keepalives_count", "tcp_user_timeout"};
constexpr std::array<std::string_view, 6> kSslModes = {"disable", "allow",     "prefer",
                                                       "require", "verify-ca", "verify-full"};

[[noreturn]] void refuse(std::string_view what, std::string_view remedy) {
  throw ConfigError({.key = "store.config"}, fmt::format("{}; {}", what, remedy));
}

/// libpq reads its variables by plain getenv: servers, files, and keys that OpenSSL's engines load.
void refuse_variables_of_another_user() {
  const std::string name =
      variable_of_another_user([](std::string_view variable) { return variable.starts_with("PG"); });
  if (name.empty()) return;
  refuse(
      fmt::format("the program runs with raised privileges, and libpq would obey the variable {} of the user "
                  "who started it",
                  name),
      "unset the variables that begin with PG before the store is made");
}

/// What libpq takes, with the values that it would use by itself.
class Keywords {
 public:
  Keywords() : values_(connection_keywords()) {
    if (values_.empty()) refuse("libpq has no memory left, or its service file is broken", "see PGSERVICE");
  }

  bool contains(const std::string& name) const { return values_.contains(name); }
  std::string value(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? "" : found->second;
  }

 private:
  const std::map<std::string, std::string> values_;
};

/// `500ms`, `60s` or `2m`; a bare number is seconds.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !(number >= 0) || number > 1e6) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  double factor = 0;
  if (unit == "ms") factor = 1;
  if (unit == "s" || unit.empty()) factor = 1e3;
  if (unit == "m") factor = 60e3;
  if (factor == 0) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(number * factor));
}

bool is_integer(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

template <class Names>
bool is_among(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

class Parser {
 public:
  PostgresParameters parse(const std::vector<std::string>& parameters) {
    if (parameters.empty()) refuse("no PostgreSQL database is named", kForm);
    apply_dsn(parameters.front());
    for (std::size_t i = 1; i < parameters.size(); ++i) apply_pair(parameters[i]);
    parsed_.identity = identity();
    for (const auto& [key, value] : kDefaults) {
      if (find(key) == nullptr && keywords_.contains(key) && !is_set_outside(key))
        parsed_.connection.emplace_back(key, value);
    }
    // Text goes in and out as UTF-8, whatever the environment says.
    parsed_.connection.emplace_back("client_encoding", "UTF8");
    return std::move(parsed_);
  }

 private:
  void apply_dsn(std::string_view text) {
    const Dsn dsn = parse_dsn(text);
    parsed_.display = dsn.to_display();
    if (dsn.scheme != "postgresql" && dsn.scheme != "postgres" && !dsn.scheme.starts_with("postgresql+")) {
      refuse(fmt::format("\"{}\" is no DSN of a PostgreSQL database", parsed_.display), kForm);
    }
    if (dsn.path.find('/') != std::string::npos) {
      refuse(fmt::format("\"{}\" has a slash in the database's name", parsed_.display),
             "write %2F where the name has one, or ?host=/folder for a socket");
    }
    if (dsn.host.find(',') != std::string::npos) {
      set_hosts(dsn.host);
    } else if (!dsn.host.empty()) {
      set("host", dsn.host);
    }
    if (dsn.port) set("port", std::to_string(*dsn.port));
    if (!dsn.user.empty()) set("user", dsn.user);
    if (dsn.password) set("password", *dsn.password);
    if (!dsn.path.empty()) set("dbname", dsn.path);
    for (const auto& [key, value] : dsn.query) apply(key, value);
  }

  /// `one:5432,[::1]:5433`: libpq has a list of the hosts and one of their ports, empty where it is the usual
  /// one.
  void set_hosts(std::string_view text) {
    std::string hosts, ports;
    while (true) {
      const std::string_view one = text.substr(0, text.find(','));
      const bool bracketed = one.starts_with('[');
      const std::string_view host =
          bracketed ? one.substr(1, one.find(']') - 1) : one.substr(0, one.find(':'));
      const std::string_view rest = one.substr(std::min(one.size(), host.size() + (bracketed ? 2 : 0)));
      hosts += host;
      if (!rest.empty()) ports += rest.substr(1);
      if (one.size() == text.size()) break;
      hosts += ',';
      ports += ',';
      text.remove_prefix(one.size() + 1);
    }
    set("host", std::move(hosts));
    if (ports.find_first_not_of(',') != std::string::npos) set("port", std::move(ports));
  }

  void apply_pair(std::string_view text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) {
      // It is not repeated: it may be what a comma in a password left over.
      refuse("a parameter behind the DSN of the PostgreSQL database is no key=value",
             "write a comma in a password as %2C");
    }
    apply(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
  }

  void apply(const std::string& key, const std::string& value) {
    if (key == "statement_timeout") {
      const auto duration = parse_duration(value);
      if (!duration)
        refuse(fmt::format("statement_timeout={} is no duration", value), "write statement_timeout=60s");
      parsed_.statement_timeout = *duration;
      return;
    }
    if (key == "prepared_statements") {
      if (value != "on" && value != "off")
        refuse(fmt::format("prepared_statements={} is neither on nor off", value),
               "write prepared_statements=off where a pooler cannot keep them");
      parsed_.prepared_statements = value == "on";
      return;
    }
    if (key == "client_encoding") {
      std::string upper;
      for (const char c : value) upper += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      if (upper != "UTF8" && upper != "UTF-8" && upper != "AUTO")
        refuse(fmt::format("client_encoding={} cannot be", value), "leave it out: it is always UTF8");
      return;
    }
    if (!keywords_.contains(key)) {
      refuse(
          fmt::format("PostgreSQL parameter \"{}\" is unknown", key),
          "known are statement_timeout=60s, prepared_statements=off and the connection parameters of libpq, "
          "such as sslmode, connect_timeout, options and application_name");
    }
    if (is_among(kNumbers, key) && !is_integer(value))
      refuse(fmt::format("{}={} is no number", key, value), "write a whole number");
    if (key == "sslmode" && !is_among(kSslModes, value)) {
      refuse(fmt::format("sslmode={} is unknown", value),
             fmt::format("write one of {}", fmt::join(kSslModes, ", ")));
    }
    set(key, value);
  }

  void set(const std::string& key, std::string value) {
    if (std::string* known = find(key)) {
      *known = std::move(value);
    } else {
      parsed_.connection.emplace_back(key, std::move(value));
    }
  }

  std::string* find(std::string_view key) {
    for (auto& [known, value] : parsed_.connection) {
      if (known == key) return &value;
    }
    return nullptr;
  }

  bool is_set_outside(const std::string& key) const {
    // libpq's own default of tcp_user_timeout and the like is an empty value.
    return !keywords_.value(key).empty();
  }

  /// What libpq will use.
  std::string effective(const std::string& key) {
    const std::string* given = find(key);
    return given != nullptr && !given->empty() ? *given : keywords_.value(key);
  }

  std::string identity() {
    Dsn dsn{.scheme = "postgresql", .host = effective("host"), .path = effective("dbname")};
    if (dsn.host.empty()) dsn.host = effective("hostaddr");
    if (dsn.path.empty()) dsn.path = effective("user");
    for (const char* key : {"port", "service", "options"}) {
      if (const std::string value = effective(key); !value.empty()) dsn.query.emplace_back(key, value);
    }
    return dsn.to_display();
  }

  const Keywords keywords_;
  PostgresParameters parsed_;
};

}  // namespace

PostgresParameters parse_postgres_parameters(const std::vector<std::string>& parameters) {
  refuse_variables_of_another_user();
  return Parser().parse(parameters);
}

}  // namespace codewake::internal
