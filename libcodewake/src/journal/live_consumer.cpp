// The part of LiveJournal that reads what was written, and lets go of what is stored.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/crc32c.hpp"
#include "base/scarce_memory.hpp"
#include "journal/file_io.hpp"
#include "journal/live_journal.hpp"
#include "journal/merge.hpp"

namespace codewake::internal {
namespace {

bool is_length(std::size_t length, std::size_t room) noexcept {
  return length >= sizeof(RecordHeader) && length <= std::min(kMaxRecordBytes, room) &&
         length % sizeof(std::uint64_t) == 0;
}

}  // namespace

void LiveJournal::collect(const std::function<bool(const TakenRecord&)>& take) {
  const std::lock_guard lock(consume_mutex_);
  // What is written from here on may come before what was not seen of another lane: it is for the next time.
  // A wall clock as counter may go backwards, and says nothing about that.
  const std::uint64_t until = ticks_ == TickSource::counter ? read_ticks(ticks_) : UINT64_MAX;
  sample_clock_if_due();
  const std::vector<LaneState*> lanes = all_lanes();
  merge_by_time(
      lanes, [&](LaneState* lane, TakenRecord& record) { return peek(*lane, until, record); },
      [&](LaneState* lane, TakenRecord& record) {
        record.time = time_of(*lane, record);
        if (!take(record)) return false;
        pop(*lane, record);
        return true;
      });
}

bool LiveJournal::peek(LaneState& lane, std::uint64_t until_ticks, TakenRecord& record) {
  while (true) {
    if (lane.scanner) {
      if (const auto found = lane.scanner->peek()) {
        static_cast<Record&>(record) = *found;
        return true;
      }
      lane.taken = std::max(lane.scanner->position(), lane.scanned.to);
      lane.scanner.reset();
    }
    if (lane.reading == nullptr && !open_place(lane)) return false;
    if (lane.scanner) continue;
    auto& first = *reinterpret_cast<std::uint64_t*>(const_cast<char*>(lane.reading));
    const std::uint64_t word = std::atomic_ref(first).load(std::memory_order_acquire);
    const auto length = static_cast<std::uint32_t>(word);
    if (length == 0) return false;
    if (length == kEndOfSlot) {
      lane.taken += kEndOfSlotBytes;
      lane.reading = nullptr;
      continue;
    }
    if (!is_length(length, static_cast<std::size_t>(lane.slot_end - lane.reading))) {
      if (!open_overwritten(lane)) return false;
      continue;
    }
    std::memcpy(&record.header, lane.reading, sizeof record.header);
    if (record.header.time > until_ticks) return false;
    record.payload = {lane.reading + sizeof record.header, length - sizeof record.header};
    record.lane = lane.lane.id;
    record.position = lane.taken;
    record.next_position = lane.taken + length;
    return true;
  }
}

// Finds where `taken` lies: in a slot, or else in a block.
bool LiveJournal::open_place(LaneState& lane) {
  {
    const std::lock_guard lock(slots_mutex_);
    for (const SlotUse& use : lane.slots) {
      if (use.base > lane.taken) break;
      if (use.end != 0 && use.end <= lane.taken) continue;
      lane.reading = front_->slot(use.slot) + sizeof(SlotHeader) + (lane.taken - use.base);
      lane.slot_end = front_->slot(use.slot) + kSlotBytes;
      return true;
    }
  }
  return open_block(lane);
}

bool LiveJournal::open_block(LaneState& lane) {
  const auto block = std::find_if(lane.blocks.begin(), lane.blocks.end(),
                                  [&](const SpillBlock& b) { return b.to > lane.taken; });
  if (block == lane.blocks.end()) return false;
  const std::error_code error = spill_->read(*block, lane.block_words);
  if (error == std::errc::no_such_file_or_directory) {
    say(fmt::format("a file of the journal in {} was deleted while the program ran",
                    disk_folder_ ? disk_folder_->path().string() : options_.folder.string()));
    forget_lost_blocks(lane);
    return open_place(lane);
  }
  if (error) {
    const std::lock_guard lock(slots_mutex_);
    disk_problem_ = fmt::format("the journal cannot be read: {}", error.message());
    return false;  // it may be read later; until then the lane waits
  }
  lane.scanned = *block;
  const auto* bytes = reinterpret_cast<const char*>(lane.block_words.data());
  lane.scanner.emplace(std::span(bytes, lane.block_words.size() * sizeof(std::uint64_t)), lane.lane.id,
                       block->from);
  lane.scanner->seek(std::max(lane.taken, block->from));
  return true;
}

void LiveJournal::count_lost(std::uint64_t records) noexcept {
  lost_.fetch_add(records, std::memory_order_relaxed);
  std::atomic_ref(front_->header().lost_error).fetch_add(records, std::memory_order_relaxed);
}

// With consume_mutex_ held: the records went with the deleted files, but for those that slots have.
void LiveJournal::forget_lost_blocks(LaneState& lane) {
  std::uint64_t left_from = lane.lane.published.load(std::memory_order_acquire);
  auto left_sequence = static_cast<std::uint32_t>(lane.lane.sequence.load(std::memory_order_relaxed));
  {
    const std::lock_guard lock(slots_mutex_);
    if (!lane.slots.empty()) {
      const SlotUse& first = lane.slots.front();
      RecordHeader header{};
      std::memcpy(&header, front_->slot(first.slot) + sizeof(SlotHeader), sizeof header);
      left_from = first.base;
      left_sequence = header.sequence;
    }
  }
  for (const SpillBlock& block : lane.blocks) spill_->release(block);
  lane.blocks.clear();
  lane.spilled = std::max(lane.stored.load(std::memory_order_relaxed), left_from);
  if (lane.taken >= left_from) return;
  count_lost(left_sequence - lane.taken_sequence);
  lane.taken = left_from;
  lane.taken_sequence = left_sequence;
  lane.reading = nullptr;
}

// The program has written over the journal's memory, as programs with bugs do. What is whole behind that
// place is found by its checksum.
bool LiveJournal::open_overwritten(LaneState& lane) {
  std::uint64_t end = lane.lane.published.load(std::memory_order_acquire);
  if (lane.taken >= end) return false;  // nothing has been written there: the next record makes it good
  {
    const std::lock_guard lock(slots_mutex_);
    for (const SlotUse& use : lane.slots) {
      if (use.base <= lane.taken && use.end > lane.taken) end = use.end;
    }
  }
  if (!std::exchange(is_overwritten_, true)) {
    say("the program has written over the memory of the journal; events may be lost");
  }
  const auto in_slot = static_cast<std::uint64_t>(lane.slot_end - lane.reading);
  const auto size = static_cast<std::size_t>(std::min(end - lane.taken, in_slot));
  lane.block_words.resize(size / sizeof(std::uint64_t));
  std::memcpy(lane.block_words.data(), lane.reading, size);
  lane.scanned = {.lane = lane.lane.id,
                  .from = lane.taken,
                  .to = lane.taken + size,
                  .ticks = ticks_,
                  .clock = clock_.use_line_of(read_ticks(ticks_)).points};
  lane.scanner.emplace(std::span(reinterpret_cast<const char*>(lane.block_words.data()), size), lane.lane.id,
                       lane.taken);
  lane.reading = nullptr;
  return true;
}

void LiveJournal::pop(LaneState& lane, const TakenRecord& record) {
  lane.taken = record.next_position;
  lane.taken_sequence = record.header.sequence + 1;
  if (lane.scanner) {
    lane.scanner->pop();
  } else {
    lane.reading += record.header.length_bytes;
  }
}

Time LiveJournal::time_of(const LaneState& lane, const TakenRecord& record) {
  if (!lane.scanner || ticks_ == TickSource::realtime) return clock_.to_time(record.header.time);
  return time_on(lane.scanned.clock, record.header.time);
}

std::error_code LiveJournal::read_external(const TakenRecord& record, std::string& content) const {
  ExternalPayload payload{};
  if (record.payload.size() < sizeof payload) return std::make_error_code(std::errc::bad_message);
  std::memcpy(&payload, record.payload.data(), sizeof payload);
  const auto folder = externals_folder();
  if (folder == nullptr) {
    const std::lock_guard lock(slots_mutex_);
    content = externals_in_memory_.at({record.lane, record.position});
    return {};
  }
  return read_external_file(*folder, record.lane, record.position, payload, content);
}

void LiveJournal::settle() {
  const std::lock_guard lock(consume_mutex_);
  for (LaneState* lane : all_lanes()) {
    if (lane->stored.load(std::memory_order_relaxed) == lane->taken) continue;
    front_->set_stored(lane->lane.id, lane->taken);
    lane->stored.store(lane->taken, std::memory_order_release);
    release_stored(*lane);
  }
}

void LiveJournal::release_stored(LaneState& lane) {
  while (!lane.blocks.empty() && lane.blocks.front().to <= lane.taken) {
    spill_->release(lane.blocks.front());
    lane.blocks.pop_front();
    if (disk_folder_) can_spill_.store(true, std::memory_order_relaxed);
  }
  free_slots(lane, lane.taken);
  while (true) {
    External stored;
    {
      const std::lock_guard lock(slots_mutex_);
      if (lane.externals.empty() || lane.externals.front().position >= lane.taken) return;
      stored = lane.externals.front();
      lane.externals.pop_front();
    }
    forget_external(lane.lane.id, stored);
  }
}

void LiveJournal::free_slots(LaneState& lane, std::uint64_t until) {
  const std::lock_guard lock(slots_mutex_);
  while (!lane.slots.empty() && lane.slots.front().end != 0 && lane.slots.front().end <= until) {
    const SlotUse use = lane.slots.front();
    if (use.end > lane.taken) lane.reading = nullptr;  // what comes next is read from the block that has it
    front_->free_slot(use.slot);
    free_slots_.push_back(use.slot);
    lane.slots.pop_front();
    room_.notify_all();
  }
}

void LiveJournal::forget_external(std::uint32_t lane, const External& external) noexcept {
  const auto folder = externals_folder();
  // What stays goes with the folder.
  if (folder != nullptr) {
    if_there_is_memory(
        [&] { static_cast<void>(folder->remove_file(external_file(lane, external.position))); });
  }
  const std::lock_guard lock(slots_mutex_);
  if (folder == nullptr) externals_in_memory_.erase({lane, external.position});
  external_bytes_.fetch_sub(external.size_bytes, std::memory_order_relaxed);
  room_.notify_all();
}

}  // namespace codewake::internal
