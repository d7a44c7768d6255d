// Reads the records of a piece of a lane, whatever has happened to its bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "journal/format.hpp"

namespace codewake::internal {

/// A record that has been read. `payload` borrows from the bytes that it was read from.
struct Record {
  RecordHeader header = {};
  std::span<const char> payload = {};
  std::uint32_t lane = 0;
  std::uint64_t position = 0;       ///< where it begins
  std::uint64_t next_position = 0;  ///< where the next one may begin
};

/// Goes from record to record. Bytes that are no record are passed over, up to the next that are one by
/// length, kind and checksum; a record counts only at the place that it was written to. Never reads outside
/// of the bytes, and always ends, in a time linear in their number: where looking for the next record takes
/// too much, the rest holds none. Reentrant.
class RecordScanner {
 public:
  /// `bytes`: of `lane`, from `position` on. Borrowed; aligned to 8.
  RecordScanner(std::span<const char> bytes, std::uint32_t lane, std::uint64_t position) noexcept
      : bytes_(bytes), lane_(lane), base_(position), search_bytes_(kSearchFactor * bytes.size()) {}

  /// Goes on at `position`, which must not lie before the beginning.
  void seek(std::uint64_t position) noexcept;

  /// The next record; empty where there is none. The same until `pop`.
  std::optional<Record> peek() noexcept;
  void pop() noexcept;

  /// Where the lane goes on behind what has been read.
  std::uint64_t position() const noexcept { return base_ + offset_; }
  /// How many bytes were passed over so far, from a record that is none to the next that is one.
  std::uint64_t skipped_bytes() const noexcept { return skipped_; }
  /// At the end: how many bytes are left, of which the first should have been a record.
  std::uint64_t torn_bytes() const noexcept { return torn_; }

 private:
  std::uint64_t word_at(std::size_t offset) const noexcept;
  /// Of what has the form of a record there; 0 where nothing has.
  std::size_t length_at(std::size_t offset) const noexcept;
  bool is_record(std::size_t offset) const noexcept;
  bool is_end_mark(std::size_t offset) const noexcept;
  std::optional<std::size_t> find_record(std::size_t offset) noexcept;

  // Bytes left over from another use of the memory look like records, each once; lengths that are made up
  // overlap.
  static constexpr std::size_t kSearchFactor = 32;

  std::span<const char> bytes_;
  std::uint32_t lane_;
  std::uint64_t base_;
  std::size_t search_bytes_;  // of which checksums may still be computed while a record is looked for
  std::size_t offset_ = 0;
  bool verified_ = false;  // what stands at offset_ is a record
  bool done_ = false;
  std::uint64_t skipped_ = 0;
  std::uint64_t torn_ = 0;
};

}  // namespace codewake::internal
