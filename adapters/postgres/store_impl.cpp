#include "store_impl.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace codewake {

using internal::Connection;
using internal::Failure;
using internal::SchemaState;
using internal::Transaction;

namespace {

/// For how long fork() may be held up by calls that are under way, for each of the two connections.
constexpr std::chrono::milliseconds kForkWait{100};

/// Not std::timed_mutex: ThreadSanitizer does not see how it waits.
bool try_lock_until(std::mutex& mutex, std::chrono::steady_clock::time_point deadline) {
  while (!mutex.try_lock()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace

PostgresStore::Impl::Impl(internal::PostgresParameters parameters) : parameters_(std::move(parameters)) {}

PostgresStore::Impl::~Impl() = default;

void PostgresStore::Impl::check_open() const {
  if (!shared_->closed) return;
  throw StoreError(StoreError::Kind::unavailable,
                   fmt::format("PostgreSQL database {}: the store has been shut down; make a new one",
                               parameters_.display));
}

void PostgresStore::Impl::open(Session& session) {
  auto connection = std::make_unique<Connection>(parameters_);
  session.schema = prepare_database(*connection, session.writes);
  session.connection = std::move(connection);
  const std::array<int, 2> descriptors = session.connection->descriptors();
  struct stat socket {};
  if (fstat(descriptors[0], &socket) != 0) return;
  session.inode = socket.st_ino;
  for (std::size_t i = 0; i < descriptors.size(); ++i) session.descriptors[i] = descriptors[i];
}

Failure PostgresStore::Impl::after(const pqxx::failure& error, Session& session) {
  const Failure failure = internal::to_failure(error, session.is_lost());
  if (session.is_lost() || session.connection->state() != internal::TransactionState::none ||
      internal::is_missing_table(error) || internal::is_read_only(error)) {
    session.close();
  }
  return failure;
}

SchemaState PostgresStore::Impl::inspect(Connection& connection) {
  Transaction transaction(connection, Transaction::Kind::of_once);
  return internal::inspect_schema(transaction, parameters_);
}

SchemaState PostgresStore::Impl::prepare_database(Connection& connection, bool writes) {
  const SchemaState state = inspect(connection);
  if (state.version >= internal::kSchemaVersion) return state;
  try {
    internal::upgrade_schema(connection, parameters_);
  } catch (const pqxx::failure& failure) {
    // What the older package wrote can be read as it is.
    if (writes || !state.complete || !internal::is_read_only(failure) || !connection.usable()) throw;
    return state;
  }
  return inspect(connection);
}

bool PostgresStore::Impl::shutdown(std::chrono::nanoseconds timeout) {
  const auto deadline =
      std::chrono::steady_clock::now() + std::min<std::chrono::nanoseconds>(timeout, std::chrono::hours(24));
  if (!try_lock_until(shared_->write.mutex, deadline)) return false;
  const std::lock_guard write_lock(shared_->write.mutex, std::adopt_lock);
  if (!try_lock_until(shared_->read.mutex, deadline)) return false;
  const std::lock_guard read_lock(shared_->read.mutex, std::adopt_lock);
  shared_->closed = true;
  shared_->write.close();
  shared_->read.close();
  return true;
}

void PostgresStore::Impl::at_fork(ForkPhase phase) noexcept {
  switch (phase) {
    case ForkPhase::before:
      for (Session* session : {&shared_->write, &shared_->read}) {
        session->locked = try_lock_until(session->mutex, std::chrono::steady_clock::now() + kForkWait);
      }
      break;
    case ForkPhase::after_in_parent:
      for (Session* session : {&shared_->read, &shared_->write}) {
        if (std::exchange(session->locked, false)) session->mutex.unlock();
      }
      break;
    case ForkPhase::after_in_child: {
      for (const Session* session : {&shared_->write, &shared_->read}) {
        for (const int descriptor : session->descriptors) {
          struct stat file {};
          const bool is_it = descriptor >= 0 && fstat(descriptor, &file) == 0 && S_ISSOCK(file.st_mode) &&
                             file.st_ino == session->inode;
          if (is_it) ::close(descriptor);
        }
      }
      auto fresh = std::make_unique<Shared>();
      fresh->closed = shared_->closed.load();
      fresh->left_to_parent = shared_.release();
      shared_ = std::move(fresh);
      break;
    }
  }
}

}  // namespace codewake
