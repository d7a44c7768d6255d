// libpq's side of a connection: how it is made, and what libpqxx does not tell of it. Besides pipeline.cpp,
// whose batches libpqxx has no form for, handle.cpp alone sees libpq: libpqxx makes its connections of a
// text, which would have to be quoted, waits in them for ever, and hands none out.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "parameters.hpp"
#include "pqxx_face.hpp"

namespace codewake::internal {

using Handle = pqxx::internal::pq::PGconn;

/// What libpq takes as parameters of a connection, with the values that it would use by itself: of the
/// environment, or built in. Empty where libpq cannot say, because its service file is broken. Thread-safe.
std::map<std::string, std::string> connection_keywords();

/// One connection, as libpqxx and as libpq have it.
struct Connected {
  std::unique_ptr<PqxxConnection> pqxx;
  Handle* handle = nullptr;  ///< owned by `pqxx`
};

/// Takes `connect_timeout` at most for each address of the host. Notices are dropped: they are for somebody
/// at a prompt. Throws pqxx::broken_connection.
Connected connect(const PostgresParameters& parameters);

/// As the server reported it, such as `UTF8`.
std::string server_encoding(const Handle& handle);

enum class TransactionState {
  none,
  open,
  failed,   ///< the server does nothing but roll it back
  unknown,  ///< the connection is within an exchange, or lost
};

TransactionState transaction_state(const Handle& handle) noexcept;

}  // namespace codewake::internal
