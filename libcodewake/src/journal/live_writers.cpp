// The part of LiveJournal that threads which log come to, once in some thousand events.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

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

}  // namespace

Lane* LiveJournal::acquire_lane() {
  const std::lock_guard lock(slots_mutex_);
  if (!idle_lanes_.empty()) {
    LaneState* const lane = idle_lanes_.back();
    idle_lanes_.pop_back();
    return &lane->lane;
  }
  // A lane keeps its slot for good. Were there as many as slots, no lane could go on to another.
  if (lanes_.size() > front_->slot_count() / 2 || (no_more_memory_ && free_slots_.empty())) return nullptr;
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

// With slots_mutex_ held: memory is taken from the system here only where the keeper was too slow.
std::optional<std::uint32_t> LiveJournal::provide_slot() {
  if (!free_slots_.empty()) {
    const std::uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    least_free_ = std::min(least_free_, free_slots_.size());
    return slot;
  }
  spare_slots_ = std::min(2 * spare_slots_, kMaxSpareSlots);
  if (empty_slots_.empty()) return std::nullopt;
  const std::uint32_t slot = empty_slots_.back();
  no_more_memory_ = front_->reserve(slot) != 0;
  if (no_more_memory_) return std::nullopt;
  empty_slots_.pop_back();
  return slot;
}

std::optional<std::uint32_t> LiveJournal::take_slot(std::unique_lock<std::mutex>& lock) {
  auto slot = provide_slot();
  if (!slot) wants_room_.store(true, std::memory_order_relaxed);
  if (slot || closed_) return slot;
  options_.on_pressure();
  if (options_.block_when_full) {
    while (!slot && !closed_) {
      room_.wait(lock);
      slot = provide_slot();
    }
    return slot;
  }
  // The keeper moves slots to the disk as fast as it can; but who has waited in vain does not wait again.
  if (!can_spill_.load(std::memory_order_relaxed) || patience_lost_) return std::nullopt;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!slot && !closed_ && room_.wait_until(lock, deadline) == std::cv_status::no_timeout) {
    slot = provide_slot();
  }
  patience_lost_ = !slot;
  return slot;
}

Accepted LiveJournal::make_room(Lane& lane, std::size_t size_bytes) {
  if (lane.writer.at != nullptr && static_cast<std::size_t>(lane.writer.end - lane.writer.at) >= size_bytes) {
    return Accepted::yes;
  }
  std::unique_lock lock(slots_mutex_);
  const auto slot = take_slot(lock);
  if (!slot) return closed_ ? Accepted::closed : Accepted::full;
  LaneState& state = state_of(lane);
  std::uint64_t base = lane.published.load(std::memory_order_relaxed);
  if (lane.writer.at != nullptr) {
    append_end_of_slot(lane);
    base += kEndOfSlotBytes;
    state.slots.back().end = base;
  }
  front_->begin_slot(*slot, lane.id, base);
  state.slots.push_back({.slot = *slot, .base = base});
  char* const first = front_->slot(*slot) + sizeof(SlotHeader);
  lane.writer = {.at = first,
                 .end = front_->slot(*slot) + kSlotBytes - kEndOfSlotBytes,
                 .position_offset = base - reinterpret_cast<std::uintptr_t>(first)};
  if (free_slots_.size() < spare_slots_ / 2 + 1) wants_room_.store(true, std::memory_order_relaxed);
  return Accepted::yes;
}

template <class Event>
Accepted LiveJournal::append(Lane& lane, const Event& event, RecordContext context, std::uint64_t& position) {
  const std::size_t size = encoded_size(event);
  if (size > kMaxPayloadBytes) return Accepted::too_large;
  if (size > kMaxRecordBytes - sizeof(RecordHeader) - kEncodingSlack)
    return append_external(lane, event, size, context, position);
  const Accepted room = make_room(lane, sizeof(RecordHeader) + size + kEncodingSlack + sizeof(std::uint64_t));
  if (room != Accepted::yes) return room;
  position = lane.position();
  return append_event(lane, event, context) ? Accepted::yes : Accepted::failed;
}

