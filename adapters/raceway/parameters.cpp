#include "parameters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include "codewake/dsn.hpp"
#include "codewake/errors.hpp"
#include "curl_setup.hpp"

namespace codewake::internal {
namespace {

constexpr std::string_view kForm = "write http://host:8080 or https://host";
constexpr std::string_view kKnown =
    "known parameters are api_key=…, timeout=10s, connect_timeout=5s, ca_file=/path, body_limit=2MiB, "
    "compression=auto|off, batch_size=50 and flush_interval=1s";
constexpr std::string_view kPath = "/events";
constexpr std::size_t kLeastBody = 4u << 10;
constexpr std::size_t kMostBody = 1u << 30;

[[noreturn]] void refuse(std::string_view what, std::string_view remedy) {
  throw ConfigError({.key = "store.config"}, fmt::format("{}; {}", what, remedy));
}

void refuse_variables_of_another_user() {
  const std::string name = curl_variable_of_another_user();
  if (name.empty()) return;
  refuse(fmt::format("the program runs with raised privileges, and libcurl would obey the variable {} of the "
                     "user who started it",
                     name),
         "unset SSLKEYLOGFILE and the variables that end with _proxy before the store is made");
}

struct Unit {
  std::string_view name;  ///< empty: that of a bare number
  std::uint64_t factor;
};
constexpr Unit kDurations[] = {{"ms", 1}, {"s", 1'000}, {"", 1'000}, {"m", 60'000}};
constexpr Unit kSizes[] = {{"", 1}, {"KiB", 1u << 10}, {"MiB", 1u << 20}, {"GiB", 1u << 30}};

/// A number with one of the units, in the unit whose factor is 1. Empty where it is none, or beyond `most`.
std::optional<std::uint64_t> measure(std::string_view text, std::span<const Unit> units, std::uint64_t most) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !(number >= 0)) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  const auto unit = std::ranges::find(units, text, &Unit::name);
  if (unit == units.end()) return std::nullopt;
  const double value = number * static_cast<double>(unit->factor);
  if (value > static_cast<double>(most)) return std::nullopt;
  return static_cast<std::uint64_t>(value);
}

std::chrono::milliseconds duration_of(std::string_view key, std::string_view value) {
  constexpr std::uint64_t kHour = 3'600'000;
  const auto measured = measure(value, kDurations, kHour);
  if (!measured || *measured == 0) {
    refuse(fmt::format("{}={} is no duration above 0 and up to an hour", key, value),
           fmt::format("write {}=10s or 500ms", key));
  }
  return std::chrono::milliseconds(*measured);
}

/// A header that it stands in must not end early, nor become two.
std::string header_value(std::string_view value) {
  const bool fits = std::ranges::all_of(value, [](char c) { return c > ' ' && c < '\x7f'; });
  if (!fits)
    refuse("api_key has a blank, a control character or a letter beyond ASCII in it", "write it as it is");
  return std::string(value);
}

void apply(RacewayParameters& parameters, std::string_view key, std::string_view value) {
  if (key == "api_key") {
    parameters.api_key = header_value(value);
  } else if (key == "timeout") {
    parameters.timeout = duration_of(key, value);
  } else if (key == "connect_timeout") {
    parameters.connect_timeout = duration_of(key, value);
  } else if (key == "ca_file") {
    if (value.empty())
      refuse("ca_file is empty", "write the path of a file of certificates, or leave it out");
    parameters.ca_file = value;
  } else if (key == "body_limit") {
    const auto size = measure(value, kSizes, kMostBody);
    if (!size || *size < kLeastBody) {
      refuse(fmt::format("body_limit={} is no size from 4KiB to 1GiB", value), "write body_limit=2MiB");
    }
    parameters.body_limit_bytes = *size;
  } else if (key == "compression") {
    if (value != "auto" && value != "off")
      refuse(fmt::format("compression={} is unknown", value), "write compression=auto or off");
    parameters.asks_for_compression = value == "auto";
  } else if (key == "flush_interval") {
    parameters.flush_interval = duration_of(key, value);
  } else if (key == "batch_size") {
    const auto size = measure(value, std::span(kSizes).first(1), 1'000'000);
    if (!size || *size == 0)
      refuse(fmt::format("batch_size={} is no number from 1 to 1000000", value), "write batch_size=50");
    parameters.batch_size = *size;
  } else {
    refuse(fmt::format("Raceway parameter \"{}\" is unknown", key), kKnown);
  }
}

void apply_pair(RacewayParameters& parameters, std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    // It is not repeated: it may be what a comma in a key left over.
    refuse("a parameter behind the Raceway server's URL is no key=value", kKnown);
  }
  apply(parameters, text.substr(0, equals), text.substr(equals + 1));
}

/// What follows the authority, up to the query, as it is written; without a slash at its end.
std::string_view path_of(std::string_view url) {
  url = url.substr(0, url.find('?'));
  const std::size_t begin = url.find('/', url.find("://") + 3);
  std::string_view path = begin == std::string_view::npos ? std::string_view() : url.substr(begin);
  const auto trim = [&] {
    while (path.ends_with('/')) path.remove_suffix(1);
  };
  trim();
  if (path.ends_with(kPath)) path.remove_suffix(kPath.size());
  trim();
  return path;
}

void apply_url(RacewayParameters& parameters, std::string_view text) {
  const Dsn dsn = parse_dsn(text);
  const std::string shown = dsn.to_display();
  if (dsn.scheme != "http" && dsn.scheme != "https")
    refuse(fmt::format("\"{}\" is no URL of a Raceway server", shown), kForm);
  if (!dsn.user.empty() || dsn.password)
    refuse(fmt::format("\"{}\" has a user in it", shown), "a Raceway server takes api_key=…");
  const bool is_one_host = !dsn.host.empty() && dsn.host.find(',') == std::string::npos;
  if (!is_one_host) refuse(fmt::format("\"{}\" does not name one host", shown), kForm);
  const std::string_view path = path_of(text);
  const bool is_plain = std::ranges::all_of(
      path, [](char c) { return c > ' ' && c < '\x7f' && c != '#' && c != '\\' && c != '"'; });
  if (!is_plain) refuse(fmt::format("\"{}\" has a path that is none", shown), kForm);
  for (const auto& [key, value] : dsn.query) apply(parameters, key, value);

  std::string host;
  for (const char c : dsn.host) host += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (host.find(':') != std::string::npos) host = fmt::format("[{}]", host);
  const int usual = dsn.scheme == "https" ? 443 : 80;
  const std::string port =
      dsn.port && *dsn.port != usual ? fmt::format(":{}", static_cast<int>(*dsn.port)) : std::string();
  parameters.display = fmt::format("{}://{}{}{}", dsn.scheme, host, port, path);
  parameters.url = parameters.display + std::string(kPath);
  // Another kind of store may speak HTTP with the same server.
  parameters.identity = "raceway+" + parameters.display;
}

}  // namespace

RacewayParameters parse_raceway_parameters(const std::vector<std::string>& parameters) {
  refuse_variables_of_another_user();
  if (parameters.empty()) refuse("no Raceway server is named", kForm);
  RacewayParameters parsed;
  apply_url(parsed, parameters.front());
  for (std::size_t i = 1; i < parameters.size(); ++i) apply_pair(parsed, parameters[i]);
  return parsed;
}

}  // namespace codewake::internal
