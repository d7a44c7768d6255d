#include "checkpointer.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>

#include "block_signals.hpp"
#include "sqlite_file.hpp"
#include "store_call.hpp"

namespace codewake::internal {
namespace {

// Parts of the WAL's limit.
constexpr std::uint64_t kWorthwhilePart = 32, kLongPart = 8, kTooLongPart = 2;
/// The writer begins the WAL anew once its own part of the work is no more than an eighth of it.
constexpr int kPauseShare = 8;

/// A transaction is refused after so many waits in a row that no other writer has disturbed. One alone may be
/// taken for undisturbed where a writer came and went within it.
constexpr int kWaitsForReaders = 6;
constexpr std::chrono::milliseconds kWaitForReaders{50};

/// SQLite does so only at the checkpoint that ends the WAL, which is the writer's, and would then wait for
/// all of the pages. That one looks for errors too, so nothing is lost here.
void sync_database(sqlite3* connection) noexcept {
  if (sqlite3_file* const file = file_of(connection, SQLITE_FCNTL_FILE_POINTER))
    file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
}

}  // namespace

Checkpointer::Checkpointer(Connection& writing, const SqliteParameters& parameters)
    : writing_(writing), parameters_(parameters), limits_(limits_of(writing, parameters)) {
  sqlite3_wal_hook(writing.handle(), &committed, this);
}

Checkpointer::~Checkpointer() {
  sqlite3_wal_hook(writing_.handle(), nullptr, nullptr);
  while (!stop(std::chrono::hours(1))) {
  }
}

bool Checkpointer::stop(std::chrono::nanoseconds timeout) {
  if (!thread_.joinable()) return true;
  {
    std::unique_lock lock(mutex_);
    if (interruptible_ != nullptr) sqlite3_interrupt(interruptible_);
    if (!changed_.wait_for(lock, timeout, [&] { return !wanted_; })) return false;
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
  ending_ = false;
  return true;
}

Checkpointer::Limits Checkpointer::limits_of(Connection& connection, const SqliteParameters& parameters) {
  constexpr std::uint64_t kFrameHeaderBytes = 24;
  Query page_size(connection, "PRAGMA page_size");
  page_size.step();
  const std::uint64_t frame = static_cast<std::uint64_t>(page_size.integer(0)) + kFrameHeaderBytes;
  rlimit file_size{};
  const bool is_limited = getrlimit(RLIMIT_FSIZE, &file_size) == 0 && file_size.rlim_cur != RLIM_INFINITY;
  const std::uint64_t limit = is_limited
                                  ? std::min<std::uint64_t>(parameters.wal_limit_bytes, file_size.rlim_cur)
                                  : parameters.wal_limit_bytes;
  const auto frames = [&](std::uint64_t part) {
    const std::uint64_t count = limit / part / frame;
    return static_cast<int>(std::clamp<std::uint64_t>(count, 1, std::numeric_limits<int>::max()));
  };
  return {frames(kWorthwhilePart), frames(kLongPart), frames(kTooLongPart), frames(1)};
}

bool Checkpointer::is_full() {
  std::unique_lock lock(mutex_);
  if (frames_ < limits_.most) return false;
  changed_.wait(lock, [&] { return !wanted_; });
  const auto last = writing_.deadline();
  for (int waits = 0;;) {
    const std::optional<int> frames = writing_.count_wal_frames();
    // Another process may have begun the WAL anew.
    const bool has_room = frames && *frames < limits_.most;
    const auto begins = has_room ? Connection::WalBegins::anew : writing_.begin_wal_anew(kWaitForReaders);
    if (begins == Connection::WalBegins::anew) {
      frames_ = has_room ? *frames : 0;
      written_back_ = 0;
      return false;
    }
    waits = begins == Connection::WalBegins::not_because_of_reader ? waits + 1 : 0;
    if (waits == kWaitsForReaders || std::chrono::steady_clock::now() >= last) return true;
  }
}

// An error that is returned here would be that of a COMMIT that has succeeded.
int Checkpointer::committed(void* self, sqlite3*, const char*, int frames) noexcept {
  static_cast<Checkpointer*>(self)->look_after(frames);
  return SQLITE_OK;
}

void Checkpointer::look_after(int frames) {
  std::unique_lock lock(mutex_);
  frames_ = frames;
  if (frames >= limits_.too_long) changed_.wait(lock, [&] { return !wanted_; });
  if (wanted_) return;
  if (frames < written_back_) written_back_ = 0;  // the WAL has begun anew
  const int left = frames - written_back_;
  if (frames >= limits_.too_long || (frames >= limits_.longer && left <= frames / kPauseShare)) {
    written_back_ = checkpoint(writing_.handle());
  } else if (left >= limits_.worthwhile || frames >= limits_.longer) {
    start(lock);
  }
}

void Checkpointer::start(std::unique_lock<std::mutex>& lock) {
  if (!thread_.joinable()) {
    const BlockSignals block;
    try {
      thread_ = std::thread(&Checkpointer::run, this);
    } catch (const std::exception&) {  // no thread to be had, or no memory: as if there had never been one
      written_back_ = checkpoint(writing_.handle());
      return;
    }
  }
  wanted_ = true;
  lock.unlock();
  changed_.notify_all();
}

void Checkpointer::run() noexcept {
  const StoreCall call;
  std::unique_ptr<Connection> connection;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return wanted_ || ending_; });
    if (ending_) break;
    lock.unlock();
    int written_back = 0;
    try {
      if (!connection) {
        connection = std::make_unique<Connection>(parameters_, Connection::Mode::checkpointing);
        connection->skip_checkpoint_on_close();
        connection->note_files();
        const std::lock_guard relock(mutex_);
        interruptible_ = connection->handle();
      }
      if (!has_writers_files(*connection)) throw std::runtime_error("the files were replaced");
      written_back = checkpoint(connection->handle());
      if (parameters_.synchronous != Synchronous::off) sync_database(connection->handle());
      if (has_writers_files(*connection)) writing_.files()->note_change(*connection->files());
    } catch (const std::exception&) {
      const std::lock_guard relock(mutex_);
      interruptible_ = nullptr;
      connection.reset();
    }
    lock.lock();
    written_back_ = written_back;
    wanted_ = false;
    changed_.notify_all();
  }
  interruptible_ = nullptr;
}

/// The writer notices by itself that its files were replaced. Frames of another WAL would damage the
/// database.
bool Checkpointer::has_writers_files(Connection& connection) noexcept {
  return connection.replaced() == Replaced::no && writing_.files() != nullptr &&
         connection.files()->shares_files_with(*writing_.files());
}

// How many frames are written back now; none where it did not work out.
int Checkpointer::checkpoint(sqlite3* connection) noexcept {
  int frames = 0, written_back = 0;
  sqlite3_wal_checkpoint_v2(connection, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &written_back);
  return std::max(written_back, 0);
}

}  // namespace codewake::internal
