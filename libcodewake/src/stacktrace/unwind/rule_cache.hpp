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
/// stack pointer or from rbp; of the other registers only rbp is looked at.
struct FrameRule {
  bool is_from_rbp = false;   // else from the stack pointer
  bool is_outermost = false;  // there is no caller
  std::uint32_t cfa_offset = 0;
  std::int32_t rbp_offset = 0;  // of the caller's rbp, from the canonical frame address; 0: it is unchanged
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

inline std::size_t rule_index_of(std::uintptr_t address) noexcept {
  return (address ^ address >> kRuleEntryBits) % kRuleEntries;
}

// A rule as a word: the offset of the frame address in 32 bits, that of rbp in eights in 16, two flags in 8,
// and how many blocks of the description the checksum is of in 8.
inline constexpr std::uint64_t kRuleFromRbp = std::uint64_t{1} << 48;
inline constexpr std::uint64_t kRuleOutermost = std::uint64_t{1} << 49;
inline constexpr unsigned kRuleRbpShift = 32;
inline constexpr unsigned kRuleBlocksShift = 56;

inline FrameRule unpack_rule(std::uint64_t word) noexcept {
  return {.is_from_rbp = (word & kRuleFromRbp) != 0,
          .is_outermost = (word & kRuleOutermost) != 0,
          .cfa_offset = static_cast<std::uint32_t>(word),
          .rbp_offset = std::int32_t{static_cast<std::int16_t>(word >> kRuleRbpShift)} * 8};
}

inline constexpr std::size_t kRuleBlockBytes = 32;

inline bool has_blocks(const CodeModule& module, std::uintptr_t begin, std::uint64_t blocks) noexcept {
  return begin >= module.tables_begin && begin < module.tables_end &&
         blocks <= (module.tables_end - begin) / kRuleBlockBytes;
}

// Any difference in one word changes it; differences in several words hardly ever cancel each other.
inline std::uint64_t checksum_of(std::uintptr_t address, std::uint64_t rule,
                                 std::uintptr_t description) noexcept {
  const auto word_at = [](std::uintptr_t place) {
    std::uint64_t word;
    std::memcpy(&word, reinterpret_cast<const void*>(place), sizeof word);
    return word;
  };
  const std::uintptr_t end = description + (rule >> kRuleBlocksShift) * kRuleBlockBytes;
  std::uint64_t sum = address ^ std::rotl(rule, 23);
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
  const RuleEntry& entry = rule_entries[rule_index_of(address)];
  if (entry.address.load(std::memory_order_relaxed) != address) return false;
  const std::uint64_t word = entry.rule.load(std::memory_order_relaxed);
  const std::uintptr_t description = entry.description.load(std::memory_order_relaxed);
  if (!has_blocks(module, description, word >> kRuleBlocksShift)) return false;
  if (checksum_of(address, word, description) != entry.checksum.load(std::memory_order_relaxed)) return false;
  rule = unpack_rule(word);
  return true;
}

/// `read_end`: how far the description was read for the rule.
void put_rule(std::uintptr_t address, const CodeModule& module, const FrameDescription& description,
              std::uintptr_t read_end, const FrameRule& rule) noexcept;

}  // namespace codewake::internal
