// The thread of a run that stores what its journal has.
#include "queue/run.hpp"

#include <fmt/format.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/scarce_memory.hpp"
#include "codewake/visible.hpp"
#include "journal/crash_file.hpp"
#include "queue/own_journals.hpp"
#include "queue/retry_policy.hpp"
#include "stacktrace/crash_handler.hpp"

namespace codewake::internal {
namespace {

using namespace std::chrono_literals;

/// A store that fails so often in a row is said to be away.
constexpr unsigned kFailuresOfAwayStore = 2;

constexpr int kCommitterNice = 5;

std::vector<std::filesystem::path> paths_of(const std::vector<std::shared_ptr<const Folder>>& folders) {
  std::vector<std::filesystem::path> paths;
  for (const auto& folder : folders) paths.push_back(folder->path());
  return paths;
}

/// From 0 to 1.
double random_part() {
  thread_local std::minstd_rand random(std::random_device{}());
  return std::uniform_real_distribution<>(0, 1)(random);
}

}  // namespace

void Run::run_committer() {
  // Where processors are scarce the program's own threads come first: what waits, waits in the journal.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kCommitterNice);
  find_dead_runs();
  auto next_round = std::chrono::steady_clock::now();
  while (true) {
    const bool last = is_ending();
    if (!if_there_is_memory([&] { all_stored_ = commit_round(); })) {
      all_stored_ = false;
      if (last && std::chrono::steady_clock::now() >= end_deadline_.load()) break;
      std::this_thread::sleep_for(kWaitForMemory);
      continue;
    }
    // What was taken and could not be stored must not be taken for settled by another round.
    if (last || !all_stored_) break;
    if (recoverer_ && std::chrono::steady_clock::now() >= recover_again_)
      if_there_is_memory([&] { recover_some(); });
    const auto now = std::chrono::steady_clock::now();
    next_round = std::max(next_round + options_.interval, now);
    const bool recovers_now = recoverer_ && now >= recover_again_;
    if (!is_ending() && !recovers_now) {
      committer_wake_.wait_for(std::min<std::chrono::nanoseconds>(next_round - now, options_.interval));
    }
  }
  recoverer_.reset();
  end_journal();
  const std::lock_guard lock(state_mutex_);
  committer_runs_ = false;
  state_changed_.notify_all();
}

void Run::find_dead_runs() {
  // With raised privileges, the user that started the program may have prepared what lies there.
  if (journal_folder_.empty() || getauxval(AT_SECURE) != 0) return;
  try {
    recoverer_.emplace(backend_, std::make_unique<OwnJournals>(journal_folder_), journal_folder_,
                       fingerprint_, BatchLimits{.events = std::max<std::size_t>(options_.batch, 1000)},
                       journal_->run());
    recoverer_->find();
  } catch (const std::exception& error) {
    say_on_stderr({"journals of earlier runs cannot be looked for: ", error.what()});
    recoverer_.reset();
  }
}

// The files go before the positions, which do no harm without them.
void Run::end_journal() {
  {
    std::unique_lock lock(state_mutex_);
    committed_ = true;
    keeper_wake_.notify();
    state_changed_.wait(lock, [&] { return !keeper_runs_; });
  }
  try {
    if (all_stored_ && !is_crash_kept()) {
      leave_crash_page();
      journal_->remove_files();
      backend_.forget_positions(journal_->run() + "/");
    } else {
      journal_->keep({.spill_everything = true, .sync = options_.durability == Durability::machine});
      journal_->note_account(stored_.load() + rejected_.load(), true);
    }
  } catch (...) {
    // Of a journal that is no more, rows stay; one that could not be removed is recovered as one of a killed
    // run: it has nothing that is not stored.
  }
  journal_->give_up_locks();
}

void Run::provide_crash_page(std::uint16_t number, const ProcessInfo& info) {
  if (journal_->folders().empty()) return;
  const CrashSubject subject{.number = number, .id = 0, .info = info};
  const std::lock_guard lock(state_mutex_);
  make_crash_page_of(subject);
  crash_subject_ = subject;
}

// On disk, where there is one with room: the crash outlives what shared memory goes with.
void Run::make_crash_page_of(const CrashSubject& subject) {
  const auto folders = journal_->folders();
  for (const auto& folder : folders) {
    try {
      use_crash_page(make_crash_page(*folder, subject));
      break;
    } catch (const std::system_error&) {
      if (folder == folders.back()) throw;
    }
  }
  prepare_crash_runs(paths_of(journal_->roots()), journal_->about(), subject);
}

// The journal goes; what crashes from here on makes a run of its own, of the process that is stored.
void Run::leave_crash_page() {
  const std::lock_guard lock(state_mutex_);
  if (!crash_subject_) return;
  const auto id = process_ids_.find(static_cast<std::uint16_t>(crash_subject_->number));
  if (id != process_ids_.end()) crash_subject_->id = id->second;
  prepare_crash_runs(paths_of(journal_->roots()), journal_->about(), *crash_subject_);
  use_crash_page(nullptr);
}

// Everything that there is, batch by batch; false where the run ends before all is stored.
bool Run::commit_round() {
  while (true) {
    builder_.clear();
    const std::function<std::error_code(const TakenRecord&, std::string&)> external =
        [this](const TakenRecord& record, std::string& content) { return read_external(record, content); };
    bool full = false;
    try {
      journal_->collect([&](const TakenRecord& record) {
        const bool added = builder_.add(record, external);
        full = full || !added;
        return added;
      });
    } catch (const std::exception& error) {  // no memory: the record comes again
      if_there_is_memory(
          [&] { note_store_problem(fmt::format("the journal cannot be read: {}", error.what())); });
    }
    // What was lost is told with the next events, or at the end.
    if (builder_.size() != 0 || is_ending()) if_there_is_memory([&] { add_loss_report(); });
    if (builder_.size() != 0 && !commit_batch()) return false;
    journal_->settle();
    if (builder_.size() != 0) journal_->note_account(stored_.load() + rejected_.load(), true);
    {
      const std::lock_guard lock(state_mutex_);
      state_changed_.notify_all();
    }
    if (builder_.size() == 0) return true;
    if (!full && !is_ending()) return true;
  }
}

// What cannot be read now may be read later; what is gone for good is lost.
std::error_code Run::read_external(const TakenRecord& record, std::string& content) {
  const std::error_code error = journal_->read_external(record, content);
  if (!error) return error;
  const bool is_for_good = error == std::errc::bad_message || error == std::errc::no_such_file_or_directory;
  if (!is_for_good) throw std::system_error(error, "a large event");
  journal_->count_lost(1);
  return error;
}

bool Run::commit_batch() {
  if (options_.durability == Durability::machine) {
    for (std::size_t i = 0; i < builder_.size(); ++i) {
      if (!builder_.item(i).is_sync) continue;
      once_there_is_memory([&] { journal_->keep({.spill_everything = true, .sync = true}); });
      break;
    }
  }
  once_there_is_memory([&] { writer_.begin(); });
  unsigned failures = 0;
  while (true) {
    const BatchWriter::Outcome outcome = writer_.attempt();
    if (outcome == BatchWriter::Outcome::done) break;
    if (outcome == BatchWriter::Outcome::progress) {
      failures = 0;
      if (is_ending() && std::chrono::steady_clock::now() >= end_deadline_.load()) return false;
      continue;
    }
    if_there_is_memory([&] {
      note_store_problem(writer_.problem());
      results_.tell_all_unavailable(writer_.problem());
    });
    if (++failures == kFailuresOfAwayStore && !std::exchange(store_is_away_, true))
      say_on_stderr({"the store is away, and events stay in the journal: ", writer_.problem()});
    if (!wait_to_retry(failures)) return false;
  }
  note_store_problem({});
  if (std::exchange(store_is_away_, false)) say_on_stderr("the store is back, and takes events again");
  if (losses_in_batch_ != 0) {
    std::atomic_ref(journal_->header().lost_reported)
        .fetch_add(std::exchange(losses_in_batch_, 0), std::memory_order_relaxed);
  }
  once_there_is_memory([&] { note_process_ids(); });
  return true;
}

// Before anybody is told that something is stored, who asks for the process's id gets it.
void Run::note_process_ids() {
  const auto& entries = processes_.entries();
  {
    const std::lock_guard lock(state_mutex_);
    for (const auto& [number, entry] : entries) {
      if (entry.id != 0) process_ids_[number] = entry.id;
    }
  }
  const Id id = entries.empty() ? 0 : entries.rbegin()->second.id;
  if (id != 0 && process_id_.exchange(id, std::memory_order_acq_rel) != id) backend_.set_process_id(id);
}

// Until it is time to try again; false where the run ends before that.
bool Run::wait_to_retry(unsigned failures) {
  const auto delay = retry_delay(failures, random_part());
  const Deadline again = std::chrono::steady_clock::now() + delay;
  while (std::chrono::steady_clock::now() < again) {
    if (is_ending()) {
      // The last chance: soon, and often, as long as there is time.
      const auto now = std::chrono::steady_clock::now();
      const Deadline end = end_deadline_.load();
      if (now >= end) return false;
      committer_wake_.wait_for(
          std::min<std::chrono::nanoseconds>(end - now, std::min<std::chrono::nanoseconds>(delay, 50ms)));
      return std::chrono::steady_clock::now() < end;
    }
    committer_wake_.wait_for(again - std::chrono::steady_clock::now());
    if (wants_now_.exchange(false)) return true;
  }
  return true;
}

void Run::recover_some() {
  const Recoverer::Step step = recoverer_->step();
  if (step == Recoverer::Step::wait) {
    const double part = random_part();
    recover_again_ = std::chrono::steady_clock::now() + retry_delay(++recovery_failures_, part);
  } else {
    recovery_failures_ = 0;
  }
  if (step != Recoverer::Step::done) return;
  for (const JournalRun& run : recoverer_->runs()) {
    if (run.state == JournalRun::State::failed || run.state == JournalRun::State::incomplete ||
        run.skipped_bytes != 0) {
      say_on_stderr({"the journal of the run ", run.run, ": ", to_string(run.state), ", ",
                     std::to_string(run.stored_events), " events stored, ", std::to_string(run.skipped_bytes),
                     " bytes could not be read", run.problem.empty() ? "" : "; ", run.problem});
    }
  }
  recoverer_.reset();
}

// What was lost is told of by an event, once the store takes events again.
void Run::add_loss_report() {
  FrontHeader& header = journal_->header();
  const std::uint64_t full = std::atomic_ref(header.lost_full).load(std::memory_order_relaxed);
  const std::uint64_t error = std::atomic_ref(header.lost_error).load(std::memory_order_relaxed);
  const std::uint64_t told = header.lost_reported;
  if (full + error <= told || processes_.entries().empty()) return;
  const std::uint64_t lost = full + error - told;
  builder_.add_report(
      processes_.entries().rbegin()->first, now(),
      {Attribute("event", "codewake.loss"), Attribute("lost", std::to_string(lost)),
       Attribute("lost_full", std::to_string(full)), Attribute("lost_error", std::to_string(error))},
      full + error);
  losses_in_batch_ = lost;
}

void Run::tell_waiters(std::size_t item, const SyncResult& result) {
  const BatchBuilder::Item& record = builder_.item(item);
  results_.tell({record.lane, record.position}, result);
}

void Run::note_store_problem(std::string problem) {
  const std::lock_guard lock(state_mutex_);
  store_problem_ = std::move(problem);
}

}  // namespace codewake::internal
