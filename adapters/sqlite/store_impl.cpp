#include "store_impl.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <new>
#include <thread>
#include <utility>

#include "descriptors.hpp"

namespace codewake {

using internal::Connection;
using internal::Reader;
using internal::Replaced;
using internal::SchemaState;
using internal::Writer;

namespace {

/// For how long fork() may be held up by calls that are under way.
constexpr std::chrono::milliseconds kForkWait{100};
/// And by the thread that writes the WAL back, which is told to stop but may be in the middle of an fsync.
constexpr std::chrono::seconds kCheckpointWait{1};

/// Whether the file may be opened without locks. SQLite could not open it with them, because it cannot make
/// the WAL or its shared memory; and no process that writes the file has left a WAL or a journal there.
bool may_be_immutable(const SQLite::Exception& failure, const std::string& path) {
  const bool is_not_made = (failure.getErrorCode() & 0xff) == SQLITE_CANTOPEN ||
                           failure.getExtendedErrorCode() == SQLITE_READONLY_DIRECTORY;
  std::error_code ignored;
  return is_not_made && std::filesystem::is_regular_file(path, ignored) &&
         !std::filesystem::exists(path + "-wal", ignored) &&
         !std::filesystem::exists(path + "-journal", ignored);
}

/// Not std::timed_mutex: ThreadSanitizer does not see how it waits.
bool try_lock_until(std::mutex& mutex, std::chrono::steady_clock::time_point deadline) {
  while (!mutex.try_lock()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// Several processes may try at once, and SQLite does not wait here.
void switch_to_wal(Connection& connection) {
  const auto deadline = connection.deadline();
  while (true) {
    try {
      internal::Query(connection, "PRAGMA journal_mode=WAL").run();
      return;
    } catch (const SQLite::Exception& failure) {
      if (!internal::is_transient(failure) || std::chrono::steady_clock::now() >= deadline) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void upgrade(Connection& connection, const internal::SqliteParameters& parameters) {
  const auto deadline = connection.deadline();
  while (true) {
    try {
      internal::upgrade_schema(connection, parameters);
      return;
    } catch (const SQLite::Exception& failure) {
      if (!internal::is_transient(failure) || std::chrono::steady_clock::now() >= deadline) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace

SqliteStore::Impl::Impl(internal::SqliteParameters parameters) : parameters_(std::move(parameters)) {}

SqliteStore::Impl::~Impl() {
  close();
}

void SqliteStore::Impl::check_usable() const {
  if (shared_->closed) {
    throw StoreError(
        StoreError::Kind::unavailable,
        fmt::format("SQLite database {}: the store has been shut down; make a new one", parameters_.path));
  }
  if (shared_->inherited_in_use) {
    throw StoreError(
        StoreError::Kind::unavailable,
        fmt::format(
            "SQLite database {}: it was in use by another thread while this process was forked from its "
            "parent; exec the child, or fork while nothing is being written",
            parameters_.path));
  }
}

Writer& SqliteStore::Impl::open_writer() {
  check_usable();
  if (shared_->write_connection && !parameters_.memory && internal::descriptors_are_lost()) {
    const std::lock_guard lock(shared_->read_mutex);  // connections share what SQLite knows of a file
    close();
  }
  if (!shared_->write_connection) open_connection(Opening::for_writing);
  if (shared_->read_only) {
    const std::string why = shared_->why_read_only;
    // Opened anew by the next call, for what is wrong may have been mended by then.
    if (shared_->immutable || !why.empty()) shared_->write_connection.reset();
    if (!why.empty()) throw StoreError(StoreError::Kind::unavailable, why);
    throw StoreError(
        StoreError::Kind::unavailable,
        fmt::format(
            "SQLite database {}: it can only be read; make the file and its folder writable for this user",
            parameters_.path));
  }
  return *shared_->writer;
}

Reader& SqliteStore::Impl::open_memory_reader() {
  open_writer();
  if (!shared_->memory_reader) {
    shared_->memory_reader = std::make_unique<Reader>(*shared_->write_connection, shared_->schema);
  }
  return *shared_->memory_reader;
}

void SqliteStore::Impl::open_connection(Opening opening) {
  const bool is_for_reading = opening == Opening::for_reading;
  internal::DatabasePlace found = internal::find_database(
      parameters_, is_for_reading ? internal::MissingFolders::leave : internal::MissingFolders::make);
  // The file of another user is opened by reads alone: a program that writes would open it at each retry.
  if (!is_for_reading && !found.why_not_written.empty())
    throw StoreError(StoreError::Kind::unavailable, found.why_not_written);
  shared_->immutable = false;
  shared_->place = std::move(found);
  const internal::DatabasePlace& place = shared_->place;
  shared_->why_read_only = place.why_not_written;
  if (is_for_reading && place.is_missing) return open_stand_in();
  if (!parameters_.memory) shared_->files = internal::FilesByRule(place.parameters.path, place.rule);
  if (!place.why_not_written.empty()) return open_untrusted();
  try {
    if (!parameters_.memory && !is_for_reading) internal::make_database_file(place);
    shared_->write_connection = std::make_unique<Connection>(place.parameters, Connection::Mode::writing);
    prepare_file();
  } catch (const SQLite::Exception& failure) {
    shared_->write_connection.reset();
    if (!may_be_immutable(failure, place.parameters.path)) throw;
    open_immutable();
  } catch (...) {
    shared_->write_connection.reset();
    throw;
  }
  if (shared_->read_only) return;
  if (const internal::OpenFiles* const files = shared_->write_connection->files())
    shared_->recorded.note_database(files->database());
  shared_->writer = std::make_unique<Writer>(*shared_->write_connection, place.parameters, shared_->recorded);
}

void SqliteStore::Impl::open_stand_in() {
  internal::SqliteParameters parameters = parameters_;
  parameters.memory = true;
  parameters.path = ":memory:";
  auto connection = std::make_unique<Connection>(parameters, Connection::Mode::writing);
  internal::upgrade_schema(*connection, parameters);
  shared_->schema = internal::inspect_schema(*connection, parameters);
  shared_->reader.reset();
  shared_->read_connection = std::move(connection);
  shared_->reader = std::make_unique<Reader>(*shared_->read_connection, shared_->schema);
  shared_->immutable = true;
}

void SqliteStore::Impl::open_immutable() {
  const internal::SqliteParameters& parameters = shared_->place.parameters;
  auto connection = std::make_unique<Connection>(parameters, Connection::Mode::immutable);
  shared_->schema = internal::inspect_schema(*connection, parameters);
  shared_->write_connection = std::move(connection);
  shared_->read_only = shared_->immutable = true;
}

/// To be read alone, as it is.
void SqliteStore::Impl::open_untrusted() {
  const internal::SqliteParameters& parameters = shared_->place.parameters;
  std::error_code ignored;
  const auto kind = std::filesystem::symlink_status(parameters.path, ignored).type();
  if (kind != std::filesystem::file_type::regular)
    throw StoreError(StoreError::Kind::unavailable, shared_->why_read_only);
  const auto fail = [&](const SQLite::Exception& failure) {
    const StoreError error = internal::to_store_error(failure, parameters.path, "reading it");
    throw StoreError(StoreError::Kind::unavailable,
                     fmt::format("{}; nor can it be read: {}", shared_->why_read_only, error.what()));
  };
  try {
    auto connection = std::make_unique<Connection>(parameters, Connection::Mode::untrusted);
    shared_->schema = internal::inspect_schema(*connection, parameters);
    connection->note_files();
    shared_->write_connection = std::move(connection);
    shared_->read_only = true;
    return;
  } catch (const SQLite::Exception& failure) {
    if (!may_be_immutable(failure, parameters.path)) fail(failure);
  }
  try {
    open_immutable();
  } catch (const SQLite::Exception& failure) {
    fail(failure);
  }
}

void SqliteStore::Impl::prepare_file() {
  const internal::SqliteParameters& parameters = shared_->place.parameters;
  // SQLite takes a file of one byte for an empty one, and would overwrite it.
  std::error_code ignored;
  if (!parameters.memory && std::filesystem::file_size(parameters.path, ignored) == 1) {
    throw SQLite::Exception("file is not a database", SQLITE_NOTADB);
  }
  Connection& connection = *shared_->write_connection;
  shared_->schema = internal::inspect_schema(connection, parameters);
  shared_->why_read_only = shared_->schema.unknown;
  shared_->read_only = connection.read_only() || !shared_->why_read_only.empty();
  if (shared_->read_only) {
    connection.note_files();
    return;
  }
  if (shared_->schema.version < internal::kSchemaVersion) {
    upgrade(connection, parameters);
    shared_->schema = internal::inspect_schema(connection, parameters);
  }
  if (parameters.memory) return;
  switch_to_wal(connection);
  connection.note_files();
}

bool SqliteStore::Impl::reader_is_open() const {
  return shared_->reader != nullptr && shared_->read_connection->replaced() == Replaced::no &&
         !shared_->read_connection->is_of_another_wal() && !internal::descriptors_are_lost();
}

void SqliteStore::Impl::open_reader() {
  check_usable();
  if (shared_->write_connection) {
    const Replaced how = shared_->write_connection->replaced();
    if (how != Replaced::no) {
      leave_files(how);
    } else if (internal::descriptors_are_lost()) {
      close();
    } else if (shared_->write_connection->is_of_another_wal()) {
      close_as_it_is();
    }
  }
  if (!shared_->write_connection) open_connection(Opening::for_reading);
  if (!shared_->write_connection) return;  // the file is missing, and another database stands in
  if (!shared_->schema.complete) {
    if (!shared_->why_read_only.empty())
      throw StoreError(StoreError::Kind::unavailable, shared_->why_read_only);
    throw StoreError(
        StoreError::Kind::unavailable,
        fmt::format(
            "SQLite database {}: it has no tables of Code Wake and can only be read; name another file",
            parameters_.path));
  }
  if (reader_is_open()) return;
  shared_->reader.reset();
  const bool is_untrusted = !shared_->place.why_not_written.empty();
  const auto mode = shared_->immutable ? Connection::Mode::immutable
                    : is_untrusted     ? Connection::Mode::untrusted
                                       : Connection::Mode::reading;
  shared_->read_connection = std::make_unique<Connection>(shared_->place.parameters, mode);
  shared_->read_connection->note_files();
  shared_->reader = std::make_unique<Reader>(*shared_->read_connection, shared_->schema);
}

StoreError SqliteStore::Impl::files_replaced(Replaced how, std::string_view more) const {
  return {StoreError::Kind::unavailable,
          fmt::format("SQLite database {}: it {}, {}", parameters_.path, to_text(how), more)};
}

StoreError SqliteStore::Impl::wal_is_elsewhere() const {
  return {StoreError::Kind::unavailable,
          fmt::format("SQLite database {}: its WAL was deleted, and another process that has it open has not "
                      "written it back yet; that is tried again",
                      parameters_.path)};
}

void SqliteStore::Impl::leave_files(Replaced how) {
  constexpr std::string_view kLater = "and what this held is not written back yet; that is tried again";
  // All connections of a process share what SQLite knows of a file: none may stay open.
  shared_->reader.reset();
  shared_->read_connection.reset();
  Connection& connection = *shared_->write_connection;
  const internal::OpenFiles& files = *connection.files();
  if (shared_->writer) {
    shared_->writer->stop_checkpoints(std::chrono::hours(1));
    // The WAL is of the database that has it open, wherever that is now.
    const bool is_written_back =
        how != Replaced::older_content && how != Replaced::shared_memory && connection.write_back_all();
    const bool is_needed = how == Replaced::wal || (how == Replaced::database && files.wal_is_at_path() &&
                                                    internal::has_name(*files.database()));
    if (is_needed && !is_written_back) throw files_replaced(how, kLater);
  }
  // SQLite would replay a WAL that is left at the path into the database that is there now. While the WAL is
  // open, no other file can have its number.
  if (how == Replaced::database || how == Replaced::older_content) {
    files.remove_wal();
    shared_->recorded.note_other_content();  // a new file may get the number of the one before
  }
  // SQLite would remove the WAL at the path, which may be another database's by now.
  connection.skip_checkpoint_on_close();
  close_connections();
}

void SqliteStore::Impl::forget_files() noexcept {
  const std::lock_guard lock(shared_->read_mutex);
  if (!parameters_.memory && shared_->write_connection) close_as_it_is();
}

void SqliteStore::Impl::close_as_it_is() noexcept {
  for (const auto* connection : {&shared_->write_connection, &shared_->read_connection}) {
    if (*connection) (*connection)->skip_checkpoint_on_close();
  }
  close_connections();
}

void SqliteStore::Impl::close() noexcept {
  const internal::StoreCall call;  // closing writes the WAL back
  const Replaced how = shared_->writer ? shared_->write_connection->replaced() : Replaced::no;
  try {
    if (how != Replaced::no) leave_files(how);
  } catch (const std::exception&) {  // the disk is full, or another process reads what it is to be
  }
  close_connections();
}

void SqliteStore::Impl::close_connections() noexcept {
  shared_->reader.reset();
  shared_->read_connection.reset();
  shared_->memory_reader.reset();
  shared_->writer.reset();
  shared_->write_connection.reset();
}

BatchResult SqliteStore::Impl::write_batch(const Batch& batch) {
  constexpr std::string_view kDoing = "writing a batch";
  const internal::StoreCall call;
  const std::lock_guard lock(shared_->write_mutex);
  const auto write = [&] {
    return translate(
        kDoing, [&] { return write_to_present_files([&](Writer& writer) { return writer.write(batch); }); });
  };
  BatchResult result;
  try {
    result = write();
  } catch (const internal::CommitInDoubt& doubt) {
    look_up(batch, doubt);
    result = doubt.result;
  }
  shared_->recorded.note(batch, result);
  return result;
}

/// Throws unless the batch was stored.
void SqliteStore::Impl::look_up(const Batch& batch, const internal::CommitInDoubt& doubt) {
  bool is_stored = false;
  try {
    {
      const std::lock_guard lock(shared_->read_mutex);
      const Replaced how = shared_->write_connection->replaced();
      // A connection that has read nothing yet says what is in the file. Nothing is written back for that.
      how == Replaced::no ? close_as_it_is() : leave_files(how);
    }
    is_stored = translate("looking up a batch", [&] { return open_writer().is_stored(batch, doubt.result); });
  } catch (const std::exception& second) {
    throw StoreError(StoreError::Kind::in_doubt,
                     fmt::format("{}; then: {}", doubt.failure.what(), second.what()));
  }
  if (!is_stored) throw doubt.failure;
}

bool SqliteStore::Impl::shutdown(std::chrono::nanoseconds timeout) {
  const auto deadline =
      std::chrono::steady_clock::now() + std::min<std::chrono::nanoseconds>(timeout, std::chrono::hours(24));
  if (!try_lock_until(shared_->write_mutex, deadline)) return false;
  const std::lock_guard write_lock(shared_->write_mutex, std::adopt_lock);
  if (!try_lock_until(shared_->read_mutex, deadline)) return false;
  const std::lock_guard read_lock(shared_->read_mutex, std::adopt_lock);
  shared_->closed = true;
  close();
  return true;
}

void SqliteStore::Impl::at_fork(ForkPhase phase) noexcept {
  switch (phase) {
    case ForkPhase::before: {
      const auto deadline = std::chrono::steady_clock::now() + kForkWait;
      shared_->write_locked = try_lock_until(shared_->write_mutex, deadline);
      shared_->read_locked = try_lock_until(shared_->read_mutex, deadline);
      shared_->at_rest = shared_->write_locked && shared_->read_locked &&
                         (!shared_->writer || shared_->writer->stop_checkpoints(kCheckpointWait));
      if (shared_->at_rest && !parameters_.memory) {
        if (shared_->write_connection) shared_->write_connection->skip_checkpoint_on_close();
        if (shared_->read_connection) shared_->read_connection->skip_checkpoint_on_close();
        close();
      }
      // What the child inherits open is never closed there.
      if (shared_->write_connection || shared_->read_connection || !shared_->at_rest)
        internal::keep_library_loaded();
      break;
    }
    case ForkPhase::after_in_parent:
      if (std::exchange(shared_->read_locked, false)) shared_->read_mutex.unlock();
      if (std::exchange(shared_->write_locked, false)) shared_->write_mutex.unlock();
      break;
    case ForkPhase::after_in_child: {
      // Nothing of the parent's is closed here: that would drop locks that the parent relies on.
      auto fresh = std::make_unique<Shared>();
      fresh->closed = shared_->closed;
      fresh->inherited_in_use = !parameters_.memory && !shared_->at_rest;
      fresh->left_to_parent = shared_.release();
      shared_ = std::move(fresh);
      break;
    }
  }
}

}  // namespace codewake
