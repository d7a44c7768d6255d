#include "journal/lane.hpp"

#include <cstring>

#include "base/crc32c.hpp"
#include "journal/append.hpp"
#include "journal/event_codec.hpp"
#include "journal/format.hpp"
#include "journal/trace_codec.hpp"

namespace codewake::internal {
namespace {

template <class Crc, class Event>
bool append_event_with(Lane& lane, const Event& event, RecordContext context) noexcept {
  return append<Crc>(lane, kRecordKind<Event>, context,
                     [&](char* out, const char* end) { return encode_event(event, out, end); });
}

}  // namespace

const bool kHardwareCrc = has_hardware_crc();

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