template <class Event>
Accepted LiveJournal::append_external(Lane& lane, const Event& event, std::size_t size_bytes,
                                      RecordContext context, std::uint64_t& position) {
  const Accepted room = make_room(lane, sizeof(RecordHeader) + sizeof(ExternalPayload));
  if (room != Accepted::yes) return room;
  position = lane.position();
  std::string content(size_bytes + kEncodingSlack, '\0');
  if (encode_event(event, content.data(), content.data() + content.size()) == nullptr)
    return Accepted::too_large;
  content.resize(size_bytes);
  const ExternalPayload payload{
      .size_bytes = size_bytes, .crc = crc32c(content.data(), content.size()), .unused = 0};
  const Accepted kept = keep_external(std::move(content), lane.id, position);
  if (kept != Accepted::yes) return kept;
  context.flags |= kExternal;
  return append_bytes(lane, kRecordKind<Event>, &payload, sizeof payload, context) ? Accepted::yes
                                                                                   : Accepted::failed;
}

Accepted LiveJournal::reserve_external(std::uint64_t size_bytes, std::uint64_t limit_bytes) {
  if (size_bytes > limit_bytes) return Accepted::too_large;
  std::unique_lock lock(slots_mutex_);
  while (external_bytes_.load(std::memory_order_relaxed) > limit_bytes - size_bytes) {
    if (closed_) return Accepted::closed;
    if (!options_.block_when_full) return Accepted::full;
    external_room_.wait(lock);
  }
  external_bytes_.fetch_add(size_bytes, std::memory_order_relaxed);
  return Accepted::yes;
}

Accepted LiveJournal::keep_external(std::string content, std::uint32_t lane, std::uint64_t position) {
  const auto folder = externals_folder();
  const std::uint64_t size = content.size();
  const Accepted room =
      reserve_external(size, folder == nullptr ? kMaxExternalMemoryBytes : options_.limit_bytes);
  if (room != Accepted::yes) return room;
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

template <class Event>
Accepted LiveJournal::append_common(const Event& event, RecordContext context, std::uint64_t& position) {
  const std::lock_guard lock(common_mutex_);
  Lane& lane = lanes_.front()->lane;
  // As for every lane: whoever closes the journal waits for what is being written.
  lane.busy.store(true, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const Accepted accepted = is_closed() ? Accepted::closed : append(lane, event, context, position);
  lane.busy.store(false, std::memory_order_release);
  return accepted;
}

Accepted LiveJournal::append_process(const ProcessInfo& info, std::uint16_t number) {
  const std::string payload = encode_process(info);
  const std::lock_guard lock(common_mutex_);
  Lane& lane = lanes_.front()->lane;
  if (payload.size() > kMaxRecordBytes - sizeof(RecordHeader)) return Accepted::too_large;
  const Accepted room = make_room(lane, sizeof(RecordHeader) + payload.size() + sizeof(std::uint64_t));
  if (room != Accepted::yes) return room;
  process_records_.fetch_add(1, std::memory_order_relaxed);
  const RecordContext context{.ticks = ticks_, .process = number};
  return append_bytes(lane, RecordKind::process, payload.data(), payload.size(), context) ? Accepted::yes
                                                                                          : Accepted::failed;
}

template Accepted LiveJournal::append(Lane&, const EventInput&, RecordContext, std::uint64_t&);
template Accepted LiveJournal::append(Lane&, const TraceEventInput&, RecordContext, std::uint64_t&);
template Accepted LiveJournal::append_common(const EventInput&, RecordContext, std::uint64_t&);
template Accepted LiveJournal::append_common(const TraceEventInput&, RecordContext, std::uint64_t&);

}  // namespace codewake::internal
