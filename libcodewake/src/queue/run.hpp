// One run of a queue: a journal, the thread that commits it and the thread that keeps it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "codewake/queue_store.hpp"
#include "journal/crash_file.hpp"
#include "journal/live_journal.hpp"
#include "queue/batch_builder.hpp"
#include "queue/batch_writer.hpp"
#include "queue/dead_letters.hpp"
#include "queue/modules_note.hpp"
#include "queue/recoverer.hpp"
#include "queue/sync_results.hpp"
#include "queue/wake.hpp"

namespace codewake::internal {

/// Shared by the queue and its two threads: a thread that is stuck in the store may outlive the queue's
/// interest in it. Lock order: that of `results_`, `state_mutex_`, the journal's.
class Run : public std::enable_shared_from_this<Run> {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  Run(QueueBackend& backend, const Config::Queue& options, const QueueTarget& target);
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  /// Starts the threads. Throws std::system_error where there can be none: nothing is left of the run then.
  void start();

  const std::shared_ptr<LiveJournal>& journal() const noexcept { return journal_; }

  /// Has the committer look now, and not when the interval has passed.
  void wake() { committer_wake_.notify(); }
  /// After a writer has taken a slot: the keeper looks soon, and is woken only where it would not.
  void wake_keeper_if_needed();

  /// Until what is published now is stored; false when the deadline has passed, or the run has ended.
  bool wait_until_stored(Deadline deadline);

  /// Until the record at this place is stored. Throws StoreError.
  Id wait_for(RecordPlace place);

  /// Stops taking records, stores what there is, and ends the threads; at most until the deadline. The result
  /// says whether all is stored: then the journal's files are gone.
  bool end(Deadline deadline);

  /// However long it takes.
  void wait_for_end();

  void count(StoreStats& stats) const;
  void count_loss(Accepted why) noexcept;
  /// Of events that came before there was a journal.
  void count_early_losses(std::uint64_t events) noexcept;
  /// Of the process with this number in the journal; empty where it is not stored yet.
  std::optional<Id> process_id(std::uint16_t number) const;

  /// Has a crash of this process written into the run. Throws std::system_error.
  void provide_crash_page(std::uint16_t number, const ProcessInfo& info);

  void lock_for_fork();
  void unlock_after_fork() noexcept;

 private:
  void run_committer();
  void find_dead_runs();
  void end_journal();
  void leave_crash_page();
  void make_crash_page_of(const CrashSubject& subject);
  void follow_disk_folder();
  void run_keeper();
  void keep(bool sync);
  void note_modules();
  bool commit_round();
  std::error_code read_external(const TakenRecord& record, std::string& content);
  bool commit_batch();
  bool wait_to_retry(unsigned failures);
  void recover_some();
  void add_loss_report();
  void wake_for_full_batch();
  void note_process_ids();
  void tell_waiters(std::size_t item, const SyncResult& result);
  void note_store_problem(std::string problem);
  bool is_ending() const noexcept { return ending_.load(std::memory_order_acquire); }

  Wake committer_wake_, keeper_wake_;

  QueueBackend& backend_;
  const Config::Queue options_;
  const std::string fingerprint_;
  const std::filesystem::path journal_folder_;  // empty: in memory
  std::shared_ptr<LiveJournal> journal_;

  // The committer's own.
  ProcessTable processes_;
  BatchBuilder builder_;
  DeadLetters dead_letters_;
  BatchWriter writer_;
  std::optional<Recoverer> recoverer_;  // while there is something to recover
  Deadline recover_again_{};
  unsigned recovery_failures_ = 0;
  std::uint64_t losses_in_batch_ = 0;
  bool store_is_away_ = false;  // and that was said
  // The keeper's own.
  ModulesNote modules_note_;
  unsigned disk_folders_seen_ = 0;

  std::atomic<bool> ending_{false};
  std::atomic<bool> wants_now_{false};       // somebody waits: the store is tried without delay
  std::atomic<bool> keeper_is_near_{false};  // it looks again within kBusyKeeperInterval
  std::atomic<Deadline> end_deadline_{Deadline::max()};
  std::atomic<std::uint64_t> stored_{0}, rejected_{0};
  std::atomic<std::uint64_t> lost_full_{0}, lost_error_{0};
  std::atomic<Id> process_id_{0};  // of the last one

  SyncResults results_;

  mutable std::mutex state_mutex_;
  std::condition_variable state_changed_;  // something was stored, or a thread has ended
  std::string store_problem_;
  std::map<std::uint16_t, Id> process_ids_;    // of the processes that are stored
  std::optional<CrashSubject> crash_subject_;  // where there is a page for it
  bool committer_runs_ = false, keeper_runs_ = false;
  bool committed_ = false;  // the committer has no more records for the keeper to keep
  bool all_stored_ = false;
};

}  // namespace codewake::internal
