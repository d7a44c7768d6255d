#include "stacktrace/unwind/rule_cache.hpp"

#include <limits>

#include "stacktrace/unwind/registers.hpp"

namespace codewake::internal {

constinit std::array<RuleEntry, kRuleEntries> rule_entries{};

namespace {

constexpr std::uint64_t kMostBlocks = 16;  // the descriptions of large functions are not kept

std::uint64_t pack(const FrameRule& rule, std::uint64_t blocks) noexcept {
  const auto rbp = static_cast<std::uint16_t>(static_cast<std::int16_t>(rule.rbp_offset / 8));
  return std::uint64_t{rule.cfa_offset} | std::uint64_t{rbp} << kRuleRbpShift |
         (rule.is_from_rbp ? kRuleFromRbp : 0) | (rule.is_outermost ? kRuleOutermost : 0) |
         blocks << kRuleBlocksShift;
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

void put_rule(std::uintptr_t address, const CodeModule& module, const FrameDescription& description,
              std::uintptr_t read_end, const FrameRule& rule) noexcept {
  const std::uint64_t blocks = (read_end - description.begin + kRuleBlockBytes - 1) / kRuleBlockBytes;
  if (blocks > kMostBlocks || !has_blocks(module, description.begin, blocks)) return;
  const std::uint64_t word = pack(rule, blocks);
  RuleEntry& entry = rule_entries[rule_index_of(address)];
  entry.address.store(address, std::memory_order_relaxed);
  entry.rule.store(word, std::memory_order_relaxed);
  entry.description.store(description.begin, std::memory_order_relaxed);
  entry.checksum.store(checksum_of(address, word, description.begin), std::memory_order_relaxed);
}

}  // namespace codewake::internal
