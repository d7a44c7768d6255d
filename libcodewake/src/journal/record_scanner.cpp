#include "journal/record_scanner.hpp"

#include <algorithm>
#include <cstring>

#include "base/crc32c.hpp"
#include "journal/lane.hpp"

namespace codewake::internal {
namespace {

constexpr std::size_t kWord = 8;
constexpr std::uint8_t kLastKnownKind = 15;  // of this format or the next

}  // namespace

void RecordScanner::seek(std::uint64_t position) noexcept {
  // Records begin at whole words, whatever a store remembers.
  const std::uint64_t offset = (position - base_ + kWord - 1) / kWord * kWord;
  offset_ = static_cast<std::size_t>(std::min<std::uint64_t>(offset, bytes_.size()));
  verified_ = done_ = false;
  torn_ = 0;
}

std::uint64_t RecordScanner::word_at(std::size_t offset) const noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes_.data() + offset, sizeof word);
  return word;
}

std::size_t RecordScanner::length_at(std::size_t offset) const noexcept {
  if (bytes_.size() - offset < sizeof(RecordHeader)) return 0;
  RecordHeader header;
  std::memcpy(&header, bytes_.data() + offset, sizeof header);
  const std::size_t length = header.length_bytes;
  if (length < sizeof header || length > kMaxRecordBytes || length % kWord != 0) return 0;
  if (length > bytes_.size() - offset || header.kind == 0 || header.kind > kLastKnownKind) return 0;
  return length;
}

bool RecordScanner::is_record(std::size_t offset) const noexcept {
  const std::size_t length = length_at(offset);
  if (length == 0) return false;
  RecordHeader header;
  std::memcpy(&header, bytes_.data() + offset, sizeof header);
  return record_crc(bytes_.data() + offset, length, place_word(lane_, base_ + offset)) == header.crc;
}

bool RecordScanner::is_end_mark(std::size_t offset) const noexcept {
  const std::uint64_t word = word_at(offset);
  const std::uint64_t place = place_word(lane_, base_ + offset);
  return static_cast<std::uint32_t>(word) == kEndOfSlot &&
         static_cast<std::uint32_t>(word >> 32) == ~crc32c_words(~0u, &place, 1);
}

std::optional<std::size_t> RecordScanner::find_record(std::size_t offset) noexcept {
  for (; bytes_.size() - offset >= kWord; offset += kWord) {
    if (is_end_mark(offset)) return offset;
    const std::size_t length = length_at(offset);
    if (length == 0) continue;
    if (length > search_bytes_) return std::nullopt;
    search_bytes_ -= length;
    if (is_record(offset)) return offset;
  }
  return std::nullopt;
}

std::optional<Record> RecordScanner::peek() noexcept {
  if (done_) return std::nullopt;
  if (!verified_) {
    if (bytes_.size() - offset_ < kWord) {
      done_ = true;
      return std::nullopt;
    }
    if (!is_record(offset_) && !is_end_mark(offset_)) {
      const auto found = find_record(offset_ + kWord);
      if (!found) {
        // A word of zeros is where nothing has been written yet; anything else was to be a record.
        if (word_at(offset_) != 0) torn_ = bytes_.size() - offset_;
        done_ = true;
        return std::nullopt;
      }
      skipped_ += *found - offset_;
      offset_ = *found;
    }
    if (is_end_mark(offset_)) {
      offset_ += kEndOfSlotBytes;
      done_ = true;
      return std::nullopt;
    }
    verified_ = true;
  }
  Record record{.lane = lane_, .position = position()};
  std::memcpy(&record.header, bytes_.data() + offset_, sizeof record.header);
  record.payload =
      bytes_.subspan(offset_ + sizeof record.header, record.header.length_bytes - sizeof record.header);
  record.next_position = record.position + record.header.length_bytes;
  return record;
}

void RecordScanner::pop() noexcept {
  std::uint32_t length = 0;
  std::memcpy(&length, bytes_.data() + offset_, sizeof length);
  offset_ += length;
  verified_ = false;
}

}  // namespace codewake::internal
