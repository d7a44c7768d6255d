// The part of LiveJournal that the keeper's thread does: memory ahead of need, and the disk when it must be.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "codewake/visible.hpp"
#include "journal/file_io.hpp"
#include "journal/live_journal.hpp"

namespace codewake::internal {
namespace {

using namespace std::chrono_literals;

/// What has not been stored for so long goes to the disk.
constexpr auto kAge = 1s;
constexpr auto kLongestSampleInterval = 50ms;
constexpr auto kShrinkInterval = 5s;
/// After a failure of the disk.
constexpr auto kRetryDisk = 1s;

}  // namespace

void LiveJournal::keep(Upkeep upkeep) {
  wants_room_.store(false, std::memory_order_relaxed);
  provide_spare_slots();
  {
    const std::lock_guard lock(consume_mutex_);
    sample_clock_if_due();
    if (disk_folder_) spill_what_is_due(upkeep);
  }
  give_back_idle_slots();
}

// Often in the beginning, when little is known of how fast the counter goes.
void LiveJournal::sample_clock_if_due() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_sample_) return;
  const ClockSample sample = sample_clock(ticks_);
  clock_.add(sample);
  next_sample_ = now + sample_interval_;
  sample_interval_ = std::min<std::chrono::nanoseconds>(2 * sample_interval_, kLongestSampleInterval);
  FrontHeader& written = front_->header();
  written.nominal_ns_per_tick = clock_.nominal_ns_per_tick();
  const std::uint64_t number = written.clock_samples;
  written.clock[number % kMaxClockSamples] = sample;
  std::atomic_ref(written.clock_samples).store(number + 1, std::memory_order_release);
}

// Half full, or all that can be had.
bool LiveJournal::is_pressed() const {
  const std::lock_guard lock(slots_mutex_);
  const std::size_t used = front_->slot_count() - free_slots_.size() - empty_slots_.size();
  return used > front_->slot_count() / 2 || (no_more_memory_ && free_slots_.empty());
}

// Up to which position of a lane the spill should reach.
std::uint64_t LiveJournal::spill_goal(LaneState& lane, Upkeep upkeep, bool is_old, bool pressed) const {
  const std::uint64_t published = lane.lane.published.load(std::memory_order_acquire);
  if (upkeep.spill_everything) return published;
  if (is_old && lane.stored.load(std::memory_order_relaxed) < lane.aged) return published;
  if (!pressed) return 0;
  const std::lock_guard lock(slots_mutex_);
  std::uint64_t goal = 0;
  for (const SlotUse& use : lane.slots) goal = std::max(goal, use.end);
  return goal;
}

void LiveJournal::spill_what_is_due(Upkeep upkeep) {
  const auto now = std::chrono::steady_clock::now();
  if (now < retry_disk_) return;
  const bool is_old = now >= next_aging_;
  const bool pressed = is_pressed();
  bool good = true;
  for (LaneState* lane : all_lanes()) {
    const std::uint64_t goal = spill_goal(*lane, upkeep, is_old, pressed);
    if (good && goal > lane->spilled) good = spill_lane(*lane, goal);
    if (is_old) lane->aged = lane->lane.published.load(std::memory_order_relaxed);
  }
  if (is_old) next_aging_ = now + kAge;
  if (good && upkeep.sync) {
    // What a record names must be there when the record is.
    std::error_code error = sync_externals();
    if (!error) error = spill_->sync();
    if (!error && !is_folder_synced_) {
      error = disk_folder_->sync();
      is_folder_synced_ = !error;
    }
    if (error) {
      const std::lock_guard lock(slots_mutex_);
      disk_problem_ = fmt::format("the journal on disk cannot be synced: {}", error.message());
    }
  }
}

std::error_code LiveJournal::sync_externals() {
  for (LaneState* lane : all_lanes()) {
    std::vector<std::uint64_t> unsynced;
    {
      const std::lock_guard lock(slots_mutex_);
      for (External& external : lane->externals) {
        if (!std::exchange(external.is_synced, true)) unsynced.push_back(external.position);
      }
    }
    for (const std::uint64_t position : unsynced) {
      if (const std::error_code error =
              disk_folder_->folder()->sync_file(external_file(lane->lane.id, position))) {
        const std::lock_guard lock(slots_mutex_);
        for (External& external : lane->externals) external.is_synced = false;
        return error;
      }
    }
  }
  return {};
}

