#include "connection.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <limits>
#include <utility>

#include "codewake/errors.hpp"

namespace codewake::internal {
namespace {

using Clock = std::chrono::steady_clock;

/// What the network and a busy machine may take beyond the server's own statement_timeout.
std::chrono::milliseconds grace(std::chrono::milliseconds statement_timeout) {
  return std::clamp<std::chrono::milliseconds>(statement_timeout, std::chrono::seconds(1),
                                               std::chrono::seconds(10));
}

PGconn* connect(const PostgresParameters& parameters) {
  std::vector<const char*> keywords, values;
  for (const auto& [keyword, value] : parameters.connection) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  return PQconnectdbParams(keywords.data(), values.data(), 0);
}

/// They are for somebody at a prompt.
void ignore_notice(void*, const PGresult*) {}

const char* field(const PGresult* result, int code) {
  const char* const text = PQresultErrorField(result, code);
  return text == nullptr ? "" : text;
}

std::string message_of(const PGresult* result) {
  std::string message = field(result, PG_DIAG_MESSAGE_PRIMARY);
  if (message.empty()) message = PQresultErrorMessage(result);
  return message;
}

}  // namespace

Connection::Connection(const PostgresParameters& parameters) : handle_(connect(parameters)) {
  if (!handle_ || PQstatus(handle_.get()) != CONNECTION_OK) fail_lost();
  PQsetNoticeReceiver(handle_.get(), &ignore_notice, nullptr);
  if (PQsetnonblocking(handle_.get(), 1) != 0) fail_lost();
  set_up(parameters);
}

Connection::~Connection() = default;

void Connection::set_up(const PostgresParameters& parameters) {
  const auto timeout = parameters.statement_timeout;
  if (timeout.count() > 0) patience_ = timeout + grace(timeout);
  const char* const encoding = PQparameterStatus(handle_.get(), "server_encoding");
  const std::string_view name = encoding == nullptr ? "" : encoding;
  if (name != "UTF8" && name != "SQL_ASCII") {
    throw StoreError(
        StoreError::Kind::unavailable,
        fmt::format("PostgreSQL database {}: its encoding is {}, which cannot hold every text; make "
                    "one with createdb --encoding=UTF8 --template=template0",
                    parameters.display, name));
  }
  // A client that went away in the middle of a transaction must not keep its locks.
  exec(
      fmt::format("SET statement_timeout = {0}; SET lock_timeout = {0}; "
                  "SET idle_in_transaction_session_timeout = {0}; SET client_min_messages = error",
                  timeout.count()));
}

bool Connection::usable() const noexcept {
  const auto status = PQtransactionStatus(handle_.get());
  return usable_ && status != PQTRANS_ACTIVE && status != PQTRANS_UNKNOWN;
}

bool Connection::in_transaction() const noexcept {
  const auto status = PQtransactionStatus(handle_.get());
  return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

void Connection::fail_lost(const std::string& message) {
  usable_ = false;
  const std::string said = handle_ ? PQerrorMessage(handle_.get()) : "libpq has no memory left";
  throw Failure(message.empty() ? said : message, "", Failure::Connection::lost);
}

void Connection::wait(short events) {
  pollfd descriptor{.fd = PQsocket(handle_.get()), .events = events, .revents = 0};
  const auto deadline = Clock::now() + patience_;
  while (true) {
    int milliseconds = -1;
    if (patience_.count() > 0) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
      milliseconds = static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
    }
    const int ready = poll(&descriptor, 1, milliseconds);
    if (ready > 0) return;
    if (ready == 0) fail_lost(fmt::format("the server has been silent for {} ms", patience_.count()));
    if (errno != EINTR) fail_lost(std::strerror(errno));
  }
}

// Reads meanwhile: a server that cannot get rid of its answers takes nothing more.
void Connection::flush() {
  while (true) {
    const int unsent = PQflush(handle_.get());
    if (unsent < 0) return;  // what the server said before it went away is read first
    if (unsent == 0) return;
    wait(POLLIN | POLLOUT);
    if (PQconsumeInput(handle_.get()) == 0) return;
  }
}

PGresult* Connection::next_result() {
  flush();
  while (PQisBusy(handle_.get()) != 0) {
    wait(POLLIN);
    if (PQconsumeInput(handle_.get()) == 0) break;  // PQgetResult then says why
  }
  return PQgetResult(handle_.get());
}

Rows Connection::checked(PGresult* result) {
  Rows rows(result);
  switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_COPY_IN:
      return rows;
    default:
      break;
  }
  const std::string severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  const std::string sqlstate = field(result, PG_DIAG_SQLSTATE);
  const bool lost = PQstatus(handle_.get()) == CONNECTION_BAD || severity == "FATAL" || severity == "PANIC" ||
                    sqlstate.empty();
  if (lost) usable_ = false;
  throw Failure(message_of(result), sqlstate, lost ? Failure::Connection::lost : Failure::Connection::usable);
}

