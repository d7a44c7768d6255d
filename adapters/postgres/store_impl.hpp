// The connections of a PostgresStore, who may use them when, and how they come and go.
//
// Invariants:
//  - A connection is used by whoever holds the mutex that guards it; one writes, another reads, so that reads
//  do not wait for writes. Where both mutexes are needed, `write.mutex` is taken first.
//  - A connection that failed in any way but by a plain answer of the server is thrown away, and so is one to
//  a server that has turned read-only or has lost its tables: a new one may find better. The next call
//  makes a new one; a call whose connection had been idle tries once more with a new one, unless COMMIT was
//  under way: the server may have been restarted meanwhile.
//  - A child of fork() closes the descriptors that it inherited and says nothing on them: what it would say
//  (Terminate) the server would take for the parent's words.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "codewake/errors.hpp"
#include "codewake/postgres_store.hpp"
#include "connection.hpp"
#include "parameters.hpp"
#include "postgres_error.hpp"
#include "reader.hpp"
#include "schema.hpp"
#include "writer.hpp"

namespace codewake {

class PostgresStore::Impl {
 public:
  explicit Impl(internal::PostgresParameters parameters);
  ~Impl();

  /// Runs `work(Writer&)` with the writing connection. Throws StoreError.
  template <class Work>
  auto write(std::string_view doing, Work work) {
    return with(shared_->write, doing, [&](Session& session) {
      internal::Writer writer(*session.connection, parameters_);
      return work(writer);
    });
  }

  /// Runs `work(Reader&)` with the reading connection. Throws StoreError.
  template <class Work>
  auto read(std::string_view doing, Work work,
            internal::Transaction::Kind kind = internal::Transaction::Kind::of_once) {
    return with(shared_->read, doing, [&](Session& session) {
      internal::Reader reader(*session.connection, session.schema, kind);
      return work(reader);
    });
  }

  const internal::PostgresParameters& parameters() const noexcept { return parameters_; }
  bool shutdown(std::chrono::nanoseconds timeout);
  void at_fork(ForkPhase phase) noexcept;

 private:
  /// A connection with what belongs to it.
  struct Session {
    std::mutex mutex;
    const bool writes;
    // Guarded by `mutex`.
    std::unique_ptr<internal::Connection> connection;
    internal::SchemaState schema;
    /// The connection's descriptors of its socket, for a child that is forked while somebody else holds the
    /// mutex; -1: none. The inode tells it from another file that has got a number since.
    std::array<std::atomic<int>, 2> descriptors{-1, -1};
    std::atomic<ino_t> inode{0};
    /// Written around fork() only, by the thread that forks.
    bool locked = false;

    explicit Session(bool w) : writes(w) {}
    bool is_lost() const noexcept { return connection == nullptr || !connection->usable(); }
    void close() noexcept {
      for (std::atomic<int>& descriptor : descriptors) descriptor = -1;
      connection.reset();
    }
  };

  /// What fork() leaves to the parent: the child starts with a new one.
  struct Shared {
    Session write{true}, read{false};
    std::atomic<bool> closed{false};
    Shared* left_to_parent = nullptr;
  };

  template <class Work>
  auto with(Session& session, std::string_view doing, Work work) {
    const std::lock_guard lock(session.mutex);
    check_open();
    const bool was_idle = session.connection != nullptr;
    for (bool is_first = true;; is_first = false) {
      try {
        if (!session.connection) open(session);
        return work(session);
      } catch (const pqxx::failure& error) {
        const internal::Failure failure = after(error, session);
        const bool again = is_first && was_idle && failure.kind == internal::Failure::Kind::lost;
        if (!again) throw internal::to_store_error(failure, parameters_.display, doing);
      } catch (...) {
        if (session.is_lost()) session.close();
        throw;
      }
    }
  }

  /// Throws the connection away where it is of no more use.
  static internal::Failure after(const pqxx::failure& error, Session& session);
  void check_open() const;
  void open(Session& session);
  internal::SchemaState inspect(internal::Connection& connection);
  internal::SchemaState prepare_database(internal::Connection& connection, bool writes);

  const internal::PostgresParameters parameters_;
  std::unique_ptr<Shared> shared_ = std::make_unique<Shared>();
};

}  // namespace codewake
