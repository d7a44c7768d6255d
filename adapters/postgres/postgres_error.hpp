// What goes wrong with PostgreSQL, and as which StoreError it leaves the adapter.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "codewake/errors.hpp"

namespace codewake::internal {

/// What the server answered, or what became of the connection.
class Failure : public std::runtime_error {
 public:
  enum class Connection {
    usable,
    lost,            ///< nothing of the transaction was stored
    lost_at_commit,  ///< COMMIT was sent, and no answer came
  };

  /// `sqlstate`: five characters, or empty where libpq itself failed.
  Failure(const std::string& message, std::string sqlstate, Connection connection);

  const std::string& sqlstate() const noexcept { return sqlstate_; }
  Connection connection() const noexcept { return connection_; }
  /// The same, but COMMIT was under way.
  Failure at_commit() const;

 private:
  std::string sqlstate_;
  Connection connection_;
};

/// Says what was being done to which database, what the server said with its SQLSTATE, and what to do about
/// it. `display`: the database, as it may be shown.
StoreError to_store_error(const Failure& failure, std::string_view display, std::string_view doing);

/// Somebody else was in the way: the same transaction, begun again at once, may well succeed.
bool is_transient(const Failure& failure) noexcept;

/// This role, or this server, may only read.
bool is_read_only(const Failure& failure) noexcept;

/// A table or a column is not there that was there when the connection was made.
bool is_missing_table(const Failure& failure) noexcept;

}  // namespace codewake::internal
