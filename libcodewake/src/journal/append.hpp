// How a record gets into a lane. Inline: what log() does for most events is one function without a call.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/crc32c.hpp"
#include "base/tick_clock.hpp"
#include "codewake/attributes.hpp"
#include "codewake/trace_context.hpp"
#include "journal/byte_io.hpp"
#include "journal/event_codec.hpp"
#include "journal/format.hpp"
#include "journal/lane.hpp"

namespace codewake::internal {

/// Whether records may be made with HardwareCrc; false until this library is initialized.
extern const bool kHardwareCrc;

inline constexpr std::size_t kWord = 8;
inline constexpr std::size_t kCacheLine = 64;

constexpr std::size_t round_up(std::size_t size) noexcept {
  return (size + kWord - 1) & ~(kWord - 1);
}

inline std::uint64_t first_word(std::size_t length_bytes, std::uint32_t crc) noexcept {
  return static_cast<std::uint32_t>(length_bytes) | static_cast<std::uint64_t>(crc) << 32;
}

// The store that makes a record visible.
inline void publish(char* at, std::uint64_t word) noexcept {
  std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(at))
      .store(word, std::memory_order_release);
}

// Brings a line here to be written, so that no store has to wait for the processor that read it last, the
// committer's, or for the first look at its page. Of __builtin_prefetch() compilers make one that reads.
__attribute__((always_inline)) inline void prefetch_for_write(const char* at) noexcept {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*at));
#else
  __builtin_prefetch(at, 1);
#endif
}

/// The second and third word of a record.
struct Stamp {
  std::uint64_t ticks, about;
};

