#include "stacktrace/unwind/rule_cache.hpp"

#include <limits>

#include "stacktrace/unwind/registers.hpp"

namespace codewake::internal {

constinit std::array<RuleEntry, kRuleEntries> rule_entries{};

namespace {

constexpr std::uint64_t kMostBlocks = 16;  // the descriptions of large functions are not kept

bool is_at(const RegisterRule& rule, std::int64_t offset) noexcept {
  return rule.kind == RegisterRule::Kind::at_offset && rule.value == offset;
}

}  // namespace

bool make_rule(const FrameRow& row, FrameRule& rule) noexcept {
  using Kind = RegisterRule::Kind;
  constexpr std::int16_t kReturnAddress = -8;
  const RegisterRule& rip = row.rules[Registers::kRip];
  const RegisterRule& rbp = row.rules[Registers::kRbp];
  if (rip.kind == Kind::undefined) {
    rule = FrameRule(FrameRule::kOutermost);
    return true;
  }
  if (row.is_expression || (row.base != Registers::kRsp && row.base != Registers::kRbp)) return false;
  if (row.offset <= 0 || row.offset > std::numeric_limits<std::int32_t>::max()) return false;
  if (!is_at(rip, kReturnAddress) || row.rules[Registers::kRsp].kind != Kind::same) return false;
  std::uint64_t flags = row.base == Registers::kRbp ? FrameRule::kFromRbp : 0;
  std::int64_t rbp_offset = kReturnAddress;
  if (rbp.kind == Kind::at_offset) {
    if (rbp.value >= 0 || rbp.value % 8 != 0 || rbp.value < std::numeric_limits<std::int16_t>::min())
      return false;
    flags |= FrameRule::kRestoresRbp;
    rbp_offset = rbp.value;
  } else if (rbp.kind != Kind::same) {
    return false;
  }
  rule = FrameRule(flags, static_cast<std::uint32_t>(row.offset), static_cast<std::int16_t>(rbp_offset));
  return true;
}

void put_rule(std::uintptr_t address, const CodeModule& module, const FrameDescription& description,
              std::uintptr_t read_end, FrameRule rule) noexcept {
  const std::uint64_t blocks = (read_end - description.begin + kRuleBlockBytes - 1) / kRuleBlockBytes;
  if (blocks > kMostBlocks || !has_blocks(module, description.begin, blocks)) return;
  rule.set_blocks(blocks);
  RuleEntry& entry = rule_entry_of(address);
  entry.address.store(address, std::memory_order_relaxed);
  entry.rule.store(rule.word(), std::memory_order_relaxed);
  entry.description.store(description.begin, std::memory_order_relaxed);
  entry.checksum.store(checksum_of(address, rule, description.begin), std::memory_order_relaxed);
}

}  // namespace codewake::internal