// Copies what lies in slots, from where the spill or the store ends. False where the disk has no more room.
bool LiveJournal::spill_lane(LaneState& lane, std::uint64_t until) {
  lane.spilled = std::max(lane.spilled, lane.stored.load(std::memory_order_relaxed));
  std::deque<SlotUse> slots;
  {
    const std::lock_guard lock(slots_mutex_);
    slots = lane.slots;
  }
  for (const SlotUse& use : slots) {
    const std::uint64_t end = std::min(until, use.end == 0 ? until : use.end);
    if (end <= lane.spilled || lane.spilled < use.base) continue;
    const std::size_t size = end - lane.spilled;
    SpillBlock block{
        .lane = lane.lane.id, .from = lane.spilled, .to = end, .ticks = ticks_, .clock = clock_.line()};
    std::error_code error;
    const bool has_room = spill_->has_room(size + external_bytes_.load(std::memory_order_relaxed));
    if (has_room) {
      error = spill_->append(block,
                             {front_->slot(use.slot) + sizeof(SlotHeader) + (lane.spilled - use.base), size});
    }
    can_spill_.store(has_room && !error, std::memory_order_relaxed);
    if (error) {
      retry_disk_ = std::chrono::steady_clock::now() + kRetryDisk;
      const std::lock_guard lock(slots_mutex_);
      const bool first = disk_problem_.empty();
      disk_problem_ = fmt::format("the journal on disk cannot be written, {}: {}",
                                  disk_folder_->path().string(), error.message());
      if (first) say_on_stderr(disk_problem_);
      room_.notify_all();
    } else if (has_room) {
      lane.spilled = end;
      lane.blocks.push_back(block);
      free_slots(lane, lane.spilled);
      const std::lock_guard lock(slots_mutex_);
      disk_problem_.clear();
    }
    if (error || !has_room) return false;
  }
  return true;
}

void LiveJournal::provide_spare_slots() {
  while (true) {
    std::uint32_t slot = 0;
    {
      const std::lock_guard lock(slots_mutex_);
      if (free_slots_.size() >= spare_slots_ || empty_slots_.empty()) return;
      slot = empty_slots_.back();
      empty_slots_.pop_back();
    }
    const int error = front_->reserve(slot);  // without the lock: it takes a while
    const std::lock_guard lock(slots_mutex_);
    no_more_memory_ = error != 0;
    if (no_more_memory_) {
      empty_slots_.push_back(slot);
      return;
    }
    free_slots_.insert(free_slots_.begin(), slot);  // those that were used last stay the next
    room_.notify_one();
  }
}

// What was not needed for a while is more than is needed.
void LiveJournal::give_back_idle_slots() {
  const auto now = std::chrono::steady_clock::now();
  std::vector<std::uint32_t> idle;
  {
    const std::lock_guard lock(slots_mutex_);
    if (now < next_shrink_) return;
    next_shrink_ = now + kShrinkInterval;
    spare_slots_ = std::max<std::size_t>(spare_slots_ / 2, 2);
    const std::size_t unneeded = std::min(least_free_, free_slots_.size());
    const std::size_t extra = unneeded > spare_slots_ ? unneeded - spare_slots_ : 0;
    idle.assign(free_slots_.begin(), free_slots_.begin() + static_cast<std::ptrdiff_t>(extra));
    free_slots_.erase(free_slots_.begin(), free_slots_.begin() + static_cast<std::ptrdiff_t>(extra));
    least_free_ = free_slots_.size();
  }
  for (const std::uint32_t slot : idle) front_->give_back(slot);
  const std::lock_guard lock(slots_mutex_);
  empty_slots_.insert(empty_slots_.end(), idle.begin(), idle.end());
}

}  // namespace codewake::internal
