#include "journal/lane.hpp"

#include <cstring>

#include "base/crc32c.hpp"
#include "journal/byte_io.hpp"
#include "journal/event_codec.hpp"
#include "journal/format.hpp"

namespace codewake::internal {
namespace {

constexpr std::size_t kWord = 8;

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

template <class Crc>
std::uint32_t crc_of(const char* record, std::size_t length_bytes, std::uint64_t place) noexcept {
  return ~add_words<Crc>(Crc::add(~0u, place), record + kWord, length_bytes / kWord - 1);
}

// One record, whose payload of `size_bytes` is written by `encode`.
template <class Crc, class Encode>
__attribute__((always_inline)) inline bool append(Lane& lane, std::uint8_t kind, std::size_t size_bytes,
                                                  RecordContext context, Encode encode) noexcept {
  char* const at = lane.writer.at;
  const std::size_t length = round_up(sizeof(RecordHeader) + size_bytes);
  if (length > static_cast<std::size_t>(lane.writer.end - at)) [[unlikely]]
    return false;
  const std::uint64_t sequence = lane.sequence.load(std::memory_order_relaxed);
  const std::uint64_t position = lane.position();
  put(at + length - kWord, std::uint64_t{0});  // what a payload leaves of its last word
  put(at + length, std::uint64_t{0});          // nothing comes behind it yet
  put(at + 8, read_ticks(context.ticks));
  put(at + 16, static_cast<std::uint64_t>(static_cast<std::uint32_t>(sequence)) |
                   static_cast<std::uint64_t>(context.process) << 32 |
                   static_cast<std::uint64_t>(kind) << 48 | static_cast<std::uint64_t>(context.flags) << 56);
  encode(at + sizeof(RecordHeader));
  publish(at, first_word(length, crc_of<Crc>(at, length, place_word(lane.id, position))));
  lane.writer.at = at + length;
  lane.sequence.store(sequence + 1, std::memory_order_relaxed);
  lane.published.store(position + length, std::memory_order_release);
  return true;
}

template <class Crc>
bool append_event_with(Lane& lane, const EventInput& event, RecordContext context) noexcept {
  const std::size_t size = encoded_size(event);
  if (size > kMaxRecordBytes - sizeof(RecordHeader)) [[unlikely]]
    return false;
  return append<Crc>(lane, static_cast<std::uint8_t>(RecordKind::event), size, context,
                     [&](char* out) { encode_event(event, out); });
}

}  // namespace

bool append_event(Lane& lane, const EventInput& event, RecordContext context) noexcept {
  static const bool hardware = has_hardware_crc();
  return hardware ? append_event_with<HardwareCrc>(lane, event, context)
                  : append_event_with<SoftwareCrc>(lane, event, context);
}

bool append_bytes(Lane& lane, std::uint8_t kind, const void* payload, std::size_t size_bytes,
                  RecordContext context) noexcept {
  if (size_bytes > kMaxRecordBytes - sizeof(RecordHeader)) return false;
  const auto copy = [&](char* out) { std::memcpy(out, payload, size_bytes); };
  return has_hardware_crc() ? append<HardwareCrc>(lane, kind, size_bytes, context, copy)
                            : append<SoftwareCrc>(lane, kind, size_bytes, context, copy);
}

void append_end_of_slot(Lane& lane) noexcept {
  const std::uint64_t position = lane.position();
  const std::uint64_t place = place_word(lane.id, position);
  publish(lane.writer.at, first_word(kEndOfSlot, ~crc32c_words(~0u, &place, 1)));
  lane.published.store(position + kEndOfSlotBytes, std::memory_order_release);
}

std::uint32_t record_crc(const void* record, std::size_t length_bytes, std::uint64_t place) noexcept {
  const std::uint32_t state = crc32c_words(~0u, &place, 1);
  return ~crc32c_words(state, static_cast<const char*>(record) + kWord, length_bytes / kWord - 1);
}

}  // namespace codewake::internal
