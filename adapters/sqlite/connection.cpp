#include "connection.hpp"

#include <fmt/format.h>
#include <sys/auxv.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <thread>
#include <utility>

#include "codewake/utf8.hpp"
#include "descriptors.hpp"
#include "only_reading.hpp"
#include "wal_buffer.hpp"
#include "wal_index.hpp"

namespace codewake::internal {
namespace {

// The library guards each connection with a lock of its own, so SQLite's would only cost time.
const int kOpenFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX;
const int kReadFlags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;

// For a connection that has no Checkpointer, which would rather be quick: a WAL that has grown large is
// another process's.
constexpr int kCheckpointPages = 16'000;
constexpr int kWalLimitBytes = 96 << 20;

constexpr int kWriterCacheKiB = 16 << 10;

/// The most that a value has that is read from a database of another user, or on a read-only medium.
constexpr int kMostUntrustedBytes = 64 << 20;
/// How many steps of SQLite's virtual machine lie between two looks at the clock.
constexpr int kStepsBetweenLooks = 10'000;

bool only_reads(Connection::Mode mode) noexcept {
  return mode == Connection::Mode::untrusted || mode == Connection::Mode::immutable;
}

std::string uri_of(const std::string& path, std::string_view option) {
  std::string uri = "file:";
  for (const char c : path) {
    const bool reserved = c == '?' || c == '#' || c == '%';
    uri += reserved ? fmt::format("%{:02X}", static_cast<unsigned char>(c)) : std::string(1, c);
  }
  return uri.append("?").append(option);
}

SQLite::Database open(const SqliteParameters& parameters, Connection::Mode mode) {
  using Mode = Connection::Mode;
  if (parameters.memory)
    return {parameters.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX};
  if (only_reads(mode)) {
    const char* const vfs = vfs_that_only_reads();
    const char* const option = mode == Mode::immutable ? "immutable=1" : "readonly_shm=1";
    return {uri_of(parameters.path, option), kReadFlags, 0, vfs == nullptr ? "" : vfs};
  }
  const bool writes = mode == Mode::writing || mode == Mode::checkpointing;
  const char* const vfs = writes ? vfs_with_wal_buffer() : nullptr;
  return {parameters.path, kOpenFlags, 0, vfs == nullptr ? "" : vfs};
}

/// What the file says about itself runs nothing but SQLite's own harmless functions, and no program outside.
/// Triggers are for the writing connection, which knows all of them (schema.hpp).
void restrict_schema(sqlite3* connection, Connection::Mode mode) {
  sqlite3_db_config(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  const bool has_triggers = mode == Connection::Mode::writing;
  sqlite3_db_config(connection, SQLITE_DBCONFIG_ENABLE_TRIGGER, has_triggers ? 1 : 0, nullptr);
  sqlite3_limit(connection, SQLITE_LIMIT_ATTACHED, 0);
  if (only_reads(mode)) sqlite3_limit(connection, SQLITE_LIMIT_LENGTH, kMostUntrustedBytes);
}

const char* pragma_of(Synchronous synchronous) {
  switch (synchronous) {
    case Synchronous::off:
      return "PRAGMA synchronous=OFF";
    case Synchronous::full:
      return "PRAGMA synchronous=FULL";
    case Synchronous::normal:
      break;
  }
  return "PRAGMA synchronous=NORMAL";
}

}  // namespace

Connection::Connection(const SqliteParameters& parameters, Mode mode)
    : busy_timeout_(parameters.busy_timeout),
      read_timeout_(parameters.read_timeout),
      database_(open(parameters, mode)),
      path_(parameters.memory ? "" : parameters.path),
      has_wal_(!only_reads(mode)) {
  sqlite3_extended_result_codes(handle(), 1);
  sqlite3_busy_handler(handle(), &wait_for_lock, this);
  if (only_reads(mode)) sqlite3_progress_handler(handle(), kStepsBetweenLooks, &is_read_too_long, this);
  restrict_schema(handle(), mode);
  // SQLITE_TMPDIR and TMPDIR are those of the user who starts the program.
  if (getauxval(AT_SECURE) != 0) exec("PRAGMA temp_store=MEMORY");
  exec("PRAGMA cell_size_check=ON");  // damage is found where a page is read
  exec("PRAGMA foreign_keys=OFF");    // the older system's declarations are for people; the writer is their
                                      // guarantee
  exec(pragma_of(parameters.synchronous));
  exec(fmt::format("PRAGMA wal_autocheckpoint={}", kCheckpointPages).c_str());
  exec(fmt::format("PRAGMA journal_size_limit={}", kWalLimitBytes).c_str());
  // The indexes of traces grow at random places.
  if (mode == Mode::writing) exec(fmt::format("PRAGMA cache_size=-{}", kWriterCacheKiB).c_str());
  exec("PRAGMA secure_delete=FAST");  // overwrites what is deleted where that costs no writes of its own
  if (mode == Mode::reading && !parameters.memory) exec("PRAGMA query_only=ON");
}

Connection::~Connection() = default;

// Random and short, for SQLite keeps no queue of those who wait: whoever asks at the right moment is next.
int Connection::wait_for_lock(void* self, int count) noexcept {
  auto& connection = *static_cast<Connection*>(self);
  const auto now = std::chrono::steady_clock::now();
  if (count == 0) connection.waiting_since_ = now;
  if (now - connection.waiting_since_ >= connection.busy_timeout_) return 0;
  const int longest_us = std::min(100 * (count + 1), 4'000);
  std::this_thread::sleep_for(
      std::chrono::microseconds(std::uniform_int_distribution(50, longest_us)(connection.random_)));
  return 1;
}

int Connection::is_read_too_long(void* self) noexcept {
  const auto& connection = *static_cast<const Connection*>(self);
  return std::chrono::steady_clock::now() - connection.read_since_ >= connection.read_timeout_ ? 1 : 0;
}

void Connection::note_files() {
  if (path_.empty()) return;
  exec("PRAGMA schema_version");  // reads, and so opens the WAL
  files_.emplace(path_, has_wal_, handle());
}

bool Connection::is_of_another_wal() const noexcept {
  const std::optional<WalIndex> index = has_wal_ && files_ ? wal_index(handle()) : std::nullopt;
  return index && index->is_of_another();
}

bool Connection::write_back_all() noexcept {
  for (const auto last = deadline();;) {
    // Once another process has written all of the WAL back, it may have begun one that has come in place of
    // this one. A checkpoint looks once more, where that cannot happen any more (wal_buffer).
    const std::optional<WalIndex> index = wal_index(handle());
    if (index && (index->frames == 0 || !index->is_of_wal)) return true;
    const int code =
        sqlite3_wal_checkpoint_v2(handle(), "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    if (code == SQLITE_OK) return true;
    // SQLite does not wait for a checkpoint of another process.
    if (code != SQLITE_BUSY || std::chrono::steady_clock::now() >= last) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

Connection::WalBegins Connection::begin_wal_anew(std::chrono::milliseconds wait) noexcept {
  const auto usual = std::exchange(busy_timeout_, std::min(wait, busy_timeout_));
  const int code = sqlite3_wal_checkpoint_v2(handle(), "main", SQLITE_CHECKPOINT_RESTART, nullptr, nullptr);
  busy_timeout_ = std::chrono::milliseconds(0);
  // SQLite does not say whom it has waited for.
  const bool is_alone =
      code != SQLITE_OK && count_wal_frames() &&
      sqlite3_exec(handle(), "BEGIN IMMEDIATE; ROLLBACK", nullptr, nullptr, nullptr) == SQLITE_OK;
  busy_timeout_ = usual;
  if (code == SQLITE_OK) return WalBegins::anew;
  return is_alone ? WalBegins::not_because_of_reader : WalBegins::not_yet;
}

std::optional<int> Connection::count_wal_frames() noexcept {
  int frames = 0;
  const int code = sqlite3_wal_checkpoint_v2(handle(), "main", SQLITE_CHECKPOINT_PASSIVE, &frames, nullptr);
  return code == SQLITE_OK ? std::optional(frames) : std::nullopt;
}

void Connection::skip_checkpoint_on_close() noexcept {
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

sqlite3_stmt* Connection::prepare(std::string_view sql) {
  auto& cached = statements_[std::string(sql)];
  if (cached) return cached.get();
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) throw SQLite::Exception(handle(), code);
  cached.reset(statement);
  return statement;
}

Query& Query::check(int code) {
  if (code != SQLITE_OK) throw SQLite::Exception(connection_, code);
  return *this;
}

bool Query::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) throw SQLite::Exception(connection_, code);
  return false;
}

std::string_view Query::bytes(int column) const {
  // sqlite3_column_blob, not _text: the size must not end at a NUL byte, and a blob must not be converted.
  const void* data = sqlite3_column_blob(statement_, column);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data), static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::string Query::text(int column) const {
  const std::string_view raw = bytes(column);
  return is_storable(raw) ? std::string(raw) : to_storable(raw);
}

std::optional<std::string> Query::optional_text(int column) const {
  if (is_null(column)) return std::nullopt;
  return text(column);
}

std::optional<std::int64_t> Query::optional_integer(int column) const {
  if (is_null(column)) return std::nullopt;
  return integer(column);
}

std::optional<Digest> Query::digest(int column) const {
  const std::string_view raw = bytes(column);
  Digest digest;
  if (raw.size() != digest.size()) return std::nullopt;
  std::copy(raw.begin(), raw.end(), reinterpret_cast<char*>(digest.data()));
  return digest;
}

}  // namespace codewake::internal
