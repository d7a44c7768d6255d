#include "stacktrace/unwind/rule_cache.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstring>
#include <limits>

#include "stacktrace/unwind/registers.hpp"

namespace codewake::internal {
namespace {

// All of the words are read and written alone. They agree where the checksum does.
struct Entry {
  std::atomic<std::uint64_t> address{0};
  std::atomic<std::uint64_t> rule{0};
  std::atomic<std::uint64_t> description{0};  // where it begins
  std::atomic<std::uint64_t> checksum{0};
};

constexpr unsigned kEntryBits = 12;
constinit std::array<Entry, std::size_t{1} << kEntryBits> entries{};

Entry& entry_of(std::uintptr_t address) noexcept {
  constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15u;
  return entries[(address * kGolden) >> (64 - kEntryBits)];
}

// A rule as a word: the offset of the frame address in 32 bits, that of rbp in eights in 16, two flags in 8,
// and how many words of the description the checksum is of in 8.
constexpr std::uint64_t kFromRbp = std::uint64_t{1} << 48;
constexpr std::uint64_t kOutermost = std::uint64_t{1} << 49;
constexpr unsigned kRbpShift = 32;
constexpr unsigned kWordsShift = 56;
constexpr std::uint64_t kMostWords = 64;  // the descriptions of large functions are not kept

std::uint64_t pack(const FrameRule& rule, std::uint64_t words) noexcept {
  const auto rbp = static_cast<std::uint16_t>(static_cast<std::int16_t>(rule.rbp_offset / 8));
  return std::uint64_t{rule.cfa_offset} | std::uint64_t{rbp} << kRbpShift |
         (rule.is_from_rbp ? kFromRbp : 0) | (rule.is_outermost ? kOutermost : 0) | words << kWordsShift;
}

FrameRule unpack(std::uint64_t word) noexcept {
  return {.is_from_rbp = (word & kFromRbp) != 0,
          .is_outermost = (word & kOutermost) != 0,
          .cfa_offset = static_cast<std::uint32_t>(word),
          .rbp_offset = std::int32_t{static_cast<std::int16_t>(word >> kRbpShift)} * 8};
}

bool has_words(const CodeModule& module, std::uintptr_t begin, std::uint64_t words) noexcept {
  return begin >= module.tables_begin && begin < module.tables_end &&
         words <= (module.tables_end - begin) / sizeof(std::uint64_t);
}

// Any difference in one word changes it; differences in several words hardly ever cancel each other.
std::uint64_t checksum_of(std::uintptr_t address, std::uint64_t rule, std::uintptr_t description) noexcept {
  const std::uint64_t words = rule >> kWordsShift;
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < words; ++i) {
    std::uint64_t word;
    std::memcpy(&word, reinterpret_cast<const void*>(description + i * sizeof word), sizeof word);
    sum = std::rotl(sum, 29) + word;
  }
  return sum * 0xC2B2AE3D27D4EB4Fu + address * 0x9E3779B97F4A7C15u + rule * 0x165667B19E3779F9u +
         description * 0xD6E8FEB86659FD93u;
}

bool is_at(const RegisterRule& rule, std::int64_t offset) noexcept {
  return rule.kind == RegisterRule::Kind::at_offset && rule.value == offset;
}

}  // namespace

bool make_rule(const FrameRow& row, FrameRule& rule) noexcept {
  using Kind = RegisterRule::Kind;
  const RegisterRule& rip = row.rules[Registers::kRip];
  const RegisterRule& rbp = row.rules[Registers::kRbp];
  rule = {};
  if (rip.kind == Kind::undefined) {
    rule.is_outermost = true;
    return true;
  }
  if (row.is_expression || (row.base != Registers::kRsp && row.base != Registers::kRbp)) return false;
  if (row.offset <= 0 || row.offset > std::numeric_limits<std::int32_t>::max()) return false;
  if (!is_at(rip, -8) || row.rules[Registers::kRsp].kind != Kind::same) return false;
  if (rbp.kind == Kind::at_offset) {
    if (rbp.value >= 0 || rbp.value % 8 != 0) return false;
    if (rbp.value < std::int64_t{8} * std::numeric_limits<std::int16_t>::min()) return false;
    rule.rbp_offset = static_cast<std::int32_t>(rbp.value);
  } else if (rbp.kind != Kind::same) {
    return false;
  }
  rule.is_from_rbp = row.base == Registers::kRbp;
  rule.cfa_offset = static_cast<std::uint32_t>(row.offset);
  return true;
}

bool find_rule(std::uintptr_t address, const CodeModule& module, FrameRule& rule) noexcept {
  const Entry& entry = entry_of(address);
  if (entry.address.load(std::memory_order_relaxed) != address) return false;
  const std::uint64_t word = entry.rule.load(std::memory_order_relaxed);
  const std::uintptr_t description = entry.description.load(std::memory_order_relaxed);
  if (!has_words(module, description, word >> kWordsShift)) return false;
  if (checksum_of(address, word, description) != entry.checksum.load(std::memory_order_relaxed)) return false;
  rule = unpack(word);
  return true;
}

void put_rule(std::uintptr_t address, const CodeModule& module, const FrameDescription& description,
              std::uintptr_t read_end, const FrameRule& rule) noexcept {
  const std::uint64_t words = (read_end - description.begin + 7) / sizeof(std::uint64_t);
  if (words > kMostWords || !has_words(module, description.begin, words)) return;
  const std::uint64_t word = pack(rule, words);
  Entry& entry = entry_of(address);
  entry.address.store(address, std::memory_order_relaxed);
  entry.rule.store(word, std::memory_order_relaxed);
  entry.description.store(description.begin, std::memory_order_relaxed);
  entry.checksum.store(checksum_of(address, word, description.begin), std::memory_order_relaxed);
}

}  // namespace codewake::internal