__attribute__((always_inline)) inline std::uint64_t word_at(const char* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// A record's checksum. The words behind the first are dealt in turn to three strands: a processor computes
// three at once in the time of one. Those that are left over, and then the other two strands, go to the
// third.
template <class Crc>
struct Strands {
  typename Crc::State a = ~0u, b = ~0u, c;

  __attribute__((always_inline)) explicit Strands(std::uint64_t place) noexcept : c(Crc::add(~0u, place)) {}

  __attribute__((always_inline)) void add(std::uint64_t first, std::uint64_t second,
                                          std::uint64_t third) noexcept {
    a = Crc::add(a, first);
    b = Crc::add(b, second);
    c = Crc::add(c, third);
  }

  /// As often as there are three words before `end`; returns what is left.
  __attribute__((always_inline)) const char* add_threes(const char* at, const char* end) noexcept {
    const char* const last = end - 3 * kWord;
    for (; at <= last; at += 3 * kWord) add(word_at(at), word_at(at + kWord), word_at(at + 2 * kWord));
    return at;
  }

  __attribute__((always_inline)) std::uint32_t result() const noexcept {
    return ~static_cast<std::uint32_t>(Crc::add(c, a | static_cast<std::uint64_t>(b) << 32));
  }
};

template <class Crc>
__attribute__((always_inline)) inline std::uint32_t crc_of(const char* record, std::size_t length_bytes,
                                                           std::uint64_t place) noexcept {
  Strands<Crc> strands(place);
  const char* const end = record + length_bytes;
  for (const char* at = strands.add_threes(record + kWord, end); at != end; at += kWord) {
    strands.c = Crc::add(strands.c, word_at(at));
  }
  return strands.result();
}

// The same for a record that has a payload and the stamp; 16 bytes behind it may be read. Lengths differ from
// call to call: how many words are left over costs no branch.
template <class Crc>
__attribute__((always_inline)) inline std::uint32_t crc_of(const char* record, std::size_t length_bytes,
                                                           std::uint64_t place, Stamp stamp) noexcept {
  Strands<Crc> strands(place);
  strands.add(stamp.ticks, stamp.about, word_at(record + 3 * kWord));
  const char* const end = record + length_bytes;
  const char* const at = strands.add_threes(record + 4 * kWord, end);
  const auto with_one = Crc::add(strands.c, word_at(at));
  const auto with_two = Crc::add(with_one, word_at(at + kWord));
  if (at != end) strands.c = with_one;
  if (at + kWord < end) strands.c = with_two;
  return strands.result();
}

// The clock is read behind the payload: until it has answered, no store that comes later reaches the cache,
// and the checksum waits for that.
__attribute__((always_inline)) inline Stamp stamp(const Lane& lane, RecordKind kind,
                                                  RecordContext context) noexcept {
  const std::uint64_t sequence = lane.sequence.load(std::memory_order_relaxed);
  return {.ticks = read_ticks(context.ticks),
          .about = static_cast<std::uint64_t>(static_cast<std::uint32_t>(sequence)) |
                   static_cast<std::uint64_t>(context.process) << 32 |
                   static_cast<std::uint64_t>(kind) << 48 | static_cast<std::uint64_t>(context.flags) << 56};
}

// Makes a record of the payload, which ends at `end`, and goes on behind it. `crc(length, place)` gives the
// checksum.
template <class Crc>
__attribute__((always_inline)) inline void finish_record(Lane& lane, char* at, char* end, Stamp stamp,
                                                         Crc crc) noexcept {
  const std::size_t length = round_up(static_cast<std::size_t>(end - at));
  put(end, std::uint64_t{0});          // what the payload leaves of its last word
  put(at + length, std::uint64_t{0});  // nothing comes behind it yet
  put(at + 8, stamp.ticks);
  put(at + 16, stamp.about);
  const std::uint64_t position = lane.position();
  publish(at, first_word(length, crc(length, place_word(lane.id, position))));
  lane.writer.at.store(at + length, std::memory_order_relaxed);
  lane.sequence.store(lane.sequence.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  lane.published.store(position + length, std::memory_order_release);
  prefetch_for_write(at + length +
                     4 * kCacheLine);  // where the records after the next will be: memory is that slow
  prefetch_for_write(at + length + 5 * kCacheLine);
}

/// One record; `encode(out, end)` writes its payload and returns where that ends, or null where it has no
/// room.
template <class Crc, class Encode>
__attribute__((always_inline)) inline bool append(Lane& lane, RecordKind kind, RecordContext context,
                                                  Encode encode) noexcept {
  const std::ptrdiff_t room = lane.room();
  if (room < static_cast<std::ptrdiff_t>(sizeof(RecordHeader))) [[unlikely]]
    return false;
  char* const at = lane.writer.at.load(std::memory_order_relaxed);
  char* const end =
      encode(at + sizeof(RecordHeader), at + std::min(room, static_cast<std::ptrdiff_t>(kMaxRecordBytes)));
  if (end == nullptr) [[unlikely]]
    return false;
  finish_record(lane, at, end, stamp(lane, kind, context),
                [at](std::size_t length, std::uint64_t place) { return crc_of<Crc>(at, length, place); });
  return true;
}

/// Whether append_quickly() can be used: the processor has what it needs.
inline bool can_append_quickly(RecordContext context) noexcept {
  return context.ticks == TickSource::counter && kHardwareCrc;
}

/// The same for an event of attributes alone, without a call, where can_append_quickly() holds. False, too,
/// where the event has more than kQuickBytes.
__attribute__((always_inline)) inline bool append_quickly(Lane& lane, std::span<const AttributeArgument> data,
                                                          const TraceTie* trace,
                                                          RecordContext context) noexcept {
  constexpr auto kLeast =
      static_cast<std::ptrdiff_t>(sizeof(RecordHeader) + kLeastQuickBytes + kEncodingSlack);
  constexpr auto kMost = static_cast<std::ptrdiff_t>(sizeof(RecordHeader) + kQuickBytes + kEncodingSlack);
  context.ticks = TickSource::counter;
  const std::ptrdiff_t room = lane.room();
  if (room < kLeast) [[unlikely]]
    return false;
  char* const at = lane.writer.at.load(std::memory_order_relaxed);
  char* const end =
      encode_quickly(data, trace, at + sizeof(RecordHeader), at + std::min(room, kMost) - kEncodingSlack);
  if (end == nullptr) [[unlikely]]
    return false;
  const Stamp stamped = stamp(lane, RecordKind::event, context);
  finish_record(lane, at, end, stamped, [at, stamped](std::size_t length, std::uint64_t place) {
    return crc_of<HardwareCrc>(at, length, place, stamped);
  });
  return true;
}

}  // namespace codewake::internal
