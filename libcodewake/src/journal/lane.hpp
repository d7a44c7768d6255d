// A lane: the stream of records that one thread writes, without a lock, a system call or an allocation.
//
// Invariants:
//  - Only the thread that holds a lane touches `writer`, but for a keeper that takes the slot of a quiet lane
//    back: it takes the lane's room away first, and the slot only where nobody is `busy` then. `published`,
//    `sequence` and `busy` are read by others.
//  - A record becomes visible by the one store of its first word, which comes last; the word behind it is 0
//    by then. So whoever reads the lane, in this process or after its death, sees whole records or none.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/tick_clock.hpp"
#include "codewake/event.hpp"
#include "codewake/trace_event.hpp"
#include "journal/format.hpp"

namespace codewake::internal {

/// Two cache lines: what some processors fetch at a time.
inline constexpr std::size_t kNoSharing = 128;

struct alignas(kNoSharing) Lane {
  explicit Lane(std::uint32_t number) noexcept : id(number) {}

  /// Where the next record goes, and the end of the room for it, with that for an end mark left out. An end
  /// before `at` is no room.
  struct Writer {
    std::atomic<char*> at{nullptr};
    std::atomic<char*> end{nullptr};
    /// Added to `at` it gives the position in the lane.
    std::uint64_t position_offset = 0;
  } writer;
  std::atomic<std::uint64_t> published{0};  ///< position behind the last record
  std::atomic<std::uint64_t> sequence{0};   ///< records so far
  std::atomic<bool> busy{false};            ///< a record is being written
  /// Away from what the thread writes with each record: whoever reads records looks at it for each.
  alignas(kNoSharing) const std::uint32_t id;

  std::uint64_t position() const noexcept {
    return reinterpret_cast<std::uintptr_t>(writer.at.load(std::memory_order_relaxed)) +
           writer.position_offset;
  }

  /// Bytes for records; negative where there is no slot.
  std::ptrdiff_t room() const noexcept {
    return reinterpret_cast<std::intptr_t>(writer.end.load(std::memory_order_relaxed)) -
           reinterpret_cast<std::intptr_t>(writer.at.load(std::memory_order_relaxed));
  }
};

/// What is written with every record, besides the event.
struct RecordContext {
  TickSource ticks = TickSource::realtime;
  std::uint16_t process = 0;
  std::uint8_t flags = 0;
};

/// As what an event is recorded.
template <class Event>
inline constexpr RecordKind kRecordKind = RecordKind::event;
template <>
inline constexpr RecordKind kRecordKind<TraceEventInput> = RecordKind::trace_event;

/// Writes the event as the lane's next record; false where the slot has no room for it, or it is too large
/// for any: nothing has been written then. Signal safe but for a signal that interrupts it on the same
/// thread.
bool append_event(Lane& lane, const EventInput& event, RecordContext context) noexcept;
bool append_event(Lane& lane, const TraceEventInput& event, RecordContext context) noexcept;

/// The same for bytes of any kind, fewer than kMaxRecordBytes less a header.
bool append_bytes(Lane& lane, RecordKind kind, const void* payload, std::size_t size_bytes,
                  RecordContext context) noexcept;

/// Ends the slot: the lane goes on in another.
void append_end_of_slot(Lane& lane) noexcept;

/// The checksum of a record whose header is filled in but for it.
std::uint32_t record_crc(const void* record, std::size_t length_bytes, std::uint64_t place) noexcept;

}  // namespace codewake::internal
