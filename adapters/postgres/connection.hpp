// One connection to the server, and the transactions on it.
//
// Invariants:
//  - Nothing waits for ever: the watchdog ends every exchange in which the server has been silent for longer
//  than its own statement_timeout allows.
//  - A failure that is not a plain answer of the server leaves the connection unusable; its owner throws
//  it away. So a connection that is usable is always between two exchanges.
//  - No setting outlives its transaction behind a pooler: the next transaction on the server's side is
//  another client's.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "arguments.hpp"
#include "handle.hpp"
#include "parameters.hpp"
#include "pipeline.hpp"
#include "watchdog.hpp"

namespace codewake::internal {

/// Thread-bound to the holder of the lock that guards it.
class Connection {
 public:
  /// Connects. Takes `connect_timeout` at most for each address of the host. Throws pqxx::failure, and
  /// StoreError (unavailable) where the database's encoding cannot hold every text.
  explicit Connection(const PostgresParameters& parameters);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  /// Whether it is between two exchanges; false once it was lost.
  bool usable() const noexcept;
  /// Whether the server is most likely there: a batch was written a moment ago, and since then it has said
  /// nothing, such as that it goes.
  bool was_in_use() const noexcept;
  void note_use() noexcept { used_ = std::chrono::steady_clock::now(); }
  TransactionState state() const noexcept { return transaction_state(*connected_.handle); }
  /// The sockets of it that a child of fork() has to close.
  std::array<int, 2> descriptors() const { return {connected_.pqxx->sock(), watchdog_.descriptor()}; }
  int server_version() const { return connected_.pqxx->server_version(); }

  /// How long the server may be silent; zero: for ever.
  std::chrono::milliseconds patience() const noexcept { return patience_; }
  void set_patience(std::chrono::milliseconds patience) noexcept { patience_ = patience; }

  /// Whether the other side is the server's own process, and no pooler: then what bounds its statements is
  /// set once and for all, and plans are made once, whatever the arguments are.
  bool is_direct() const noexcept { return is_direct_; }
  /// What a transaction by libpqxx begins with: `SET LOCAL …; …`, bounds where they are not set, and plans
  /// that suit the arguments.
  std::string settings() const;
  /// How long a statement may take.
  std::chrono::milliseconds statement_timeout() const noexcept { return parameters_.statement_timeout; }

  /// Runs `exchange(PqxxConnection&)`, which waits for the server no longer than it may. Throws
  /// pqxx::failure, and whatever `exchange` throws.
  template <class Exchange>
  decltype(auto) with(Exchange exchange) {
    if (!usable()) throw pqxx::broken_connection("the connection was lost before");
    const Watchdog::Guard guard(watchdog_, patience_);
    try {
      return exchange(*connected_.pqxx);
    } catch (const pqxx::failure& failure) {
      note_loss(failure);
      explain_silence();
      throw;
    }
  }

  /// For what libpqxx has no form for.
  Pipeline& pipeline() noexcept { return pipeline_; }

 private:
  void check_encoding() const;
  void set_if_direct();
  /// libpq itself may say that it is connected until the next exchange has failed, too.
  void note_loss(const pqxx::failure& failure) noexcept;
  /// Throws what says so, where the failure that is being handled comes of the watchdog.
  void explain_silence() const;

  const PostgresParameters& parameters_;
  std::chrono::milliseconds patience_{0};
  Connected connected_;
  Watchdog watchdog_;
  Pipeline pipeline_;
  bool is_direct_ = false;
  bool is_lost_ = false;
  std::chrono::steady_clock::time_point used_{};
};

/// A transaction by libpqxx; rolled back where it is not committed. There is one at a time on a connection.
/// Every call throws pqxx::failure.
class Transaction {
 public:
  enum class Kind {
    writes,
    reads,    ///< each statement sees what is there when it begins
    of_once,  ///< reads; all statements see what was there when the first began
  };

  /// `connection` must outlive it.
  Transaction(Connection& connection, Kind kind);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  /// One statement, whose $1, $2, … are the arguments; all of its rows.
  pqxx::result run(const std::string& sql, const Arguments& arguments = {});
  /// Any number of statements without arguments, separated by semicolons.
  void exec(const std::string& sql);
  /// Of one that writes. Throws pqxx::in_doubt_error where no answer came, and never takes for committed what
  /// the server rolled back.
  void commit();

  Connection& connection() noexcept { return connection_; }

 private:
  Connection& connection_;
  const Kind kind_;
  std::unique_ptr<pqxx::transaction_base> transaction_;
};

}  // namespace codewake::internal
