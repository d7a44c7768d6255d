#include "journal/lane.hpp"

#include <algorithm>
#include <cstring>

#include "base/crc32c.hpp"
#include "journal/byte_io.hpp"
#include "journal/event_codec.hpp"
#include "journal/format.hpp"
#include "journal/trace_codec.hpp"

namespace codewake::internal {
namespace {

constexpr std::size_t kWord = 8;
constexpr std::size_t kCacheLine = 64;

constexpr std::size_t round_up(std::size_t size) noexcept {
  return (size + kWord - 1) & ~(kWord - 1);
}

std::uint64_t first_word(std::size_t length_bytes, std::uint32_t crc) noexcept {
  return static_cast<std::uint32_t>(length_bytes) | static_cast<std::uint64_t>(crc) << 32;
}

// The store that makes a record visible.
void publish(char* at, std::uint64_t word) noexcept {
  std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(at))
      .store(word, std::memory_order_release);
}

// The words behind the first, dealt in turn to three checksums: a processor computes three at once in the
// time of one. Those that are left over, and then the other two, go to the third.
template <class Crc>
__attribute__((always_inline)) inline std::uint32_t crc_of(const char* record, std::size_t length_bytes,
                                                           std::uint64_t place) noexcept {
  const auto word_at = [](const char* at) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    return word;
  };
  std::uint32_t a = ~0u, b = ~0u, c = Crc::add(~0u, place);
  const char* at = record + kWord;
  const char* const end = record + length_bytes;
  for (; static_cast<std::size_t>(end - at) >= 3 * kWord; at += 3 * kWord) {
    a = Crc::add(a, word_at(at));
    b = Crc::add(b, word_at(at + kWord));
    c = Crc::add(c, word_at(at + 2 * kWord));
  }
  for (; at != end; at += kWord) c = Crc::add(c, word_at(at));
  return ~Crc::add(c, a | static_cast<std::uint64_t>(b) << 32);
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

// One record; `encode(out, end)` writes its payload and returns where that ends, or null where it has no
// room.
template <class Crc, class Encode>
__attribute__((always_inline)) inline bool append(Lane& lane, RecordKind kind, RecordContext context,
                                                  Encode encode) noexcept {
  const std::ptrdiff_t found = lane.room();
  if (found < static_cast<std::ptrdiff_t>(sizeof(RecordHeader))) [[unlikely]]
    return false;
  const auto room = static_cast<std::size_t>(found);
  char* const at = lane.writer.at.load(std::memory_order_relaxed);
  const std::uint64_t ticks = read_ticks(context.ticks);
  char* const end = encode(at + sizeof(RecordHeader), at + std::min(room, kMaxRecordBytes));
  if (end == nullptr) [[unlikely]]
    return false;
  const std::size_t length = round_up(static_cast<std::size_t>(end - at));
  put(end, std::uint64_t{0});          // what the payload leaves of its last word
  put(at + length, std::uint64_t{0});  // nothing comes behind it yet
  const std::uint64_t sequence = lane.sequence.load(std::memory_order_relaxed);
  const std::uint64_t position = lane.position();
  put(at + 8, ticks);
  put(at + 16, static_cast<std::uint64_t>(static_cast<std::uint32_t>(sequence)) |
                   static_cast<std::uint64_t>(context.process) << 32 |
                   static_cast<std::uint64_t>(kind) << 48 | static_cast<std::uint64_t>(context.flags) << 56);
  publish(at, first_word(length, crc_of<Crc>(at, length, place_word(lane.id, position))));
  lane.writer.at.store(at + length, std::memory_order_relaxed);
  lane.sequence.store(sequence + 1, std::memory_order_relaxed);
  lane.published.store(position + length, std::memory_order_release);
  prefetch_for_write(at + length + kCacheLine);  // where the next record will be
  prefetch_for_write(at + length + 2 * kCacheLine);
  return true;
}

template <class Crc, class Event>
bool append_event_with(Lane& lane, const Event& event, RecordContext context) noexcept {
  return append<Crc>(lane, kRecordKind<Event>, context,
                     [&](char* out, const char* end) { return encode_event(event, out, end); });
}

const bool kHardwareCrc = has_hardware_crc();

}  // namespace

bool append_event(Lane& lane, const EventInput& event, RecordContext context) noexcept {
  return kHardwareCrc ? append_event_with<HardwareCrc>(lane, event, context)
                      : append_event_with<SoftwareCrc>(lane, event, context);
}

bool append_event(Lane& lane, const TraceEventInput& event, RecordContext context) noexcept {
  return kHardwareCrc ? append_event_with<HardwareCrc>(lane, event, context)
                      : append_event_with<SoftwareCrc>(lane, event, context);
}

bool append_bytes(Lane& lane, RecordKind kind, const void* payload, std::size_t size_bytes,
                  RecordContext context) noexcept {
  const auto copy = [&](char* out, const char* end) -> char* {
    if (size_bytes > static_cast<std::size_t>(end - out)) return nullptr;
    std::memcpy(out, payload, size_bytes);
    return out + size_bytes;
  };
  return kHardwareCrc ? append<HardwareCrc>(lane, kind, context, copy)
                      : append<SoftwareCrc>(lane, kind, context, copy);
}

void append_end_of_slot(Lane& lane) noexcept {
  const std::uint64_t position = lane.position();
  const std::uint64_t place = place_word(lane.id, position);
  publish(lane.writer.at.load(std::memory_order_relaxed),
          first_word(kEndOfSlot, ~crc32c_words(~0u, &place, 1)));
  lane.published.store(position + kEndOfSlotBytes, std::memory_order_release);
}

std::uint32_t record_crc(const void* record, std::size_t length_bytes, std::uint64_t place) noexcept {
  const auto* bytes = static_cast<const char*>(record);
  return kHardwareCrc ? crc_of<HardwareCrc>(bytes, length_bytes, place)
                      : crc_of<SoftwareCrc>(bytes, length_bytes, place);
}

}  // namespace codewake::internal
