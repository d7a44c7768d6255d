// Writes the WAL back into the database on a thread of its own, so that no batch waits for the disk.
//
// A checkpoint is two fsyncs and every page written once more: a third of the time that a writer takes which
// does it itself. SQLite begins the WAL anew only when all of it has been written back and nobody adds to it,
// so the last pages, the few that came while the thread was at work, are the writer's.
#pragma once

#include <sqlite3.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "connection.hpp"
#include "parameters.hpp"

namespace codewake::internal {

/// Looks after the WAL of the connection that writes, in place of `PRAGMA wal_autocheckpoint`. What goes
/// wrong here is not lost: the pages stay in the WAL, and the next commits try again. Its functions are
/// thread-bound to whoever holds the lock that guards the connection.
class Checkpointer {
 public:
  /// Both must outlive it. Starts no thread yet.
  Checkpointer(Connection& writing, const SqliteParameters& parameters);
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;
  /// Waits for the thread, which gives up after the page at hand, or the fsync.
  ~Checkpointer();

  /// Whether the WAL has reached the limit of the parameters and cannot begin anew, because a reader needs
  /// what it holds. Waits for readers for a moment. Not in a transaction.
  bool is_full();

  /// Ends the thread, which a later commit starts again; false where it is not idle by `timeout`.
  bool stop(std::chrono::nanoseconds timeout);

 private:
  /// In frames of the WAL, each a page with its header.
  struct Limits {
    int worthwhile;  ///< so many that are not written back yet are worth the thread's while
    int longer;      ///< from here on the WAL is to begin anew, once little is left to write back
    int too_long;    ///< here it begins anew whatever is left: the thread does not keep up
    int most;        ///< no transaction begins where a reader keeps it from that
  };

  static Limits limits_of(Connection& connection, const SqliteParameters& parameters);
  static int committed(void* self, sqlite3*, const char* database, int frames) noexcept;
  void look_after(int frames);
  void start(std::unique_lock<std::mutex>& lock);
  void run() noexcept;
  bool has_writers_files(Connection& connection) noexcept;
  int checkpoint(sqlite3* connection) noexcept;

  Connection& writing_;
  const SqliteParameters& parameters_;
  const Limits limits_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  bool wanted_ = false;  ///< a checkpoint is asked of the thread, or under way
  bool ending_ = false;
  sqlite3* interruptible_ = nullptr;  ///< the thread's connection, while it has one
  int written_back_ = 0;              ///< frames of the WAL, as the last checkpoint left it
  int frames_ = 0;                    ///< of the WAL, as the last commit left it
};

}  // namespace codewake::internal
