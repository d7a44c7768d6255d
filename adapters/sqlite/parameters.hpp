// What the parameters of SqliteStore say.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace codewake::internal {

enum class Synchronous { off, normal, full };

struct SqliteParameters {
  /// Absolute, or `:memory:`.
  std::string path;
  bool memory = false;
  std::chrono::milliseconds busy_timeout{60'000};
  Synchronous synchronous = Synchronous::normal;
};

/// Reads the DSN and the `key=value` parameters behind it. Throws ConfigError.
SqliteParameters parse_sqlite_parameters(const std::vector<std::string>& parameters);

}  // namespace codewake::internal
