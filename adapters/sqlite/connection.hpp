// One connection to the database, and statements on it that are prepared once.
#pragma once

#include <SQLiteCpp/Database.h>
#include <sqlite3.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>

#include "codewake/digest.hpp"
#include "descriptors.hpp"
#include "open_files.hpp"
#include "parameters.hpp"

namespace codewake::internal {

/// Thread-bound to whoever holds the lock that guards it.
class Connection {
 public:
  enum class Mode {
    writing,
    reading,
    checkpointing,
    untrusted,  ///< reads a file of another user, whose process may be writing it; makes and changes no file
    immutable   ///< without locks: no process can be writing, as on a read-only medium without a WAL
  };

  /// Opens the file, which must be there. Throws SQLite::Exception.
  Connection(const SqliteParameters& parameters, Mode mode);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  sqlite3* handle() const noexcept { return database_.getHandle(); }
  void exec(const char* sql) { database_.exec(sql); }
  /// Until when a lock that others hold is waited for, by an operation that begins now.
  std::chrono::steady_clock::time_point deadline() const {
    return std::chrono::steady_clock::now() + busy_timeout_;
  }
  /// From now on `read_timeout` runs. After it, statements of an untrusted or immutable connection fail with
  /// SQLITE_INTERRUPT: a hostile file can make rows without end. Other connections have no such limit.
  void begin_read() noexcept { read_since_ = std::chrono::steady_clock::now(); }

  bool read_only() const noexcept { return sqlite3_db_readonly(handle(), "main") == 1; }
  /// Opens the WAL, and notes which files this connection has open. Throws SQLite::Exception.
  void note_files();
  /// Whether they are still the files at the path; `no` until they are noted.
  Replaced replaced() noexcept { return files_ ? files_->look() : Replaced::no; }
  /// Null until they are noted.
  OpenFiles* files() noexcept { return files_ ? &*files_ : nullptr; }
  /// Whether what processes share in memory is about another WAL than this connection's, which is at the
  /// path: that of a process that has not written it back, or has ended.
  bool is_of_another_wal() const noexcept;
  /// Writes all that the WAL holds back into the database, and empties the WAL; waits for readers and other
  /// checkpoints at most `busy_timeout`. False where that did not work out.
  bool write_back_all() noexcept;
  enum class WalBegins { anew, not_because_of_reader, not_yet };
  /// Writes all of it back, so that the next transaction begins the WAL anew; waits for readers at most
  /// `wait`. `not_yet`: another process writes, or is at a checkpoint.
  WalBegins begin_wal_anew(std::chrono::milliseconds wait) noexcept;
  /// How many frames the WAL has, also those of other processes; nothing where that is not known.
  std::optional<int> count_wal_frames() noexcept;
  /// Leaves the WAL to the next one who opens the file: closing is quick then.
  void skip_checkpoint_on_close() noexcept;

  /// The statement for `sql`; prepared at the first call. Throws SQLite::Exception.
  sqlite3_stmt* prepare(std::string_view sql);

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
  };

  static int wait_for_lock(void* self, int count) noexcept;
  static int is_read_too_long(void* self) noexcept;

  const GuardedDescriptors guarded_;  // before SQLite opens a file, and until all are closed
  std::chrono::milliseconds busy_timeout_, read_timeout_;
  std::chrono::steady_clock::time_point read_since_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point waiting_since_;
  // Not of a thread: the first use of a plugin's thread_local allocates, and ends a process without memory.
  std::minstd_rand random_{std::random_device{}()};
  SQLite::Database database_;
  std::string path_;      // empty: in memory
  bool has_wal_ = false;  // and looks after it
  std::optional<OpenFiles> files_;
  std::unordered_map<std::string, std::unique_ptr<sqlite3_stmt, Finalize>> statements_;
};

/// One use of a prepared statement; reset at the end. By sqlite3 itself: SQLite::Statement counts references
/// for each column that is read, has no SQLITE_PREPARE_PERSISTENT, and stores 140,000 events a second where
/// this stores 197,000. Text and digests that are bound are borrowed until then. Every call throws
/// SQLite::Exception.
class Query {
 public:
  template <class... Parameters>
  Query(Connection& connection, std::string_view sql, const Parameters&... parameters)
      : connection_(connection.handle()), statement_(connection.prepare(sql)) {
    (bind(parameters), ...);
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }

  Query& bind(std::nullptr_t) { return check(sqlite3_bind_null(statement_, ++bound_)); }
  Query& bind(std::string_view text) {
    return check(sqlite3_bind_text64(statement_, ++bound_, text.data() == nullptr ? "" : text.data(),
                                     text.size(), SQLITE_STATIC, SQLITE_UTF8));
  }
  Query& bind(const std::string& text) { return bind(std::string_view(text)); }
  Query& bind(std::string&&) = delete;
  Query& bind(const char* text) { return bind(std::string_view(text)); }
  Query& bind(const Digest& digest) {
    return check(sqlite3_bind_blob64(statement_, ++bound_, digest.data(), digest.size(), SQLITE_STATIC));
  }
  Query& bind(std::integral auto number) {
    return check(sqlite3_bind_int64(statement_, ++bound_, static_cast<sqlite3_int64>(number)));
  }
  Query& bind(double number) { return check(sqlite3_bind_double(statement_, ++bound_, number)); }
  template <class T>
  Query& bind(const std::optional<T>& value) {
    return value ? bind(*value) : bind(nullptr);
  }

  /// Whether there is another row.
  bool step();
  void run() {
    while (step()) {
    }
  }

  bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  double real(int column) const { return sqlite3_column_double(statement_, column); }
  /// The bytes as they are, valid until the next step; empty for NULL.
  std::string_view bytes(int column) const;
  /// Text, or a blob as if it were text, made fit (utf8.hpp); empty for NULL.
  std::string text(int column) const;
  std::optional<std::string> optional_text(int column) const;
  std::optional<std::int64_t> optional_integer(int column) const;
  /// Empty for anything that is not 32 bytes.
  std::optional<Digest> digest(int column) const;

 private:
  Query& check(int code);

  sqlite3* connection_;
  sqlite3_stmt* statement_;
  int bound_ = 0;
};

}  // namespace codewake::internal
