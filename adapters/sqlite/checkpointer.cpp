#include "checkpointer.hpp"

#include <algorithm>
#include <memory>
#include <system_error>

#include "block_signals.hpp"

namespace codewake::internal {
namespace {

/// So many frames that are not written back yet are worth the thread's while: 16 MiB.
constexpr int kWorthwhile = 4'000;
/// From here on the WAL is to begin anew, once the writer's part is no more than an eighth of it.
constexpr int kLong = 16'000;
constexpr int kPauseShare = 8;
/// And here it has to, whatever the pause: the thread does not keep up.
constexpr int kTooLong = 64'000;

/// SQLite does so only at the checkpoint that ends the WAL, which is the writer's, and would then wait for
/// all of the pages. That one looks for errors too, so nothing is lost here.
void sync_database(sqlite3* connection) noexcept {
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK) return;
  if (file != nullptr && file->pMethods != nullptr) file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
}

}  // namespace

Checkpointer::Checkpointer(Connection& writing, const SqliteParameters& parameters)
    : writing_(writing), parameters_(parameters) {
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

// An error that is returned here would be that of a COMMIT that has succeeded.
int Checkpointer::committed(void* self, sqlite3*, const char*, int frames) noexcept {
  static_cast<Checkpointer*>(self)->look_after(frames);
  return SQLITE_OK;
}

void Checkpointer::look_after(int frames) {
  std::unique_lock lock(mutex_);
  if (frames >= kTooLong) changed_.wait(lock, [&] { return !wanted_; });
  if (wanted_) return;
  if (frames < written_back_) written_back_ = 0;  // the WAL has begun anew
  const int left = frames - written_back_;
  if (frames >= kTooLong || (frames >= kLong && left <= frames / kPauseShare)) {
    written_back_ = checkpoint(writing_.handle());
  } else if (left >= kWorthwhile || frames >= kLong) {
    start(lock);
  }
}

void Checkpointer::start(std::unique_lock<std::mutex>& lock) {
  if (!thread_.joinable()) {
    const BlockSignals block;
    try {
      thread_ = std::thread(&Checkpointer::run, this);
    } catch (const std::system_error&) {  // no thread to be had: as if there had never been one
      written_back_ = checkpoint(writing_.handle());
      return;
    }
  }
  wanted_ = true;
  lock.unlock();
  changed_.notify_all();
}

void Checkpointer::run() noexcept {
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
        connection->exec("PRAGMA schema_version");  // a checkpoint alone does not find the WAL
        const std::lock_guard relock(mutex_);
        interruptible_ = connection->handle();
      }
      written_back = checkpoint(connection->handle());
      if (parameters_.synchronous != Synchronous::off) sync_database(connection->handle());
    } catch (const std::exception&) {
      connection.reset();
    }
    lock.lock();
    written_back_ = written_back;
    wanted_ = false;
    changed_.notify_all();
  }
  interruptible_ = nullptr;
}

// How many frames are written back now; none where it did not work out.
int Checkpointer::checkpoint(sqlite3* connection) noexcept {
  int frames = 0, written_back = 0;
  sqlite3_wal_checkpoint_v2(connection, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &written_back);
  return std::max(written_back, 0);
}

}  // namespace codewake::internal
