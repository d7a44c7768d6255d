// The part of LiveJournal that the keeper's thread does: memory ahead of need, and the disk when it must be.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "codewake/visible.hpp"
#include "journal/fence.hpp"
#include "journal/file_io.hpp"
#include "journal/live_journal.hpp"

namespace codewake::internal {
namespace {

using namespace std::chrono_literals;

/// What has not been stored for so long goes to the disk.
constexpr auto kAge = 1s;
constexpr auto kLongestSampleInterval = 50ms;
constexpr auto kShrinkInterval = 5s;
/// A lane that has not moved for so long gives its slot back.
constexpr auto kQuiet = 5s;
/// How often it is looked whether the folder on disk is still there.
constexpr auto kLookInterval = 1s;
/// After a failure of the disk.
constexpr auto kRetryDisk = 1s;

}  // namespace

void LiveJournal::keep(Upkeep upkeep) {
  wants_room_.store(false, std::memory_order_relaxed);
  static_cast<void>(front_->reserve_least());  // without them, slots are taken one by one
  provide_spare_slots();
  retire_lanes();
  {
    const std::lock_guard lock(consume_mutex_);
    sample_clock_if_due();
    if (disk_folder_) keep_disk_folder();
    if (disk_folder_) spill_what_is_due(upkeep);
  }
  give_back_idle_slots();
}

// Often in the beginning, when little is known of how fast the counter goes.
void LiveJournal::sample_clock_if_due() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_sample_) return;
  next_sample_ = now + sample_interval_;
  sample_interval_ = std::min<std::chrono::nanoseconds>(2 * sample_interval_, kLongestSampleInterval);
  if (!clock_.add(read_clocks(ticks_))) return;
  FrontHeader& written = front_->header();
  const std::uint64_t number = written.clock_lines;
  written.clock[number % kFrontLines] = clock_.lines().last();
  std::atomic_ref(written.clock_lines).store(number + 1, std::memory_order_release);
}

// Deleting the folder of a running program takes from it what was in the spill, and nothing more: what
// lies in slots goes into a new one.
void LiveJournal::keep_disk_folder() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_look_) return;
  next_look_ = now + kLookInterval;
  if (disk_folder_->is_in_place()) return;
  const std::string path = disk_folder_->path().string();
  for (LaneState* lane : all_lanes()) {
    lane->scanner.reset();
    forget_lost_blocks(*lane);
  }
  spill_.reset();
  set_disk_folder(std::nullopt);
  try {
    make_disk_folder();
    say(fmt::format("the journal folder {} was deleted while the program ran, and is made anew", path));
  } catch (const std::exception& error) {
    can_spill_ = false;
    set_disk_folder(std::nullopt);
    spill_.reset();
    say(fmt::format("the journal folder {} was deleted while the program ran, and cannot be made anew: {}",
                    path, error.what()));
  }
}

// Half full, or all that can be had.
bool LiveJournal::is_pressed() const {
  const std::lock_guard lock(slots_mutex_);
  const std::size_t used = front_->slot_count() - free_slots_.size() - empty_slots_.size();
  return used > available_slots() / 2 || (no_more_memory_ && free_slots_.empty());
}

// Lanes that are quiet; where there is no slot left to go on to, half of them all, whatever they do: their
// threads write to the common lane then.
std::vector<LiveJournal::LaneState*> LiveJournal::lanes_to_retire() {
  const auto now = std::chrono::steady_clock::now();
  const bool can_free_others = std::any_of(lanes_.begin(), lanes_.end(), [](const auto& state) {
    return !state->slots.empty() && state->slots.front().end != 0;
  });
  const bool is_starving =
      !can_free_others && free_slots_.size() <= 1 && (no_more_memory_ || empty_slots_.size() <= 1);
  const bool is_dry = std::exchange(is_dry_, false);
  if (std::exchange(was_dry_, is_dry) && !is_dry) episode_ = next_episode();
  std::vector<LaneState*> quiet, active;
  for (const auto& state : lanes_) {
    const std::uint64_t end = state->lane.published.load(std::memory_order_relaxed);
    const bool has_moved = std::exchange(state->seen, end) != end;
    if (has_moved) state->quiet_since = now;
    if (state->lane.id == kCommonLane || state->slots.empty() || state->slots.back().end != 0) continue;
    const bool is_stored = state->stored.load(std::memory_order_relaxed) == end;
    if (is_starving ? !has_moved : is_stored && now - state->quiet_since >= kQuiet) {
      quiet.push_back(state.get());
    } else if (is_starving) {
      active.push_back(state.get());
    }
  }
  if (is_starving && quiet.empty()) {
    active.resize((active.size() + 1) / 2);
    return active;
  }
  return quiet;
}

