// Making, closing, and what a fork() needs.
#include "journal/live_journal.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <thread>

#include "codewake/trusted_path.hpp"
#include "codewake/visible.hpp"
#include "journal/fence.hpp"
#include "journal/places.hpp"

namespace codewake::internal {
LiveJournal::LiveJournal(JournalOptions options) : options_(std::move(options)) {
  prepare_fences();
  make_folders();
  make_front();
  // Two samples make a line; a moment lies between them, so that it is straight to a thousandth.
  clock_ = ClockHistory(ticks_);
  clock_.add(sample_clock(ticks_));
  const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(200);
  while (std::chrono::steady_clock::now() < until) {
  }
  {
    const std::lock_guard lock(consume_mutex_);
    sample_clock_if_due();
  }
  for (std::uint32_t slot = front_->slot_count(); slot-- > 0;) empty_slots_.push_back(slot);
  slots_at_start_ = front_->slots_with_room();
  common_ = lanes_.emplace_back(std::make_unique<LaneState>(kCommonLane)).get();
  provide_spare_slots();
}

LiveJournal::~LiveJournal() = default;

// Of all journals: a thread knows which one it has waited in.
std::uint64_t LiveJournal::next_episode() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

void LiveJournal::say(std::string problem) {
  say_on_stderr(problem);
  const std::lock_guard lock(slots_mutex_);
  if (!problem_.empty()) problem_ += "; ";
  problem_ += problem;
}

void LiveJournal::make_disk_folder() {
  const std::string reason = options_.is_default_folder ? why_not_trusted(options_.folder) : std::string();
  if (!reason.empty()) throw std::system_error(EPERM, std::generic_category(), reason);
  disk_folder_ = RunFolder::create(options_.folder, run());
  // Once more: another user may have come first with what was missing.
  const std::string late = options_.is_default_folder ? why_not_trusted(disk_folder_->path()) : std::string();
  if (!late.empty()) throw std::system_error(EPERM, std::generic_category(), late);
  disk_folder_->write_about(options_.about);
  spill_ = std::make_unique<Spill>(disk_folder_->folder(), options_.limit_bytes);
  can_spill_ = true;
}

void LiveJournal::make_folders() {
  if (options_.in_memory) return;
  try {
    make_disk_folder();
  } catch (const std::system_error& error) {
    if (disk_folder_) disk_folder_->remove();
    disk_folder_.reset();
    say(fmt::format("the journal folder {} cannot be used, so that the queue has shared memory alone: {}",
                    options_.folder.string(), error.what()));
  }
  try {
    const std::uint64_t size_bytes = std::uint64_t{options_.slot_count} * kSlotBytes;
    front_folder_ = RunFolder::create([&] { return make_front_root(options_.folder, size_bytes); }, run());
    front_folder_->write_about(options_.about);
  } catch (const std::system_error& error) {
    if (front_folder_) front_folder_->remove();
    front_folder_.reset();
    say(fmt::format("no shared memory for the journal, so that it lies {}: {}",
                    disk_folder_ ? "on the disk alone" : "in private memory, gone when the program ends",
                    error.what()));
  }
}

void LiveJournal::make_front() {
  for (auto* folder : {&front_folder_, &disk_folder_}) {
    if (!*folder) continue;
    try {
      front_ = std::make_unique<Front>((*folder)->folder().get(), options_.slot_count, ticks_);
      // Without memory for one slot it is of no use.
      if (const int error = front_->reserve(0); error != 0)
        throw std::system_error(error, std::generic_category(), ((*folder)->path() / Front::kFile).string());
      return;
    } catch (const std::system_error& error) {
      front_.reset();
      say(fmt::format("no room for the front of the journal: {}", error.what()));
    }
  }
  front_ = std::make_unique<Front>(nullptr, options_.slot_count, ticks_);
}

std::string LiveJournal::problem() const {
  const std::lock_guard lock(slots_mutex_);
  if (problem_.empty() || disk_problem_.empty()) return problem_ + disk_problem_;
  return problem_ + "; " + disk_problem_;
}

const RunFolder* LiveJournal::some_run_folder() const noexcept {
  if (front_folder_) return &*front_folder_;
  return disk_folder_ ? &*disk_folder_ : nullptr;
}

std::shared_ptr<const Folder> LiveJournal::some_folder() const {
  const RunFolder* const run = some_run_folder();
  return run != nullptr ? run->folder() : nullptr;
}

std::shared_ptr<const Folder> LiveJournal::some_root() const {
  const RunFolder* const run = some_run_folder();
  return run != nullptr ? run->root() : nullptr;
}

// Of the payloads of external records; null where they stay in memory.
std::shared_ptr<const Folder> LiveJournal::externals_folder() const {
  return disk_folder_ ? disk_folder_->folder() : some_folder();
}

void LiveJournal::close() noexcept {
  const std::lock_guard lock(slots_mutex_);
  closed_ = true;
  room_.notify_all();
}

// A writer sets `busy`, then looks whether the journal is open; whoever closes it does the opposite. The one
// expensive fence that this needs is paid here, for all writers.
bool LiveJournal::wait_for_writers(Deadline deadline) noexcept {
  fence_others();
  for (LaneState* lane : all_lanes()) {
    while (lane->lane.busy.load(std::memory_order_acquire)) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      std::this_thread::yield();
    }
  }
  return true;
}

std::vector<LiveJournal::LaneState*> LiveJournal::all_lanes() const {
  const std::lock_guard lock(slots_mutex_);
  std::vector<LaneState*> lanes;
  lanes.reserve(lanes_.size());
  for (const auto& lane : lanes_) lanes.push_back(lane.get());
  return lanes;
}

std::vector<LanePosition> LiveJournal::published() const {
  std::vector<LanePosition> positions;
  for (const LaneState* lane : all_lanes()) {
    positions.push_back({lane->lane.id, lane->lane.published.load(std::memory_order_acquire)});
  }
  return positions;
}

bool LiveJournal::is_stored(std::span<const LanePosition> positions) const {
  const std::lock_guard lock(slots_mutex_);
  for (const LanePosition& wanted : positions) {
    if (lanes_[wanted.lane]->stored.load(std::memory_order_acquire) < wanted.position) return false;
  }
  return true;
}

std::uint64_t LiveJournal::accepted() const {
  std::uint64_t records = 0;
  for (const LaneState* lane : all_lanes()) records += lane->lane.sequence.load(std::memory_order_relaxed);
  return records - process_records_.load(std::memory_order_relaxed);
}

void LiveJournal::remove_files() noexcept {
  for (auto* folder : {&front_folder_, &disk_folder_}) {
    if (!*folder) continue;
    if (const std::error_code error = (*folder)->remove()) {
      say_on_stderr({(*folder)->path().native(), " cannot be deleted: ", error.message()});
    }
    folder->reset();
  }
}

void LiveJournal::give_up_locks() noexcept {
  front_folder_.reset();
  disk_folder_.reset();
}

void LiveJournal::lock_for_fork() {
  common_mutex_.lock();
  consume_mutex_.lock();
  slots_mutex_.lock();
}

void LiveJournal::unlock_after_fork() noexcept {
  slots_mutex_.unlock();
  consume_mutex_.unlock();
  common_mutex_.unlock();
}

void LiveJournal::close_in_child() noexcept {
  for (auto* folder : {&front_folder_, &disk_folder_}) {
    if (*folder) (*folder)->close_in_child();
  }
  if (spill_) spill_->close_in_child();
  front_->close_in_child();
}

}  // namespace codewake::internal
