// What goes wrong with PostgreSQL, and as which StoreError it leaves the adapter.
#pragma once

#include <string>
#include <string_view>

#include "codewake/errors.hpp"
#include "pqxx_face.hpp"

namespace codewake::internal {

/// What the server answered, or what became of the connection.
struct Failure {
  enum class Kind {
    answered,  ///< the connection is of use
    lost,      ///< nothing of the transaction was stored
    in_doubt,  ///< COMMIT was sent, and no answer came
  };

  Kind kind = Kind::lost;
  std::string message;   ///< on one line
  std::string sqlstate;  ///< five characters, or empty where libpq itself failed
};

/// `is_lost`: whether the connection is of no more use.
Failure to_failure(const pqxx::failure& error, bool is_lost);

/// Says what was being done to which database, what the server said with its SQLSTATE, and what to do about
/// it. `display`: the database, as it may be shown.
StoreError to_store_error(const Failure& failure, std::string_view display, std::string_view doing);

/// What the server said: five characters, or empty where it was not the server who said something.
std::string sqlstate_of(const pqxx::failure& error);

/// The same transaction, begun again at once, may well succeed: somebody else was in the way, or a statement
/// that was thought to be kept by the server was not.
bool is_transient(const pqxx::failure& error);

/// As a statement answers that checks something.
bool is_division_by_zero(const pqxx::failure& error);

/// This role, or this server, may only read.
bool is_read_only(const pqxx::failure& error);

/// A table or a column is not there that was there when the connection was made.
bool is_missing_table(const pqxx::failure& error);

/// As the server says it of a row that another transaction changed, and as is_transient takes it.
pqxx::sql_error changed_meanwhile(const std::string& what);

}  // namespace codewake::internal
