// How the frames of the usual kind are left, by the instruction: nearly every frame of a walk is found here.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "stacktrace/unwind/code_module.hpp"
#include "stacktrace/unwind/frame_description.hpp"
#include "stacktrace/unwind/frame_row.hpp"

namespace codewake::internal {

/// A frame whose return address lies right below its canonical frame address, which is an offset from the
/// stack pointer or from rbp; of the other registers only rbp is looked at. One word, so that a walk keeps it
/// in a register: the offset of the frame address in 32 bits, `blocks` in 8, flags in 8, and the offset of
/// rbp in 16.
class FrameRule {
 public:
  static constexpr std::uint64_t kFromRbp = std::uint64_t{1} << 40;  // else from the stack pointer
  static constexpr std::uint64_t kOutermost = std::uint64_t{1} << 41;
  static constexpr std::uint64_t kRestoresRbp = std::uint64_t{1} << 42;  // else it is unchanged

  constexpr explicit FrameRule(std::uint64_t word = 0) noexcept : word_(word) {}
  /// `rbp_offset`: negative, as the caller's rbp lies below the frame address; -8 where it is not restored.
  constexpr FrameRule(std::uint64_t flags, std::uint32_t cfa_offset, std::int16_t rbp_offset) noexcept
      : word_(flags | cfa_offset | std::uint64_t{static_cast<std::uint16_t>(rbp_offset)} << kRbpShift) {}

  std::uint64_t word() const noexcept { return word_; }
  bool has(std::uint64_t flag) const noexcept { return (word_ & flag) != 0; }
  std::uint32_t cfa_offset() const noexcept { return static_cast<std::uint32_t>(word_); }
  std::uintptr_t rbp_offset() const noexcept {
    return static_cast<std::uintptr_t>(static_cast<std::int64_t>(word_) >> kRbpShift);
  }

  /// How many blocks of the frame's description the cache's checksum is of.
  std::uint64_t blocks() const noexcept { return word_ >> kBlocksShift & 0xFF; }
  void set_blocks(std::uint64_t blocks) noexcept { word_ |= blocks << kBlocksShift; }

 private:
  static constexpr unsigned kBlocksShift = 32;
  static constexpr unsigned kRbpShift = 48;

  std::uint64_t word_;
};

/// False where the row needs more than a rule can say.
bool make_rule(const FrameRow& row, FrameRule& rule) noexcept;

/// How the cache lies in memory, here so that reading it can be inline: see find_rule().
// All of the words are read and written alone. They agree where the checksum does.
struct RuleEntry {
  std::atomic<std::uint64_t> address{0};
  std::atomic<std::uint64_t> rule{0};
  std::atomic<std::uint64_t> description{0};  // where it begins
  std::atomic<std::uint64_t> checksum{0};
};

inline constexpr unsigned kRuleEntryBits = 12;
inline constexpr std::size_t kRuleEntries = std::size_t{1} << kRuleEntryBits;
extern std::array<RuleEntry, kRuleEntries> rule_entries;

// The walk waits for this at each frame: few steps, and the place in bytes at once.
inline RuleEntry& rule_entry_of(std::uintptr_t address) noexcept {
  constexpr unsigned kSizeBits = 5;
  static_assert(sizeof(RuleEntry) == 1u << kSizeBits);
  constexpr std::uintptr_t kMask = (kRuleEntries - 1) << kSizeBits;
  const std::uintptr_t offset = (address << kSizeBits ^ address >> (kRuleEntryBits - kSizeBits)) & kMask;
  return *reinterpret_cast<RuleEntry*>(reinterpret_cast<char*>(rule_entries.data()) + offset);
}

inline constexpr std::size_t kRuleBlockBytes = 32;

inline bool has_blocks(const CodeModule& module, std::uintptr_t begin, std::uint64_t blocks) noexcept {
  return begin >= module.tables_begin && begin < module.tables_end &&
         blocks <= (module.tables_end - begin) / kRuleBlockBytes;
}

// Any difference in one word changes it; differences in several words hardly ever cancel each other.
inline std::uint64_t checksum_of(std::uintptr_t address, FrameRule rule,
                                 std::uintptr_t description) noexcept {
  const auto word_at = [](std::uintptr_t place) {
    std::uint64_t word;
    std::memcpy(&word, reinterpret_cast<const void*>(place), sizeof word);
    return word;
  };
  const std::uintptr_t end = description + rule.blocks() * kRuleBlockBytes;
  std::uint64_t sum = address ^ std::rotl(rule.word(), 23);
  for (std::uintptr_t block = description; block != end; block += kRuleBlockBytes) {
    sum = std::rotl(sum, 29) + word_at(block) + std::rotl(word_at(block + 8), 17) +
          std::rotl(word_at(block + 16), 37) + std::rotl(word_at(block + 24), 53);
  }
  return (sum ^ description) * 0x9E3779B97F4A7C15u;
}

/// The rule that was put in for the address, if its module still has the same bytes of call frame information
/// there: they are compared by a checksum. So a rule of a module that was unloaded is not found for another
/// one in its place, and nobody needs to tell of unloading. The checksum also covers the entry itself: one
/// that two threads have written at once is not found. One entry may drop another.
/// Async-signal-safe, thread-safe: no lock.
[[gnu::always_inline]] inline bool find_rule(std::uintptr_t address, const CodeModule& module,
                                             FrameRule& rule) noexcept {
  const RuleEntry& entry = rule_entry_of(address);
  if (entry.address.load(std::memory_order_relaxed) != address) return false;
  const FrameRule found(entry.rule.load(std::memory_order_relaxed));
  const std::uintptr_t description = entry.description.load(std::memory_order_relaxed);
  if (!has_blocks(module, description, found.blocks())) return false;
  if (checksum_of(address, found, description) != entry.checksum.load(std::memory_order_relaxed))
    return false;
  rule = found;
  return true;
}

/// `read_end`: how far the description was read for the rule.
void put_rule(std::uintptr_t address, const CodeModule& module, const FrameDescription& description,
              std::uintptr_t read_end, FrameRule rule) noexcept;

}  // namespace codewake::internal
