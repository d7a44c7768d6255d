#include "connection.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "codewake/errors.hpp"
#include "server_versions.hpp"

namespace codewake::internal {
namespace {

/// What the network and a busy machine may take beyond the server's own statement_timeout.
std::chrono::milliseconds grace(std::chrono::milliseconds statement_timeout) {
  return std::clamp<std::chrono::milliseconds>(statement_timeout, std::chrono::seconds(1),
                                               std::chrono::seconds(10));
}

std::chrono::milliseconds patience_of(const PostgresParameters& parameters) {
  const auto timeout = parameters.statement_timeout;
  return timeout.count() > 0 ? timeout + grace(timeout) : timeout;
}

/// Nothing for a Unix socket.
std::optional<int> local_port(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return std::nullopt;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return std::nullopt;
}

}  // namespace

Connection::Connection(const PostgresParameters& parameters)
    : parameters_(parameters),
      patience_(patience_of(parameters)),
      connected_(connect(parameters)),
      watchdog_(connected_.pqxx->sock()),
      pipeline_(*connected_.handle, watchdog_, patience_, parameters.prepared_statements) {
  check_encoding();
  set_if_direct();
}

// A server that is stopped may take nothing more, not even the farewell.
Connection::~Connection() {
  const Watchdog::Guard guard(watchdog_, grace({}));
  connected_.pqxx.reset();
}

void Connection::check_encoding() const {
  const std::string name = server_encoding(*connected_.handle);
  if (name == "UTF8" || name == "SQL_ASCII") return;
  throw StoreError(
      StoreError::Kind::unavailable,
      fmt::format("PostgreSQL database {}: its encoding is {}, which cannot hold every text; make "
                  "one with createdb --encoding=UTF8 --template=template0",
                  parameters_.display, name));
}

// A pooler tells its clients numbers of processes that are no server's, or that of the first server's process
// that they use; and the server sees the pooler's port. Over a network that changes ports, a server is taken
// for a pooler.
void Connection::set_if_direct() {
  is_direct_ = with([&](PqxxConnection& pqxx) {
    const std::string_view plans =
        pqxx.server_version() >= kFirstToPlanOnce ? ", ('plan_cache_mode', 'force_generic_plan')" : "";
    const std::optional<int> port = local_port(pqxx.sock());
    return !pqxx::nontransaction(pqxx)
                .exec(fmt::format(
                    "SELECT set_config(name, value, false) FROM (VALUES ('statement_timeout', '{0}'), "
                    "('lock_timeout', '{0}'), ('idle_in_transaction_session_timeout', '{0}'), "
                    "('extra_float_digits', '3'), ('default_transaction_isolation', 'read committed'){1}) "
                    "s(name, value) WHERE pg_backend_pid() = {2} AND "
                    "inet_client_port() IS NOT DISTINCT FROM {3}",
                    parameters_.statement_timeout.count(), plans, pqxx.backendpid(),
                    port ? std::to_string(*port) : "NULL"))
                .empty();
  });
}

bool Connection::usable() const noexcept {
  return !is_lost_ && connected_.pqxx->is_open() && state() != TransactionState::unknown &&
         !pipeline_.is_broken() && !watchdog_.has_fired();
}

void Connection::note_loss(const pqxx::failure& failure) noexcept {
  is_lost_ = is_lost_ || dynamic_cast<const pqxx::broken_connection*>(&failure) != nullptr ||
             dynamic_cast<const pqxx::in_doubt_error*>(&failure) != nullptr;
}

bool Connection::was_in_use() const noexcept {
  constexpr std::chrono::seconds kMoment{1};
  if (std::chrono::steady_clock::now() - used_ > kMoment) return false;
  pollfd socket{.fd = connected_.pqxx->sock(), .events = POLLIN, .revents = 0};
  return ::poll(&socket, 1, 0) == 0;
}

// A client that went away in the middle of a transaction must not keep its locks. With more digits than a
// server before 12 would show, numbers are read as they are stored.
std::string Connection::settings() const {
  if (is_direct_) return server_version() >= kFirstToPlanOnce ? "SET LOCAL plan_cache_mode = auto" : "";
  return fmt::format(
      "SET LOCAL statement_timeout = {0}; SET LOCAL lock_timeout = {0}; "
      "SET LOCAL idle_in_transaction_session_timeout = {0}; SET LOCAL extra_float_digits = 3",
      parameters_.statement_timeout.count());
}

void Connection::explain_silence() const {
  if (!watchdog_.has_fired()) return;
  try {
    throw;
  } catch (const pqxx::in_doubt_error& error) {
    throw pqxx::in_doubt_error(watchdog_.reason(error.what()));
  } catch (const pqxx::failure& error) {
    throw pqxx::broken_connection(watchdog_.reason(error.what()));
  }
}

// What reads begins by a statement of its own: so it goes in one round trip with the settings.
Transaction::Transaction(Connection& connection, Kind kind) : connection_(connection), kind_(kind) {
  connection_.with([&](PqxxConnection& pqxx) {
    if (kind == Kind::writes) {
      transaction_ = std::make_unique<pqxx::work>(pqxx);
    } else {
      transaction_ = std::make_unique<pqxx::nontransaction>(pqxx);
    }
  });
  constexpr std::string_view kOfOnce = "REPEATABLE READ READ ONLY", kReads = "READ COMMITTED";
  exec(kind == Kind::writes ? "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; " + connection.settings()
                            : fmt::format("BEGIN ISOLATION LEVEL {}; {}",
                                          kind == Kind::of_once ? kOfOnce : kReads, connection.settings()));
}

Transaction::~Transaction() {
  try {
    if (kind_ != Kind::writes && connection_.usable()) exec("ROLLBACK");
    if (connection_.usable()) {
      connection_.with([&](PqxxConnection&) { transaction_.reset(); });
    }
  } catch (const pqxx::failure&) {
    // The connection is unusable now, and with it the transaction is gone.
  }
  // Here, where that has not happened: libpqxx says nothing on a connection that is lost.
  transaction_.reset();
}

pqxx::result Transaction::run(const std::string& sql, const Arguments& arguments) {
  return connection_.with([&](PqxxConnection&) { return exec_params(*transaction_, sql, arguments); });
}

void Transaction::exec(const std::string& sql) {
  connection_.with([&](PqxxConnection&) { transaction_->exec(sql); });
}

// A caller may have caught the failure of a statement within the transaction; the server's answer to
// COMMIT is ROLLBACK then, and no error.
void Transaction::commit() {
  if (connection_.state() == TransactionState::failed) {
    throw pqxx::sql_error("ERROR:  the transaction has failed before\n", "COMMIT", "25P02");
  }
  connection_.with([&](PqxxConnection&) {
    try {
      transaction_->commit();
    } catch (const pqxx::broken_connection& error) {  // 08007: the server itself does not know
      throw pqxx::in_doubt_error(error.what());
    }
  });
}

}  // namespace codewake::internal
