#include "bench/sqlite_peer.hpp"

#include <fmt/format.h>

#include "bench/passes.hpp"
#include "codewake/errors.hpp"
#include "codewake/time.hpp"

#ifdef CODEWAKE_BENCH_SQLITE

#include <sqlite3.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <string_view>

namespace codewake::cli::bench {
namespace {

/// As adapters/sqlite/connection.cpp has them.
constexpr const char* kPragmas =
    "PRAGMA foreign_keys=OFF; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=16000;"
    "PRAGMA journal_size_limit=100663296; PRAGMA secure_delete=FAST";

class Database {
 public:
  explicit Database(const std::string& file) : file_(file) {
    constexpr int kBusyTimeoutMs = 60'000;
    check(sqlite3_open_v2(file.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr));
    sqlite3_busy_timeout(handle_, kBusyTimeoutMs);
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() { sqlite3_close_v2(handle_); }

  sqlite3* handle() const noexcept { return handle_; }
  void check(int code) const {
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE) return;
    throw Error(fmt::format("SQLite database {}: {}", file_, sqlite3_errmsg(handle_)));
  }
  void exec(const char* sql) { check(sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr)); }

 private:
  std::string file_;
  sqlite3* handle_ = nullptr;
};

class Statement {
 public:
  Statement(Database& database, const char* sql) : database_(database) {
    database.check(
        sqlite3_prepare_v3(database.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr));
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(handle_); }

  void bind(int place, std::string_view text) {
    sqlite3_bind_text(handle_, place, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
  }
  void bind(int place, const Digest& digest) {
    sqlite3_bind_blob(handle_, place, digest.data(), static_cast<int>(digest.size()), SQLITE_STATIC);
  }
  void bind(int place, std::int64_t number) { sqlite3_bind_int64(handle_, place, number); }
  void bind(int place, double number) { sqlite3_bind_double(handle_, place, number); }
  void bind_null(int place) { sqlite3_bind_null(handle_, place); }

  void run() {
    database_.check(sqlite3_step(handle_));
    sqlite3_reset(handle_);
  }
  std::int64_t number() {
    database_.check(sqlite3_step(handle_));
    const std::int64_t result = sqlite3_column_int64(handle_, 0);
    sqlite3_reset(handle_);
    return result;
  }

 private:
  Database& database_;
  sqlite3_stmt* handle_ = nullptr;
};

}  // namespace

class SqlitePeer::Impl {
 public:
  Impl(const std::string& file, Id process) : process_(process), database_(file) { database_.exec(kPragmas); }

  void write(std::span<const BatchEvent> events, std::span<const Digest> digests) {
    begin_.run();
    for (std::size_t i = 0; i < events.size(); ++i) insert(events[i], digests[i]);
    commit_.run();
  }

 private:
  void insert(const BatchEvent& event, const Digest& digest) {
    event_.bind(1, to_unix_seconds(event.when));
    event_.bind(2, process_);
    event_.bind(3, digest);
    event_.run();
    const std::int64_t id = sqlite3_last_insert_rowid(database_.handle());
    for (const AttributeView& attribute : event.data) {
      attribute_.bind(1, attribute.key);
      if (attribute.value) {
        attribute_.bind(2, *attribute.value);
      } else {
        attribute_.bind_null(2);
      }
      attribute_.bind(3, id);
      attribute_.run();
    }
  }

  const Id process_;
  Database database_;
  Statement begin_{database_, "BEGIN IMMEDIATE"};
  Statement commit_{database_, "COMMIT"};
  Statement event_{database_, "INSERT INTO events(when_ts, process_id, digest) VALUES(?, ?, ?)"};
  Statement attribute_{database_, "INSERT INTO events_data(\"key\", val, event_id) VALUES(?, ?, ?)"};
};

bool has_sqlite() noexcept {
  return true;
}

SqlitePeer::SqlitePeer(const std::string& file, Id process) : impl_(std::make_unique<Impl>(file, process)) {}

SqlitePeer::~SqlitePeer() = default;

void SqlitePeer::write(std::span<const BatchEvent> events, std::span<const Digest> digests) {
  impl_->write(events, digests);
}

class WriteLock::Impl {
 public:
  explicit Impl(const std::string& file) : database_(file) { database_.exec("BEGIN IMMEDIATE"); }

 private:
  Database database_;  // closing it rolls back
};

WriteLock::WriteLock(const std::string& file) : impl_(std::make_unique<Impl>(file)) {}

WriteLock::~WriteLock() = default;

void checkpoint(const std::string& file) {
  Database(file).exec("PRAGMA wal_checkpoint(TRUNCATE)");
}

std::uint64_t count_events(const std::string& file) {
  Database database(file);
  return static_cast<std::uint64_t>(Statement(database, "SELECT count(*) FROM events").number());
}

}  // namespace codewake::cli::bench

#else

namespace codewake::cli::bench {
namespace {

[[noreturn]] void refuse() {
  throw Error("this program was built without SQLite");
}

}  // namespace

class SqlitePeer::Impl {};

bool has_sqlite() noexcept {
  return false;
}

SqlitePeer::SqlitePeer(const std::string&, Id) {
  refuse();
}

SqlitePeer::~SqlitePeer() = default;

void SqlitePeer::write(std::span<const BatchEvent>, std::span<const Digest>) {
  refuse();
}

class WriteLock::Impl {};

WriteLock::WriteLock(const std::string&) {
  refuse();
}

WriteLock::~WriteLock() = default;

void checkpoint(const std::string&) {
  refuse();
}

std::uint64_t count_events(const std::string&) {
  refuse();
}

}  // namespace codewake::cli::bench

#endif