// Takes slots back from lanes. A writer marks its lane as busy and then looks whether it has room; here it is
// done the other way round, with a fence for both between: either the writer is seen, or it sees.
void LiveJournal::retire_lanes() {
  std::vector<LaneState*> lanes;
  {
    const std::lock_guard lock(slots_mutex_);
    lanes = lanes_to_retire();
    for (LaneState* state : lanes) {
      state->retiring_end = state->lane.writer.end.exchange(nullptr, std::memory_order_relaxed);
    }
  }
  if (lanes.empty()) return;
  fence_others();
  const std::lock_guard lock(slots_mutex_);
  for (LaneState* state : lanes) {
    char* const end = std::exchange(state->retiring_end, nullptr);
    if (end == nullptr) continue;  // its writer has come for it
    if (state->lane.busy.load(std::memory_order_acquire)) {
      state->lane.writer.end.store(end, std::memory_order_relaxed);
    } else {
      end_slot(*state);
    }
  }
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

// A block has one line for all of its ticks, and lies in one file: how many of these bytes it can have.
LiveJournal::BlockOfRecords LiveJournal::records_of_block(std::span<const char> bytes) {
  const auto header_at = [&](std::size_t offset) {
    RecordHeader header{};
    std::memcpy(&header, bytes.data() + offset, std::min(sizeof header, bytes.size() - offset));
    return header;
  };
  const auto is_record = [](const RecordHeader& header) {
    return header.length_bytes >= sizeof header && header.length_bytes <= kMaxRecordBytes &&
           header.length_bytes % sizeof(std::uint64_t) == 0;
  };
  const RecordHeader first = header_at(0);
  const ClockLine line = clock_.use_line_of(is_record(first) ? first.time : read_ticks(ticks_));
  const bool has_last_line = line == clock_.lines().last();
  const std::size_t most_bytes = Spill::most_block_bytes();
  if (has_last_line && bytes.size() <= most_bytes) return {line.points, bytes.size()};
  // What is no record, but has been written over, goes with those before it.
  for (std::size_t offset = 0; offset < bytes.size();) {
    const RecordHeader header = header_at(offset);
    if (!is_record(header) || header.length_bytes > bytes.size() - offset) break;
    const bool is_beyond =
        offset + header.length_bytes > most_bytes || clock_.lines().line_of(header.time) != line;
    if (offset != 0 && is_beyond) return {line.points, offset};
    offset += header.length_bytes;
  }
  return {line.points, bytes.size()};
}

// Copies what lies in slots, from where the spill or the store ends. False where the disk has no more room.
bool LiveJournal::spill_lane(LaneState& lane, std::uint64_t until) {
  lane.spilled = std::max(lane.spilled, lane.stored.load(std::memory_order_relaxed));
  std::deque<SlotUse> slots;
  {
    const std::lock_guard lock(slots_mutex_);
    slots = lane.slots;
  }
  for (auto use = slots.begin(); use != slots.end();) {
    std::uint64_t end = std::min(until, use->end == 0 ? until : use->end);
    if (end <= lane.spilled || lane.spilled < use->base) {
      ++use;
      continue;
    }
    const char* const bytes = front_->slot(use->slot) + sizeof(SlotHeader) + (lane.spilled - use->base);
    const BlockOfRecords records = records_of_block({bytes, static_cast<std::size_t>(end - lane.spilled)});
    end = lane.spilled + records.size_bytes;
    SpillBlock block{
        .lane = lane.lane.id, .from = lane.spilled, .to = end, .ticks = ticks_, .clock = records.points};
    std::error_code error;
    const bool has_room =
        spill_->has_room(records.size_bytes + external_bytes_.load(std::memory_order_relaxed));
    lane.blocks.emplace_back();  // first: what is on disk must be known here
    try {
      if (has_room) error = spill_->append(block, {bytes, records.size_bytes});
    } catch (...) {
      lane.blocks.pop_back();
      throw;
    }
    if (has_room && !error) {
      lane.blocks.back() = block;
    } else {
      lane.blocks.pop_back();
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
    room_.notify_all();
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
  // Those that nothing can keep from being had are the next.
  std::sort(empty_slots_.begin(), empty_slots_.end(), std::greater<>());
}

}  // namespace codewake::internal
