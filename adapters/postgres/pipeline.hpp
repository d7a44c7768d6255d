// What a batch needs and libpqxx has no form for: several statements in one round trip, and COPY in binary.
// Measured at batches of 10,000 events: libpqxx's stream_to, which is text, has 0.90 of the rate of binary
// COPY, and arrays as parameters 0.75; at 50 events a transaction of libpqxx's takes two more round trips.
//
// So it is libpq itself, on the connection that libpqxx owns; what goes wrong is thrown as libpqxx throws it.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "arguments.hpp"
#include "codewake/digest.hpp"
#include "handle.hpp"
#include "watchdog.hpp"

namespace codewake::internal {

/// A statement and its arguments.
struct Statement {
  std::string sql;
  Arguments arguments = {};
  /// Whether the server shall keep it parsed and planned for the next time.
  bool keep = false;
};

/// What a statement of a pipeline answered, in binary format.
class Answer {
 public:
  using Result = pqxx::internal::pq::PGresult;

  /// Takes it over; null: no rows.
  explicit Answer(Result* result = nullptr) : result_(result) {}

  int size() const noexcept;
  bool empty() const noexcept { return size() == 0; }
  /// Of a bigint or an integer; 0 for NULL.
  std::int64_t integer(int row, int column) const noexcept;
  /// Of a bigint[] without NULL in it; empty for NULL.
  std::vector<std::int64_t> integers(int row, int column) const;
  /// Empty for anything that is not 32 bytes.
  std::optional<Digest> digest(int row, int column) const noexcept;
  /// What was done, such as `COMMIT` or `INSERT 0 1`.
  std::string_view command() const noexcept;
  /// Of text or a bytea; empty for NULL.
  std::string_view bytes(int row, int column) const noexcept;

 private:
  struct Clear {
    void operator()(Result* result) const noexcept;
  };

  std::unique_ptr<Result, Clear> result_;
};

/// Thread-bound. Every call throws pqxx::failure.
class Pipeline {
 public:
  /// `handle` and `watchdog` must outlive it. `patience`: how long the server may be silent; zero: for ever.
  /// `keeps`: whether it may keep statements at all.
  Pipeline(Handle& handle, Watchdog& watchdog, std::chrono::milliseconds patience, bool keeps)
      : handle_(handle), watchdog_(watchdog), patience_(patience), keeps_(keeps) {}
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  /// Whether a failure left it within an exchange: then the connection is of no more use.
  bool is_broken() const noexcept { return broken_; }

  /// Sends all of them. What comes after a statement that fails is not done. Nothing else may happen on the
  /// connection before `receive`; so there is something to be done while the server works.
  void send(std::span<const Statement> statements);
  /// Reads the answers to what was sent, in their order.
  std::vector<Answer> receive();
  /// How many statements of the last `send` were answered without a failure.
  std::size_t answered() const noexcept { return answered_; }
  /// Both: one round trip.
  std::vector<Answer> run(std::span<const Statement> statements);

  /// Begins a transaction where the last failed because the server did not keep what was thought to be kept:
  /// a pooler gives each transaction whichever of its connections is idle. Asks the one that it is. Does
  /// nothing, and returns false, where nothing failed for that.
  bool begin_by_asking(const Statement& begin);
  /// Whether it would.
  bool is_unsure() const noexcept { return is_unsure_; }

  /// Begins the first of some `COPY … FROM STDIN (FORMAT binary)`, which are separated by semicolons; another
  /// statement without arguments may be the last, and is done once all of them have ended. Where they are
  /// begun and not ended, the connection is unusable.
  void begin_copies(const std::string& sql);
  void copy(std::string_view bytes);
  /// Ends the one that is under way, and begins the next.
  void next_copy();
  /// Ends the last. Returns the answer of the last statement.
  Answer end_copies();

 private:
  struct Sent {
    std::string sql;
    std::string
        prepares;  ///< the name under which it is prepared in the same send; empty: it is not prepared
  };

  void send(const Statement& statement);
  /// One answer within a pipeline; `failure` is the first one.
  Answer receive(const std::string& sql, std::exception_ptr& failure);
  /// Everything that is left of the answers to what was sent without a pipeline; the last one.
  Answer receive_rest();
  void wait_for_copy();
  /// Throws where the result is an error; clears it then.
  Answer checked(Answer::Result* result, const std::string& sql);
  /// The connection is unusable from now on. Empty: says what libpq says of it.
  [[noreturn]] void fail_lost(const std::string& message = {});

  /// The name under which the server keeps a statement.
  const std::string& name_of(const std::string& sql);

  Handle& handle_;
  Watchdog& watchdog_;
  const std::chrono::milliseconds patience_;
  const bool keeps_;
  bool broken_ = false;
  std::unordered_map<std::string, std::string> names_;  ///< by the statements
  std::unordered_set<std::string> kept_;                ///< the names that the server knows
  bool is_unsure_ = false;                              ///< whether `kept_` was found to be wrong
  std::vector<Sent> sent_;
  std::size_t answered_ = 0;
  std::string copies_;  ///< the statements of the COPY that is under way
};

}  // namespace codewake::internal
