#include "fuzz/journal_repair.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/crc32c.hpp"
#include "journal/format.hpp"
#include "journal/lane.hpp"
#include "journal/record_scanner.hpp"

namespace codewake::testing {

using namespace codewake::internal;

namespace {

std::uint64_t number_at(const char* at) {
  std::uint32_t number = 0;
  std::memcpy(&number, at, sizeof number);
  return number;
}

void set_crc(char* at, std::uint32_t crc) {
  std::memcpy(at, &crc, sizeof crc);
}

void repair_header(std::span<char> bytes, std::size_t at) {
  if (bytes.size() < at + 64) return;
  set_crc(bytes.data() + at + 4, crc32c(bytes.data() + at + 8, 56));
}

}  // namespace

void repair_records(std::span<char> bytes, std::uint32_t lane, std::uint64_t position) {
  for (std::size_t at = 0; bytes.size() - at >= sizeof(RecordHeader);) {
    const std::uint64_t length = number_at(bytes.data() + at);
    if (length < sizeof(RecordHeader) || length % 8 != 0 || length > bytes.size() - at) return;
    set_crc(bytes.data() + at + 4, record_crc(bytes.data() + at, length, place_word(lane, position + at)));
    at += length;
  }
}

void repair_front(std::span<char> bytes) {
  if (bytes.size() < sizeof(FrontHeader)) return;
  FrontHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  set_crc(bytes.data() + offsetof(FrontHeader, crc), crc32c(bytes.data(), offsetof(FrontHeader, crc)));
  const std::size_t at = header.slots_offset;
  repair_header(bytes, at);
  if (bytes.size() < at + sizeof(SlotHeader)) return;
  SlotHeader slot;
  std::memcpy(&slot, bytes.data() + at, sizeof slot);
  repair_records(bytes.subspan(at + sizeof slot), slot.lane, slot.base_position);
}

void repair_spill(std::span<char> bytes) {
  for (std::size_t at = sizeof(SpillHeader); bytes.size() >= at + sizeof(BlockHeader);) {
    repair_header(bytes, at);
    BlockHeader header;
    std::memcpy(&header, bytes.data() + at, sizeof header);
    at += sizeof header;
    const std::size_t size = std::min<std::size_t>(header.size_bytes, bytes.size() - at);
    repair_records(bytes.subspan(at, size), header.lane, header.from_position);
    at += size;
  }
}

}  // namespace codewake::testing
