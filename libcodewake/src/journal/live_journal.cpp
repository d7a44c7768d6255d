// Making, closing, and what a fork() needs.
#include "journal/live_journal.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <thread>

#include "base/scarce_memory.hpp"
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
  clock_.add(read_clocks(ticks_));
  const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(200);
  while (std::chrono::steady_clock::now() < until) {
  }
  {
    const std::lock_guard lock(consume_mutex_);
    sample_clock_if_due();
  }
  // No memory is asked for when a slot changes hands.
  free_slots_.reserve(front_->slot_count());
  empty_slots_.reserve(front_->slot_count());
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
  set_disk_folder(RunFolder::create(options_.folder, run()));
  // Once more: another user may have come first with what was missing.
  const std::string late = options_.is_default_folder ? why_not_trusted(disk_folder_->path()) : std::string();
  if (!late.empty()) throw std::system_error(EPERM, std::generic_category(), late);
  disk_folder_->write_about(options_.about);
  spill_ = std::make_unique<Spill>(disk_folder_->folder(), options_.limit_bytes);
  account_.emplace(disk_folder_->folder());
  can_spill_ = true;
  disk_folders_made_.fetch_add(1, std::memory_order_release);
}

void LiveJournal::set_disk_folder(std::optional<RunFolder> folder) {
  {
    const std::lock_guard lock(folders_mutex_);
    disk_folder_.swap(folder);
  }
  // What was there before is closed here, without the lock.
}

void LiveJournal::make_folders() {
  if (options_.in_memory) return;
  try {
    make_disk_folder();
  } catch (const std::system_error& error) {
    if (disk_folder_) disk_folder_->remove();
    set_disk_folder(std::nullopt);
    say(fmt::format("the journal folder {} cannot be used, so that the queue has shared memory alone: {}",
                    options_.folder.string(), error.what()));
  }
  try {
    make_front_folder();
  } catch (const std::system_error& error) {
    if (front_folder_) front_folder_->remove();
    front_folder_.reset();
    say(fmt::format("no shared memory for the journal, so that it lies {}: {}",
                    disk_folder_ ? "on the disk alone" : "in private memory, gone when the program ends",
                    error.what()));
  }
}

void LiveJournal::make_front_folder() {
  const auto make_root = [this] {
    return make_front_root(options_.folder, std::uint64_t{options_.slot_count} * kSlotBytes);
  };
  std::optional<Folder> root = make_root();
  // Where shared memory goes with a container or a service, the disk may stay.
  if (disk_folder_ && keeps_fronts(*disk_folder_->folder()) && !outlives_program(*root)) {
    static_cast<void>(root->remove());  // where it is empty
    return;
  }
  const auto take_root = [&] {
    Folder taken = root ? *std::move(root) : make_root();
    root.reset();
    return taken;
  };
  front_folder_ = RunFolder::create(take_root, run());
  front_folder_->write_about(options_.about);
}

void LiveJournal::make_front() {
  for (auto* folder : {&front_folder_, &disk_folder_}) {
    if (!*folder) continue;
    try {
      front_ = std::make_unique<Front>((*folder)->folder().get(), options_.slot_count, ticks_);
      // With less it would be of no use. Where there is room for all, the keeper takes it: that takes a
      // while.
      const bool is_short = front_->slots_with_room() < front_->slot_count();
      if (const int error = is_short ? front_->reserve_least() : front_->reserve(0); error != 0)
        throw std::system_error(error, std::generic_category(), ((*folder)->path() / Front::kFile).string());
      is_front_on_disk_ = folder == &disk_folder_;
      return;
    } catch (const std::system_error& error) {
      front_.reset();
      static_cast<void>((*folder)->folder()->remove_file(Front::kFile));
      say(fmt::format("no room for the front of the journal: {}", error.what()));
    }
    if (folder == &front_folder_ && disk_folder_) {
      front_folder_->remove();
      front_folder_.reset();
    }
  }
  front_ = std::make_unique<Front>(nullptr, options_.slot_count, ticks_);
}

std::string LiveJournal::problem() const {
  const std::lock_guard lock(slots_mutex_);
  if (problem_.empty() || disk_problem_.empty()) return problem_ + disk_problem_;
  return problem_ + "; " + disk_problem_;
}

std::vector<std::shared_ptr<const Folder>> LiveJournal::folders() const {
  const std::lock_guard lock(folders_mutex_);
  std::vector<std::shared_ptr<const Folder>> found;
  for (const auto* run : {&disk_folder_, &front_folder_}) {
    if (*run) found.push_back((*run)->folder());
  }
  return found;
}

std::vector<std::shared_ptr<const Folder>> LiveJournal::roots() const {
  const std::lock_guard lock(folders_mutex_);
  std::vector<std::shared_ptr<const Folder>> found;
  for (const auto* run : {&disk_folder_, &front_folder_}) {
    if (*run) found.push_back((*run)->root());
  }
  return found;
}

// Of the payloads of external records; null where they stay in memory.
std::shared_ptr<const Folder> LiveJournal::externals_folder() const noexcept {
  const std::lock_guard lock(folders_mutex_);
  const std::optional<RunFolder>& run = disk_folder_ ? disk_folder_ : front_folder_;
  return run ? run->folder() : nullptr;
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
  const auto lane_at = [this](std::size_t index) -> const Lane* {
    const std::lock_guard lock(slots_mutex_);
    return index < lanes_.size() ? &lanes_[index]->lane : nullptr;
  };
  std::size_t index = 0;
  while (const Lane* const lane = lane_at(index++)) {
    while (lane->busy.load(std::memory_order_acquire)) {
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
  const std::lock_guard lock(slots_mutex_);
  for (const auto& lane : lanes_) records += lane->lane.sequence.load(std::memory_order_relaxed);
  return records - process_records_.load(std::memory_order_relaxed);
}

// Killed between the two folders, a run must not seem to have lost what was in the first.
void LiveJournal::remove_files() noexcept {
  if (disk_folder_ && account_) account_->remove();
  for (auto* folder : {&front_folder_, &disk_folder_}) {
    std::optional<RunFolder> ended;
    {
      const std::lock_guard lock(folders_mutex_);
      ended.swap(*folder);
    }
    if (!ended) continue;
    if (const std::error_code error = ended->remove()) {
      if_there_is_memory([&] {
        say_on_stderr({ended->path().native(), " cannot be deleted: ", error.message()});
      });
    }
  }
}

// A folder on disk that is full says less, and no more.
void LiveJournal::note_account(std::uint64_t settled, bool at_once) {
  constexpr std::chrono::milliseconds kInterval{100};
  const std::lock_guard lock(consume_mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (is_front_on_disk_ || !disk_folder_ || (!at_once && now < next_account_)) return;
  next_account_ = now + kInterval;
  FrontHeader& header = front_->header();
  const auto count = [](std::uint64_t& number) {
    return std::atomic_ref(number).load(std::memory_order_relaxed);
  };
  const std::uint64_t all_settled = settled + lost();
  static_cast<void>(account_->write({.accepted = std::max(accepted(), all_settled),
                                     .settled = all_settled,
                                     .lost = count(header.lost_full) + count(header.lost_error),
                                     .reported = count(header.lost_reported)}));
}

void LiveJournal::give_up_locks() noexcept {
  const std::lock_guard lock(folders_mutex_);
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
