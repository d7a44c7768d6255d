#include "parameters.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <sys/auxv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "codewake/dsn.hpp"
#include "codewake/errors.hpp"

namespace codewake::internal {
namespace {

constexpr std::string_view kForms =
    "write sqlite:////absolute/path, sqlite:///relative/path or sqlite:///:memory:";
constexpr std::string_view kKnown =
    "known parameters are busy_timeout=60s, read_timeout=60s, synchronous=off|normal|full, "
    "wal_limit=512MiB, mode=0600 and group=NAME";

[[noreturn]] void refuse(std::string_view what, std::string_view remedy) {
  throw ConfigError({.key = "store.config"}, fmt::format("{}; {}", what, remedy));
}

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

std::optional<Synchronous> parse_synchronous(std::string_view text) {
  if (text == "off") return Synchronous::off;
  if (text == "normal") return Synchronous::normal;
  if (text == "full") return Synchronous::full;
  return std::nullopt;
}

/// `64MiB` or `2GiB`, from 1 MiB to 1 TiB.
std::optional<std::uint64_t> parse_wal_limit(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const unsigned shift = unit == "MiB" ? 20 : unit == "GiB" ? 30 : 0;
  constexpr unsigned kMostShift = 40;
  if (error != std::errc() || shift == 0 || number == 0) return std::nullopt;
  if (number > std::uint64_t{1} << (kMostShift - shift)) return std::nullopt;
  return number << shift;
}

/// Octal. The owner reads and writes, others never write, and there is nothing to execute.
std::optional<mode_t> parse_mode(std::string_view text) {
  constexpr mode_t kNeeded = 0600, kAllowed = 0664;
  mode_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if ((mode & kNeeded) != kNeeded || (mode & ~kAllowed) != 0) return std::nullopt;
  return mode;
}

/// A number, or a name that the system knows.
std::optional<gid_t> parse_group(std::string_view text) {
  gid_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) {
    return number == static_cast<gid_t>(-1) ? std::nullopt : std::optional(number);
  }
  const std::string name(text);
  constexpr std::size_t kMost = 1u << 20;  // of all members' names
  std::vector<char> buffer(4096);
  group entry{};
  group* found = nullptr;
  while (getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) == ERANGE &&
         buffer.size() < kMost) {
    buffer.resize(2 * buffer.size());
  }
  return found == nullptr ? std::nullopt : std::optional(found->gr_gid);
}

void apply(SqliteParameters& parameters, std::string_view key, std::string_view value) {
  if (key == "busy_timeout" || key == "read_timeout") {
    const auto duration = parse_duration(value);
    if (!duration)
      refuse(fmt::format("{}={} is no duration", key, value), fmt::format("write {}=60s or 500ms", key));
    (key == "busy_timeout" ? parameters.busy_timeout : parameters.read_timeout) = *duration;
  } else if (key == "synchronous") {
    const auto synchronous = parse_synchronous(value);
    if (!synchronous)
      refuse(fmt::format("synchronous={} is unknown", value), "write synchronous=off, normal or full");
    parameters.synchronous = *synchronous;
  } else if (key == "wal_limit") {
    const auto limit = parse_wal_limit(value);
    if (!limit)
      refuse(fmt::format("wal_limit={} is no size of a WAL", value),
             "write wal_limit=512MiB or 2GiB; at least 1MiB");
    parameters.wal_limit_bytes = *limit;
  } else if (key == "mode") {
    parameters.mode = parse_mode(value);
    if (!parameters.mode)
      refuse(fmt::format("mode={} is no mode of a database", value),
             "write mode=0600, 0640, 0644, 0660 or 0664: its owner reads and writes, others never write");
  } else if (key == "group") {
    parameters.group = parse_group(value);
    if (!parameters.group)
      refuse(fmt::format("group={} is no group of this system", value), "write its name or its number");
  } else {
    refuse(fmt::format("SQLite parameter \"{}\" is unknown", key), kKnown);
  }
}

void apply_pair(SqliteParameters& parameters, std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos)
    refuse(fmt::format("SQLite parameter \"{}\" has no value", text), kKnown);
  apply(parameters, text.substr(0, equals), text.substr(equals + 1));
}

/// Of what Python's sqlite3 takes in a DSN's query, only the timeout means something here.
void apply_query(SqliteParameters& parameters, const Dsn& dsn) {
  constexpr std::array<std::string_view, 6> kPythonOnly = {
      "check_same_thread", "isolation_level", "detect_types", "cached_statements", "factory", "uri"};
  for (const auto& [key, value] : dsn.query) {
    if (std::find(kPythonOnly.begin(), kPythonOnly.end(), key) != kPythonOnly.end()) continue;
    apply(parameters, key == "timeout" ? "busy_timeout" : key, value);
  }
}

void apply_dsn(SqliteParameters& parameters, std::string_view text) {
  const Dsn dsn = parse_dsn(text);
  if (dsn.scheme != "sqlite" && !dsn.scheme.starts_with("sqlite+")) {
    refuse(fmt::format("\"{}\" is no DSN of an SQLite database", dsn.to_display()), kForms);
  }
  if (!dsn.host.empty() || !dsn.user.empty() || dsn.password || dsn.port) {
    refuse(fmt::format("\"{}\" names a host, and SQLite has none", dsn.to_display()), kForms);
  }
  apply_query(parameters, dsn);
  parameters.memory = dsn.path.empty() || dsn.path == ":memory:";
  parameters.path = ":memory:";
  if (!parameters.memory && getauxval(AT_SECURE) != 0 && !dsn.path.starts_with('/')) {
    refuse(fmt::format("the path of \"{}\" is relative, and the user who starts this program with raised "
                       "privileges chooses its folder",
                       dsn.to_display()),
           "write sqlite:////absolute/path");
  }
  if (!parameters.memory) parameters.path = std::filesystem::absolute(dsn.path).lexically_normal().string();
}

}  // namespace

SqliteParameters parse_sqlite_parameters(const std::vector<std::string>& parameters) {
  if (parameters.empty()) refuse("no SQLite database is named", kForms);
  SqliteParameters parsed;
  apply_dsn(parsed, parameters.front());
  for (std::size_t i = 1; i < parameters.size(); ++i) apply_pair(parsed, parameters[i]);
  return parsed;
}

}  // namespace codewake::internal
