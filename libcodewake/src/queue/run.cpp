#include "queue/run.hpp"

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "base/scarce_memory.hpp"
#include "base/worker_thread.hpp"
#include "codewake/visible.hpp"
#include "journal/crash_file.hpp"
#include "queue/fingerprint.hpp"
#include "queue/modules_note.hpp"
#include "queue/run_about.hpp"
#include "stacktrace/crash_handler.hpp"

namespace codewake::internal {
namespace {

using namespace std::chrono_literals;

/// How often the keeper looks by itself, where nobody wakes it: when little is written, and when slots are
/// taken. A writer that wakes it would be preempted by it.
constexpr auto kKeeperInterval = 100ms;
constexpr auto kBusyKeeperInterval = 4ms;

JournalOptions journal_options(const Config::Queue& options, const QueueTarget& target, Wake& keeper) {
  JournalOptions journal;
  journal.on_pressure = [&keeper] { keeper.notify(); };
  journal.folder = journal_folder(options, target);
  journal.is_default_folder = !options.journal || options.journal->empty();
  journal.in_memory = journal.folder.empty();
  journal.limit_bytes = options.limit_bytes;
  journal.block_when_full = options.when_full == WhenFull::block;
  journal.about = about_run(target);
  return journal;
}

}  // namespace

Run::Run(QueueBackend& backend, const Config::Queue& options, const QueueTarget& target)
    : backend_(backend),
      options_(options),
      fingerprint_(fingerprint_of(target)),
      journal_folder_(journal_folder(options, target)),
      journal_(std::make_shared<LiveJournal>(journal_options(options, target, keeper_wake_))),
      builder_(
          journal_->run(), processes_, {.events = options.batch},
          [](const CapturedStack& stack) { return Stacktrace(stack.addresses, stack.epoch); },
          backend.stores_trace_events()),
      dead_letters_(journal_folder_, journal_->run()),
      writer_(
          backend, builder_,
          {.stored =
               [this](std::size_t item, Id id) {
                 const BatchBuilder::Item& stored = builder_.item(item);
                 if (stored.is_event && !stored.is_report) stored_.fetch_add(1, std::memory_order_relaxed);
                 if (!stored.is_sync) return;
                 once_there_is_memory([&] {
                   note_process_ids();
                   tell_waiters(item, {.event_id = id, .error = {}});
                 });
               },
           .rejected =
               [this](std::size_t item, const std::string& reason) {
                 const BatchBuilder::Item& refused = builder_.item(item);
                 if (refused.is_event && !refused.is_report)
                   rejected_.fetch_add(1, std::memory_order_relaxed);
                 once_there_is_memory([&] { dead_letters_.set_aside(builder_, refused, reason); });
                 if (!refused.is_sync) return;
                 once_there_is_memory([&] {
                   tell_waiters(item,
                                {.event_id = 0, .error = StoreError(StoreError::Kind::rejected, reason)});
                 });
               },
           .replaced =
               [] {
                 say_on_stderr(
                     "the storage was replaced, or set back to an older state; this process is recorded in "
                     "it again");
               }}) {}

void Run::start() {
  keeper_runs_ = committer_runs_ = true;
  try {
    start_worker("codewake-keep", [self = shared_from_this()] { self->run_keeper(); });
  } catch (...) {
    keeper_runs_ = committer_runs_ = false;
    journal_->remove_files();
    throw;
  }
  try {
    start_worker("codewake-commit", [self = shared_from_this()] { self->run_committer(); });
  } catch (...) {
    std::unique_lock lock(state_mutex_);
    committer_runs_ = false;
    committed_ = true;
    keeper_wake_.notify();
    state_changed_.wait(lock, [&] { return !keeper_runs_; });
    journal_->remove_files();
    throw;
  }
}

// ── the keeper ──

void Run::run_keeper() {
  disk_folders_seen_ = journal_->disk_folders_made();
  if_there_is_memory([&] { note_modules(); });
  const bool durable = options_.durability == Durability::machine;
  auto next_sync = std::chrono::steady_clock::now();
  std::uint64_t slots_taken = 0;
  while (!is_ending() || std::chrono::steady_clock::now() < end_deadline_.load()) {
    {
      const std::lock_guard lock(state_mutex_);
      if (committed_) break;
    }
    const auto now = std::chrono::steady_clock::now();
    const bool sync = durable && now >= next_sync;
    const bool is_busy = journal_->slots_taken() != std::exchange(slots_taken, journal_->slots_taken());
    keeper_is_near_.store(is_busy, std::memory_order_relaxed);
    if_there_is_memory([&] { keep(sync); });
    if (sync) next_sync = now + options_.interval;
    if (is_busy) wake_for_full_batch();
    if (journal_->takes_room() && !is_busy) continue;
    std::chrono::nanoseconds until_next = is_busy ? kBusyKeeperInterval : kKeeperInterval;
    if (durable) until_next = std::min(until_next, options_.interval);
    keeper_wake_.wait_for(until_next);
  }
  const std::lock_guard lock(state_mutex_);
  keeper_runs_ = false;
  state_changed_.notify_all();
}

void Run::keep(bool sync) {
  journal_->keep({.spill_everything = sync, .sync = sync});
  journal_->note_account(stored_.load() + rejected_.load(), false);
  follow_disk_folder();
  note_modules();
}

// For the recovery of stacks of this run. A module that is loaded now may be in the next stack.
void Run::note_modules() {
  const auto folders = journal_->folders();
  if (!folders.empty()) modules_note_.keep(*folders.front());
}

void Run::wake_keeper_if_needed() {
  if (journal_->takes_room() && !keeper_is_near_.load(std::memory_order_relaxed)) keeper_wake_.notify();
}

// A whole batch does not wait for the interval.
void Run::wake_for_full_batch() {
  if (journal_->accepted() >= stored_.load() + rejected_.load() + journal_->lost() + options_.batch) wake();
}

// What lay in a folder on disk that somebody has deleted belongs into the new one.
void Run::follow_disk_folder() {
  const unsigned made = journal_->disk_folders_made();
  if (std::exchange(disk_folders_seen_, made) == made) return;
  modules_note_.begin_anew();
  const std::lock_guard lock(state_mutex_);
  if (!crash_subject_ || is_dying()) return;
  try {
    make_crash_page_of(*crash_subject_);
  } catch (const std::system_error& error) {
    say_on_stderr({"a crash of this process could not be recorded: ", error.what()});
  }
}

// ── for the queue ──

bool Run::wait_until_stored(Deadline deadline) {
  const std::vector<LanePosition> targets = journal_->published();
  wants_now_.store(true);
  wake();
  std::unique_lock lock(state_mutex_);
  while (!journal_->is_stored(targets)) {
    if (!committer_runs_) return false;
    if (state_changed_.wait_until(lock, std::min(deadline, std::chrono::steady_clock::now() + 1h)) ==
            std::cv_status::timeout &&
        std::chrono::steady_clock::now() >= deadline) {
      return journal_->is_stored(targets);
    }
    committer_wake_.notify();  // what was published meanwhile may have come first
  }
  return true;
}

Id Run::wait_for(RecordPlace place) {
  wants_now_.store(true);
  wake();
  const LanePosition behind{place.lane, place.position + 1};
  return results_.wait(place, [&] {
    const std::lock_guard lock(state_mutex_);
    if (!committer_runs_) return SyncResults::State::ended;
    return journal_->is_stored({&behind, 1}) ? SyncResults::State::settled : SyncResults::State::open;
  });
}

bool Run::end(Deadline deadline) {
  journal_->close();
  journal_->wait_for_writers(deadline);
  end_deadline_.store(deadline);
  ending_.store(true, std::memory_order_release);
  wake();
  keeper_wake_.notify();
  std::unique_lock lock(state_mutex_);
  // The threads keep the deadline by themselves, unless the store does not come back from a call.
  state_changed_.wait_until(lock, deadline, [&] { return !committer_runs_; });
  if (committer_runs_) return false;
  return all_stored_;
}

void Run::wait_for_end() {
  std::unique_lock lock(state_mutex_);
  state_changed_.wait(lock, [&] { return !committer_runs_; });
}

void Run::count(StoreStats& stats) const {
  const std::uint64_t stored = stored_.load(), rejected = rejected_.load();
  const std::uint64_t lost = journal_->lost();
  const std::uint64_t accepted = std::max(journal_->accepted(), stored + rejected + lost);
  stats.accepted += accepted;
  stats.stored += stored;
  stats.rejected += rejected;
  stats.queued += accepted - stored - rejected - lost;
  stats.lost_full += lost_full_.load();
  stats.lost_error += lost_error_.load() + lost;
  std::string problem = journal_->problem();
  const std::lock_guard lock(state_mutex_);
  if (!problem.empty() && !store_problem_.empty()) problem += "; ";
  stats.problem = problem + store_problem_;
}

void Run::count_loss(Accepted why) noexcept {
  const bool full = why == Accepted::full;
  (full ? lost_full_ : lost_error_).fetch_add(1, std::memory_order_relaxed);
  FrontHeader& header = journal_->header();
  std::atomic_ref(full ? header.lost_full : header.lost_error).fetch_add(1, std::memory_order_relaxed);
}

void Run::count_early_losses(std::uint64_t events) noexcept {
  lost_error_.fetch_add(events, std::memory_order_relaxed);
  std::atomic_ref(journal_->header().lost_error).fetch_add(events, std::memory_order_relaxed);
}

std::optional<Id> Run::process_id(std::uint16_t number) const {
  const std::lock_guard lock(state_mutex_);
  const auto found = process_ids_.find(number);
  return found == process_ids_.end() ? std::nullopt : std::optional(found->second);
}

void Run::lock_for_fork() {
  results_.lock_for_fork();
  state_mutex_.lock();
  journal_->lock_for_fork();
  committer_wake_.lock_for_fork();
  keeper_wake_.lock_for_fork();
}

void Run::unlock_after_fork() noexcept {
  keeper_wake_.unlock_after_fork();
  committer_wake_.unlock_after_fork();
  journal_->unlock_after_fork();
  state_mutex_.unlock();
  results_.unlock_after_fork();
}

}  // namespace codewake::internal