bool Connection::send(const Statement& statement) {
  const Arguments& arguments = statement.arguments;
  const auto values = arguments.values();
  if (!statement.keep) {
    if (PQsendQueryParams(handle_.get(), statement.sql.c_str(), arguments.size(), arguments.types(),
                          values.data(), arguments.lengths(), arguments.formats(), 1) == 0) {
      fail_lost();
    }
    return true;
  }
  std::string& name = kept_[statement.sql];
  const bool known = !name.empty();
  if (!known) {
    name = fmt::format("codewake_{}", names_++);
    if (PQsendPrepare(handle_.get(), name.c_str(), statement.sql.c_str(), arguments.size(),
                      arguments.types()) == 0) {
      fail_lost();
    }
  }
  if (PQsendQueryPrepared(handle_.get(), name.c_str(), arguments.size(), values.data(), arguments.lengths(),
                          arguments.formats(), 1) == 0) {
    fail_lost();
  }
  return known;
}

// Each statement's results end with a null. Behind the first that fails, the server does nothing and says so.
Rows Connection::receive(std::exception_ptr& failure) {
  Rows rows;
  while (PGresult* const result = next_result()) {
    if (failure) {
      PQclear(result);
      continue;
    }
    try {
      rows = checked(result);
    } catch (const Failure& first) {
      if (first.connection() != Failure::Connection::usable) throw;
      failure = std::current_exception();
    }
  }
  return rows;
}

std::vector<Rows> Connection::run(std::span<const Statement> statements) {
  send(statements);
  return receive(statements);
}

void Connection::send(std::span<const Statement> statements) {
  if (!usable()) fail_lost("the connection was lost before");
  if (PQenterPipelineMode(handle_.get()) == 0) fail_lost();
  known_.clear();
  for (const Statement& statement : statements) known_.push_back(send(statement));
  if (PQpipelineSync(handle_.get()) == 0) fail_lost();
  PQflush(handle_.get());  // what is left, and what goes wrong, is for receive()
}

std::vector<Rows> Connection::receive(std::span<const Statement> statements) {
  std::vector<Rows> answers;
  std::exception_ptr failure;
  for (std::size_t i = 0; i < statements.size(); ++i) {
    if (!known_[i]) {
      receive(failure);
      if (failure) kept_.erase(statements[i].sql);
    }
    answers.push_back(receive(failure));
  }
  PGresult* const sync = next_result();
  const bool in_step = PQresultStatus(sync) == PGRES_PIPELINE_SYNC;
  PQclear(sync);
  if (!in_step || PQexitPipelineMode(handle_.get()) == 0) fail_lost();
  if (failure) std::rethrow_exception(failure);
  return answers;
}

Rows Connection::run(Statement statement) {
  return std::move(run(std::span(&statement, 1)).front());
}

void Connection::receive_rest() {
  std::exception_ptr failure;
  receive(failure);
  if (failure) std::rethrow_exception(failure);
}

void Connection::exec(const std::string& sql) {
  if (!usable()) fail_lost("the connection was lost before");
  if (PQsendQuery(handle_.get(), sql.c_str()) == 0) fail_lost();
  receive_rest();
}

void Connection::plan_once() {
  constexpr int kFirstVersion = 120'000;
  if (PQserverVersion(handle_.get()) >= kFirstVersion) exec("SET plan_cache_mode = force_generic_plan");
}

void Connection::begin_copy(const std::string& sql) {
  if (!usable()) fail_lost("the connection was lost before");
  if (PQsendQuery(handle_.get(), sql.c_str()) == 0) fail_lost();
  PGresult* const result = next_result();
  if (PQresultStatus(result) == PGRES_COPY_IN) {
    PQclear(result);
    return;
  }
  std::exception_ptr failure;
  try {
    checked(result);
  } catch (const Failure& first) {
    if (first.connection() != Failure::Connection::usable) throw;
    failure = std::current_exception();
  }
  receive(failure);
  if (failure) std::rethrow_exception(failure);
  fail_lost("the server does not begin to copy");
}

void Connection::copy(std::string_view bytes) {
  int queued = 0;
  while ((queued = PQputCopyData(handle_.get(), bytes.data(), static_cast<int>(bytes.size()))) == 0) {
    wait(POLLIN | POLLOUT);
    flush();
  }
  if (queued > 0) flush();
  if (queued > 0 && PQstatus(handle_.get()) == CONNECTION_OK) return;
  receive_rest();
  fail_lost();
}

void Connection::end_copy() {
  while (true) {
    const int ended = PQputCopyEnd(handle_.get(), nullptr);
    if (ended > 0) break;
    if (ended < 0) fail_lost();
    wait(POLLOUT);
    flush();
  }
  receive_rest();
}

}  // namespace codewake::internal
