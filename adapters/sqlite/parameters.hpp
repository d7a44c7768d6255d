// What the parameters of SqliteStore say.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace codewake::internal {

enum class Synchronous { off, normal, full };

struct SqliteParameters {
  /// Absolute, or `:memory:`.
  std::string path;
  bool memory = false;
  std::chrono::milliseconds busy_timeout{60'000};
  /// The most that one read takes of a database that this process cannot or must not write.
  std::chrono::milliseconds read_timeout{60'000};
  Synchronous synchronous = Synchronous::normal;
  /// The WAL does not grow by a batch once it has this size.
  std::uint64_t wal_limit_bytes = std::uint64_t{512} << 20;
  /// Of a file that is made; 0600 without them, and 0640 with a group alone.
  std::optional<mode_t> mode = std::nullopt;
  std::optional<gid_t> group = std::nullopt;
};

/// Reads the DSN and the `key=value` parameters behind it. Throws ConfigError.
SqliteParameters parse_sqlite_parameters(const std::vector<std::string>& parameters);

}  // namespace codewake::internal
