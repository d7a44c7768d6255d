// One face over libpqxx 6.4 (Debian 12, Ubuntu 22.04) and 7.8 and later: what differs between them stands
// here.
#pragma once

#include <pqxx/pqxx>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "arguments.hpp"

namespace codewake::internal {

#if PQXX_VERSION_MAJOR < 7

/// How libpqxx 6 comes to a connection is a policy; this one is handed it.
class HandedConnection : public pqxx::connectionpolicy {
 public:
  /// `address`: the handle's, in decimal digits. A policy is made of a string.
  explicit HandedConnection(const std::string& address)
      : connectionpolicy(address), handle_(reinterpret_cast<handle>(std::stoull(address))) {}

  handle do_startconnect(handle known) override {
    if (known != nullptr) return known;
    if (handle_ == nullptr) throw pqxx::broken_connection("the connection was lost before");
    return std::exchange(handle_, nullptr);
  }

 private:
  handle handle_;
};

using PqxxConnection = pqxx::basic_connection_base<HandedConnection>;

/// Takes over what libpq has connected; it does not connect again by itself. Throws pqxx::failure.
inline std::unique_ptr<PqxxConnection> adopt(pqxx::internal::pq::PGconn* handle) {
  auto connection =
      std::make_unique<PqxxConnection>(std::to_string(reinterpret_cast<std::uintptr_t>(handle)));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  connection->inhibit_reactivation(true);
#pragma GCC diagnostic pop
  return connection;
}

/// Answers in text. Throws pqxx::failure.
inline pqxx::result exec_params(pqxx::transaction_base& transaction, const std::string& sql,
                                const Arguments& arguments) {
  pqxx::internal::params params;  // of exec_params() itself: only there may their number be known late
  for (const Argument& argument : arguments.all()) {
    params.lengths.push_back(argument.is_null ? 0 : static_cast<int>(argument.bytes.size()));
    params.nonnulls.push_back(argument.is_null ? 0 : 1);
    params.binaries.push_back(argument.is_binary ? 1 : 0);
    if (argument.is_null) continue;
    if (argument.is_binary) {
      params.bin_strings.emplace_back(argument.bytes);
    } else {
      params.strings.push_back(argument.bytes);
    }
  }
  return transaction.exec_params(sql, std::as_const(params));  // copied, not taken for one parameter
}

#else

using PqxxConnection = pqxx::connection;

inline std::unique_ptr<PqxxConnection> adopt(pqxx::internal::pq::PGconn* handle) {
  return std::make_unique<PqxxConnection>(pqxx::connection::seize_raw_connection(handle));
}

inline pqxx::result exec_params(pqxx::transaction_base& transaction, const std::string& sql,
                                const Arguments& arguments) {
  pqxx::params params;
  for (const Argument& argument : arguments.all()) {
    if (argument.is_null) {
      params.append();
    } else if (argument.is_binary) {
      const auto* const bytes = reinterpret_cast<const std::byte*>(argument.bytes.data());
#if PQXX_VERSION_MAJOR < 8
      params.append(std::basic_string_view<std::byte>(bytes, argument.bytes.size()));
#else
      params.append(pqxx::bytes_view(bytes, argument.bytes.size()));
#endif
    } else {
      params.append(argument.bytes);
    }
  }
#if PQXX_VERSION_MAJOR > 7 || PQXX_VERSION_MINOR >= 10
  return transaction.exec(sql, params);
#else
  return transaction.exec_params(sql, params);
#endif
}

#endif

}  // namespace codewake::internal
