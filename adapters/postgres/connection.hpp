// One connection to the server.
//
// Invariants:
//  - Nothing waits for ever: libpq's descriptor does not block, and every wait here ends when the server has
//    been silent for longer than its own statement_timeout allows.
//  - A failure that is not a plain answer of the server leaves the connection unusable; whoever has it throws
//    it away. So a connection that is usable is always between two exchanges.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "arguments.hpp"
#include "parameters.hpp"
#include "postgres_error.hpp"
#include "rows.hpp"

namespace codewake::internal {

/// A statement and its arguments.
struct Statement {
  std::string sql;
  Arguments arguments = {};
  /// Whether the server shall keep it parsed and planned for the next time.
  bool keep = false;
};

/// Thread-bound to whoever holds the lock that guards it. Every call throws Failure.
class Connection {
 public:
  /// Connects, and sets the session up. Takes `connect_timeout` at most for each address of the host. Throws
  /// StoreError (unavailable) too, where the database's encoding cannot hold every text.
  explicit Connection(const PostgresParameters& parameters);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  /// Whether it is between two exchanges; false once it was lost.
  bool usable() const noexcept;
  bool in_transaction() const noexcept;
  /// The socket.
  int descriptor() const noexcept { return PQsocket(handle_.get()); }

  /// Sends all of them, then reads the answers, in their order: one round trip. What comes after a statement
  /// that fails is not done.
  std::vector<Rows> run(std::span<const Statement> statements);
  Rows run(Statement statement);
  /// The same in two steps, so that there is something to be done while the server works; nothing else may
  /// happen on the connection in between.
  void send(std::span<const Statement> statements);
  std::vector<Rows> receive(std::span<const Statement> statements);
  /// Any number of statements without arguments, separated by semicolons.
  void exec(const std::string& sql);

  /// From now on the server plans each statement once, whatever its arguments are: for statements that leave
  /// no choice. Where it is too old for that (before 12) it decides by itself.
  void plan_once();

  /// `COPY … FROM STDIN`: begins, takes bytes as they come, and ends. A copy that was begun and not ended
  /// leaves the connection unusable.
  void begin_copy(const std::string& sql);
  void copy(std::string_view bytes);
  void end_copy();

  /// How long the server may be silent; zero: for ever.
  std::chrono::milliseconds patience() const noexcept { return patience_; }
  void set_patience(std::chrono::milliseconds patience) noexcept { patience_ = patience; }

 private:
  struct Finish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
  };

  void set_up(const PostgresParameters& parameters);
  /// Whether the server was told to prepare it before.
  bool send(const Statement& statement);
  /// One answer within a pipeline.
  Rows receive(std::exception_ptr& failure);
  /// Everything that is left of the answers to what PQsendQuery sent.
  void receive_rest();
  /// The next result, or null where the statement has no more.
  PGresult* next_result();
  /// Throws where the result is an error.
  Rows checked(PGresult* result);
  void flush();
  void wait(short events);
  /// What libpq says of the connection; it is unusable from now on.
  [[noreturn]] void fail_lost(const std::string& message = {});

  std::unique_ptr<PGconn, Finish> handle_;
  std::chrono::milliseconds patience_{0};
  bool usable_ = true;
  /// The names of statements that the server keeps, by their text.
  std::unordered_map<std::string, std::string> kept_;
  unsigned names_ = 0;
  /// Of the statements that were sent, whether the server knew them.
  std::vector<bool> known_;
};

}  // namespace codewake::internal
