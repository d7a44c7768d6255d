// What the parameters of PostgresStore say.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace codewake::internal {

struct PostgresParameters {
  /// libpq's keywords and their values, for PQconnectdbParams; may hold a password.
  std::vector<std::pair<std::string, std::string>> connection;
  /// As it may be shown in messages.
  std::string display;
  /// Names the storage: Store::identity.
  std::string identity;
  /// How long one statement may take; zero: for as long as it likes.
  std::chrono::milliseconds statement_timeout{60'000};
  /// Whether the server may keep statements parsed and planned from one transaction to the next.
  bool prepared_statements = true;
};

/// Reads the DSN and the `key=value` parameters behind it. Throws ConfigError.
PostgresParameters parse_postgres_parameters(const std::vector<std::string>& parameters);

}  // namespace codewake::internal
