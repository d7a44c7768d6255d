// The connections of a SqliteStore, who may use them when, and how they come and go.
//
// Invariants:
//  - A connection is used by whoever holds the mutex that guards it; one writes, another reads, so that reads
//  do not wait
//    for writes (WAL). A database in memory has one for both, guarded by `write_mutex`.
//  - The thread that writes the WAL back (checkpointer.hpp) has a connection of its own, that of no mutex.
//  - Where both mutexes are needed, `write_mutex` is taken first.
//  - While the process forks, no connection to a file is open. SQLite remembers for the whole process which
//  files are
//    locked, a child inherits that memory without the locks, and would corrupt the file by relying on them.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>

#include "codewake/errors.hpp"
#include "codewake/sqlite_store.hpp"
#include "connection.hpp"
#include "database_file.hpp"
#include "descriptors.hpp"

#include "parameters.hpp"
#include "reader.hpp"
#include "schema.hpp"
#include "sqlite_error.hpp"
#include "store_call.hpp"
#include "writer.hpp"

namespace codewake {

class SqliteStore::Impl {
 public:
  explicit Impl(internal::SqliteParameters parameters);
  ~Impl();

  /// Runs `work(Writer&)` with the writing connection. Throws StoreError.
  template <class Work>
  auto write(std::string_view doing, Work work) {
    const internal::StoreCall call;
    const std::lock_guard lock(shared_->write_mutex);
    return translate(doing, [&] { return write_to_present_files(work); });
  }

  /// Runs `work(Reader&)` with a connection that reads. Throws StoreError.
  template <class Work>
  auto read(std::string_view doing, Work work) {
    const internal::StoreCall call;
    if (parameters_.memory) {
      const std::lock_guard lock(shared_->write_mutex);
      return translate(doing, [&] { return work(open_memory_reader()); });
    }
    {
      const std::lock_guard lock(shared_->read_mutex);
      if (reader_is_open()) return translate(doing, [&] { return retry_reading(work); });
    }
    const std::scoped_lock locks(shared_->write_mutex, shared_->read_mutex);
    return translate(doing, [&] {
      open_reader();
      const CloseImmutable close(*this);
      try {
        return retry_reading(work);
      } catch (const SQLite::Exception& failure) {
        if (internal::is_damage(failure)) close_as_it_is();  // as forget_files()
        throw;
      }
    });
  }

  const internal::SqliteParameters& parameters() const noexcept { return parameters_; }
  BatchResult write_batch(const Batch& batch);
  bool shutdown(std::chrono::nanoseconds timeout);
  void at_fork(ForkPhase phase) noexcept;

 private:
  /// What fork() leaves to the parent: the child starts with a new one.
  struct Shared {
    std::mutex write_mutex, read_mutex;
    // Guarded by write_mutex.
    internal::DatabasePlace place;
    internal::FilesByRule files;
    std::unique_ptr<internal::Connection> write_connection;
    internal::RecordedProcesses recorded;
    std::unique_ptr<internal::Writer> writer;
    std::unique_ptr<internal::Reader> memory_reader;
    internal::SchemaState schema;
    bool read_only = false;
    bool immutable = false;     // or a stand-in: closed after each call
    std::string why_read_only;  // where it is not the file's mode
    // Guarded by read_mutex.
    std::unique_ptr<internal::Connection> read_connection;
    std::unique_ptr<internal::Reader> reader;
    // Guarded by both.
    bool closed = false;
    bool inherited_in_use = false;
    // Written around fork() only, by the thread that forks.
    bool write_locked = false, read_locked = false;
    bool at_rest = false;
    Shared* left_to_parent = nullptr;
  };

  /// A file that no process could write, or that was missing, is opened anew for each call: it may be written
  /// by then.
  struct CloseImmutable {
    explicit CloseImmutable(Impl& i) : impl(i) {}
    CloseImmutable(const CloseImmutable&) = delete;
    CloseImmutable& operator=(const CloseImmutable&) = delete;
    ~CloseImmutable() {
      if (impl.shared_->immutable) impl.close();
    }
    Impl& impl;
  };

  template <class Work>
  auto translate(std::string_view doing, Work work) {
    try {
      return work();
    } catch (const SQLite::Exception& failure) {
      throw internal::to_store_error(failure, parameters_.path, doing);
    } catch (const std::bad_alloc&) {
      throw internal::out_of_memory(parameters_.path, doing);
    }
  }

  template <class Work>
  auto write_to_present_files(Work work) {
    constexpr int kMostReplaced = 5;
    for (int replaced = 1;; ++replaced) {
      internal::Writer& writer = open_writer();
      try {
        return work(writer);
      } catch (const internal::FilesReplaced& found) {
        const std::lock_guard lock(shared_->read_mutex);
        leave_files(found.how);
        if (replaced == kMostReplaced) throw files_replaced(found.how, "again and again");
      } catch (const internal::WalIsElsewhere&) {
        forget_files();
        throw wal_is_elsewhere();
      } catch (const SQLite::Exception& failure) {
        if (internal::is_damage(failure)) forget_files();
        throw;
      }
    }
  }

  template <class Work>
  auto retry_reading(Work work) {
    const auto deadline = shared_->read_connection->deadline();
    shared_->read_connection->begin_read();
    while (true) {
      try {
        return work(*shared_->reader);
      } catch (const SQLite::Exception& failure) {
        if (!internal::is_transient(failure) || std::chrono::steady_clock::now() >= deadline) throw;
      }
    }
  }

  // With write_mutex held.
  void check_usable() const;
  internal::Writer& open_writer();  // takes read_mutex where descriptors were lost
  StoreError files_replaced(internal::Replaced how, std::string_view more) const;
  StoreError wal_is_elsewhere() const;
  void look_up(const Batch& batch, const internal::CommitInDoubt& doubt);  // takes read_mutex
  internal::Reader& open_memory_reader();
  enum class Opening { for_reading, for_writing };
  void open_connection(Opening opening);
  void open_stand_in();  // an empty database in memory: reads make no file
  void open_immutable();
  void open_untrusted();
  void prepare_file();
  // With read_mutex held.
  bool reader_is_open() const;
  // With both held.
  void open_reader();
  /// Closes files that were replaced, so that the next call opens those that are at the path. Throws
  /// StoreError where something that was stored would be lost by that; then they stay open.
  void leave_files(internal::Replaced how);
  /// Closes files in which SQLite does not find what it has noted in shared memory, as where a WAL was
  /// deleted whose process has ended: SQLite notes it anew once no connection has the files open. Takes
  /// read_mutex.
  void forget_files() noexcept;
  void close() noexcept;
  void close_connections() noexcept;
  /// The WAL stays what it is.
  void close_as_it_is() noexcept;

  const internal::SqliteParameters parameters_;
  std::unique_ptr<Shared> shared_ = std::make_unique<Shared>();
};

}  // namespace codewake
