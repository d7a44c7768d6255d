// The part of LiveJournal that threads which log come to, once in some thousand events.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <new>

#include "base/crc32c.hpp"
#include "journal/event_codec.hpp"
#include "journal/file_io.hpp"
#include "journal/live_journal.hpp"
#include "journal/trace_codec.hpp"

namespace codewake::internal {
namespace {

constexpr std::size_t kMaxSpareSlots = 32;
/// Of a journal without a disk, what lies outside of its slots.
constexpr std::uint64_t kMaxExternalMemoryBytes = 64u << 20;

/// What a thread has waited for room, and in which episode, of whichever journal.
struct Patience {
  std::uint64_t episode = 0;
  std::chrono::nanoseconds waited{0};
};

}  // namespace

Lane* LiveJournal::acquire_lane() {
  const std::lock_guard lock(slots_mutex_);
  if (!idle_lanes_.empty()) {
    LaneState* const lane = idle_lanes_.back();
    idle_lanes_.pop_back();
    return &lane->lane;
  }
  // Were there as many lanes as slots, no lane could go on to another. Where memory is short, threads share.
  if (lanes_.size() > std::min(available_slots(), slots_at_start_) / 2) return nullptr;
  idle_lanes_.reserve(lanes_.size() + 1);  // giving a lane back asks for no memory
  lanes_.push_back(std::make_unique<LaneState>(static_cast<std::uint32_t>(lanes_.size())));
  return &lanes_.back()->lane;
}

void LiveJournal::release_lane(Lane& lane) noexcept {
  const std::lock_guard lock(slots_mutex_);
  idle_lanes_.push_back(lanes_[lane.id].get());
}

// With slots_mutex_ held.
LiveJournal::LaneState& LiveJournal::state_of(const Lane& lane) const noexcept {
  return *lanes_[lane.id];
}

// With slots_mutex_ held: what there is of slots, as far as is known.
std::size_t LiveJournal::available_slots() const noexcept {
  return front_->slot_count() - (no_more_memory_ ? empty_slots_.size() : 0);
}

// With slots_mutex_ held: memory is taken from the system here only where the keeper was too slow. The last
// slot is for the lane that all can write to.
std::optional<std::uint32_t> LiveJournal::provide_slot(const LaneState& lane) {
  const std::size_t left = lane.lane.id == kCommonLane ? 0 : 1;
  if (free_slots_.size() > left) {
    const std::uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    least_free_ = std::min(least_free_, free_slots_.size());
    return slot;
  }
  spare_slots_ = std::min(2 * spare_slots_, kMaxSpareSlots);
  if (empty_slots_.size() <= left) return std::nullopt;
  const std::uint32_t slot = empty_slots_.back();
  no_more_memory_ = front_->reserve(slot) != 0;
  if (no_more_memory_) return std::nullopt;
  empty_slots_.pop_back();
  return slot;
}

// With slots_mutex_ held. What is in the slot may go to the disk, or is stored already, and then the slot is
// free.
void LiveJournal::end_slot(LaneState& state) noexcept {
  Lane& lane = state.lane;
  if (lane.writer.at.load(std::memory_order_relaxed) == nullptr) return;
  append_end_of_slot(lane);
  state.slots.back().end = lane.published.load(std::memory_order_relaxed);
  lane.writer.at.store(nullptr, std::memory_order_relaxed);
  lane.writer.end.store(nullptr, std::memory_order_relaxed);
}

Accepted LiveJournal::make_room(Lane& lane, std::size_t size_bytes) {
  const auto has_room = [&] { return lane.room() >= static_cast<std::ptrdiff_t>(size_bytes); };
  if (has_room()) return Accepted::yes;
  const std::lock_guard lock(slots_mutex_);
  LaneState& state = state_of(lane);
  // The keeper is about to take the slot back, and sees that the lane is busy.
  if (char* const end = std::exchange(state.retiring_end, nullptr); end != nullptr)
    lane.writer.end.store(end, std::memory_order_relaxed);
  if (has_room()) return Accepted::yes;
  end_slot(state);
  const auto slot = provide_slot(state);
  if (free_slots_.size() < spare_slots_ / 2 + 1) wants_room_.store(true, std::memory_order_relaxed);
  if (!slot) return closed_ ? Accepted::closed : Accepted::full;
  const std::uint64_t base = lane.published.load(std::memory_order_relaxed);
  front_->begin_slot(*slot, lane.id, base);
  state.slots.push_back({.slot = *slot, .base = base});
  state.quiet_since = std::chrono::steady_clock::now();
  char* const first = front_->slot(*slot) + sizeof(SlotHeader);
  lane.writer.position_offset = base - reinterpret_cast<std::uintptr_t>(first);
  lane.writer.at.store(first, std::memory_order_relaxed);
  lane.writer.end.store(front_->slot(*slot) + kSlotBytes - kEndOfSlotBytes, std::memory_order_relaxed);
  slots_taken_.fetch_add(1, std::memory_order_relaxed);
  if (lane.id == kCommonLane) room_.notify_all();
  return Accepted::yes;
}

// `append_to` fails where the keeper has taken the room away since it was found: the keeper sees that the
// lane is busy, and the writer takes it back. It takes a round of the keeper each time.
template <class Append>
Accepted LiveJournal::append_in_room(Lane& lane, std::size_t size_bytes, Append append_to) {
  constexpr int kMostTries = 100;
  for (int tries = 0; tries < kMostTries; ++tries) {
    if (const Accepted room = make_room(lane, size_bytes); room != Accepted::yes) return room;
    if (append_to()) return Accepted::yes;
  }
  return Accepted::failed;
}

template <class Event>
Accepted LiveJournal::append(Lane& lane, const Event& event, RecordContext context, std::uint64_t& position) {
  const std::size_t size = encoded_size(event);
  if (size > kMaxPayloadBytes) return Accepted::too_large;
  if (size > kMaxRecordBytes - sizeof(RecordHeader) - kEncodingSlack)
    return append_external(lane, event, size, context, position);
  return append_in_room(lane, sizeof(RecordHeader) + size + kEncodingSlack + sizeof(std::uint64_t), [&] {
    position = lane.position();
    return append_event(lane, event, context);
  });
}

template <class Event>
Accepted LiveJournal::append_external(Lane& lane, const Event& event, std::size_t size_bytes,
                                      RecordContext context, std::uint64_t& position) {
  const Accepted room = make_room(lane, sizeof(RecordHeader) + sizeof(ExternalPayload));
  if (room != Accepted::yes) return room;
  position = lane.position();
  try {
    std::string content(size_bytes + kEncodingSlack, '\0');
    if (encode_event(event, content.data(), content.data() + content.size()) == nullptr)
      return Accepted::too_large;
    content.resize(size_bytes);
    const ExternalPayload payload{
        .size_bytes = size_bytes, .crc = crc32c(content.data(), content.size()), .unused = 0};
    const Accepted kept = keep_external(std::move(content), lane.id, position);
    if (kept != Accepted::yes) return kept;
    context.flags |= kExternal;
    return append_in_room(lane, sizeof(RecordHeader) + sizeof payload, [&] {
      return append_bytes(lane, kRecordKind<Event>, &payload, sizeof payload, context);
    });
  } catch (const std::bad_alloc&) {
    return Accepted::failed;
  }
}

std::uint64_t LiveJournal::external_limit() const noexcept {
  return externals_folder() == nullptr ? kMaxExternalMemoryBytes : options_.limit_bytes;
}

Accepted LiveJournal::reserve_external(std::uint64_t size_bytes) {
  const std::uint64_t limit = external_limit();
  if (size_bytes > limit) return Accepted::too_large;
  const std::lock_guard lock(slots_mutex_);
  if (external_bytes_.load(std::memory_order_relaxed) > limit - size_bytes)
    return closed_ ? Accepted::closed : Accepted::full;
  external_bytes_.fetch_add(size_bytes, std::memory_order_relaxed);
  return Accepted::yes;
}

Accepted LiveJournal::keep_external(std::string content, std::uint32_t lane, std::uint64_t position) {
  const auto folder = externals_folder();
  const std::uint64_t size = content.size();
  if (const Accepted room = reserve_external(size); room != Accepted::yes) return room;
  std::error_code error;
  if (folder != nullptr) error = folder->write_new_file(external_file(lane, position), content, false);
  const std::lock_guard lock(slots_mutex_);
  if (error) {
    external_bytes_.fetch_sub(size, std::memory_order_relaxed);
    disk_problem_ =
        fmt::format("a large event could not be written to {}: {}", folder->path().string(), error.message());
    return Accepted::failed;
  }
  if (folder == nullptr) externals_in_memory_.emplace(std::pair(lane, position), std::move(content));
  lanes_[lane]->externals.push_back({.position = position, .size_bytes = size});
  return Accepted::yes;
}

// With common_mutex_ held. As for every lane: closing the journal waits for what is being written.
template <class Append>
Accepted LiveJournal::append_when_open(Append append_to) {
  Lane& lane = common_->lane;
  lane.busy.store(true, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const Accepted accepted = is_closed() ? Accepted::closed : append_to(lane);
  lane.busy.store(false, std::memory_order_release);
  return accepted;
}

// Waits with no lock held, so that neither fork() nor another writer waits for it.
template <class Append>
Accepted LiveJournal::append_waiting(std::uint64_t external_bytes, Append append_to) {
  while (true) {
    {
      const std::lock_guard lock(common_mutex_);
      const Accepted accepted = append_when_open(append_to);
      if (accepted != Accepted::full) return accepted;
    }
    if (!wait_for_room(external_bytes)) return Accepted::full;
  }
}

// With slots_mutex_ held.
bool LiveJournal::has_external_room(std::uint64_t size_bytes) const noexcept {
  return size_bytes == 0 || external_bytes_.load(std::memory_order_relaxed) <= external_limit() - size_bytes;
}

// With slots_mutex_ held: whether another try may succeed.
bool LiveJournal::may_have_room(std::uint64_t external_bytes) const noexcept {
  const bool has_slot = !free_slots_.empty() || (!empty_slots_.empty() && !no_more_memory_) ||
                        common_->lane.room() >= static_cast<std::ptrdiff_t>(kMaxRecordBytes);
  return has_slot && has_external_room(external_bytes);
}

// True where it is worth another try. In an episode without room a thread has kPatience: what it waits for
// then is a disk that is too slow for the program.
bool LiveJournal::wait_for_room(std::uint64_t external_bytes) {
  std::unique_lock lock(slots_mutex_);
  is_dry_ = true;
  if (closed_) return true;  // which the next try says
  // The keeper moves slots to the disk as fast as it can, where it can; large events wait for the store,
  // which may be away for days.
  const bool is_hopeless = !can_spill_.load(std::memory_order_relaxed) || !has_external_room(external_bytes);
  if (is_hopeless && !options_.block_when_full) return false;
  wants_room_.store(true, std::memory_order_relaxed);
  options_.on_pressure();
  const auto is_worth_it = [&] { return closed_ || may_have_room(external_bytes); };
  if (options_.block_when_full) {
    room_.wait(lock, is_worth_it);
    return true;
  }
  thread_local Patience patience;
  if (patience.episode != episode_) patience = {.episode = episode_};
  if (patience.waited >= kPatience) return false;
  const auto begin = std::chrono::steady_clock::now();
  const bool has_room = room_.wait_until(lock, begin + (kPatience - patience.waited), is_worth_it);
  patience.waited += std::chrono::steady_clock::now() - begin;
  return has_room;
}

template <class Event>
Accepted LiveJournal::append_common(const Event& event, RecordContext context, std::uint64_t& position) {
  const std::size_t size = encoded_size(event);
  const bool is_external = size > kMaxRecordBytes - sizeof(RecordHeader) - kEncodingSlack;
  return append_waiting(is_external ? size : 0,
                        [&](Lane& lane) { return append(lane, event, context, position); });
}

Accepted LiveJournal::append_process(const ProcessInfo& info, std::uint16_t number) {
  const std::string payload = encode_process(info);
  if (payload.size() > kMaxRecordBytes - sizeof(RecordHeader)) return Accepted::too_large;
  return append_waiting(0, [&](Lane& lane) {
    const Accepted room = make_room(lane, sizeof(RecordHeader) + payload.size() + sizeof(std::uint64_t));
    if (room != Accepted::yes) return room;
    process_records_.fetch_add(1, std::memory_order_relaxed);
    const RecordContext context{.ticks = ticks_, .process = number};
    return append_bytes(lane, RecordKind::process, payload.data(), payload.size(), context)
               ? Accepted::yes
               : Accepted::failed;
  });
}

template Accepted LiveJournal::append(Lane&, const EventInput&, RecordContext, std::uint64_t&);
template Accepted LiveJournal::append(Lane&, const TraceEventInput&, RecordContext, std::uint64_t&);
template Accepted LiveJournal::append_common(const EventInput&, RecordContext, std::uint64_t&);
template Accepted LiveJournal::append_common(const TraceEventInput&, RecordContext, std::uint64_t&);

}  // namespace codewake::internal
