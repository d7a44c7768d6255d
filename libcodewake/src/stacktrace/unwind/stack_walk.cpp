#include "stacktrace/unwind/stack_walk.hpp"

#include "stacktrace/unwind/frame_description.hpp"
#include "stacktrace/unwind/frame_row.hpp"
#include "stacktrace/unwind/rule_cache.hpp"

namespace codewake::internal {
namespace {

constexpr std::uintptr_t kWord = sizeof(std::uint64_t);

// Whether the instruction before the address is a call: one with an offset, or through a register or memory,
// of which the second byte has 2 in its middle field (Intel SDM, volume 2, "CALL").
bool is_behind_call(std::uintptr_t address) noexcept {
  constexpr std::size_t kLongest = 7;
  constexpr std::uintptr_t kPageMask = 4095;
  if (!is_readable(address - 1)) return false;
  const bool is_whole = is_readable(address - kLongest);
  const std::size_t readable = is_whole ? kLongest : ((address - 1) & kPageMask) + 1;
  const auto byte = [&](std::size_t before) {
    std::uint8_t value = 0;
    if (before <= readable) asm volatile("movb (%1), %0" : "=q"(value) : "r"(address - before));
    return value;
  };
  constexpr std::size_t kDirect = 5;
  if (byte(kDirect) == 0xE8) return true;
  for (const std::size_t length : {2u, 3u, 4u, 6u, 7u}) {
    if (byte(length) == 0xFF && (byte(length - 1) >> 3 & 7) == 2) return true;
  }
  return false;
}

}  // namespace

void prepare_stack_walks() noexcept {
  prepare_to_find_modules();
}

bool can_walk_stacks() noexcept {
  return can_find_modules();
}

StackWalk::StackWalk(const Registers& here, Need need) noexcept
    : registers_(here),
      is_interrupted_(true),
      follows_all_(need == Need::all_registers),
      memory_(here.values[Registers::kRsp]) {}

StackWalk::StackWalk(const Registers& interrupted, bool is_behind_call) noexcept
    : registers_(interrupted), is_interrupted_(!is_behind_call), follows_all_(true) {}

const CodeModule* StackWalk::module_at(std::uintptr_t address) noexcept {
  if (modules_[newest_].contains(address)) return &modules_[newest_];
  for (std::size_t i = 0; i < kModules; ++i) {
    if (!modules_[i].contains(address)) continue;
    newest_ = i;
    return &modules_[i];
  }
  const std::size_t oldest = (newest_ + 1) % kModules;
  if (!find_module(address, modules_[oldest])) return nullptr;
  newest_ = oldest;
  return &modules_[oldest];
}

StackWalk::Step StackWalk::step() noexcept {
  const std::uintptr_t address = lookup_address();
  const CodeModule* const module = module_at(address);
  if (module == nullptr) return step_by_frame_pointer();
  FrameRule rule;
  if (find_rule(address, *module, rule) && rule.has(FrameRule::kOutermost)) return Step::end;
  return step_by_tables(*module);
}

StackWalk::Step StackWalk::steps(std::span<std::uintptr_t> addresses, std::size_t& found) noexcept {
  found = 0;
  while (true) {
    if (!follows_all_) found += steps_by_rules(addresses.subspan(found));
    if (found == addresses.size()) return Step::caller;
    if (const Step last = step(); last != Step::caller) return last;
    addresses[found++] = address();
  }
}

// Nothing of the walk is in memory here but what is read at each frame. What is unusual is left to step().
std::size_t StackWalk::steps_by_rules(std::span<std::uintptr_t> addresses) noexcept {
  constexpr std::uint32_t kFollowed = 1u << Registers::kRbp | 1u << Registers::kRsp | 1u << Registers::kRip;
  if ((registers_.known & kFollowed) != kFollowed) return 0;
  std::uintptr_t address = lookup_address();
  std::uintptr_t rsp = registers_.values[Registers::kRsp];
  std::uintptr_t rbp = registers_.values[Registers::kRbp];
  CodeModule module;
  FrameRule rule;
  std::uintptr_t last = 0;
  std::size_t found = 0;
  for (; found < addresses.size(); ++found) {
    if (!module.contains(address)) {
      const CodeModule* const next = module_at(address);
      if (next == nullptr) break;
      module = *next;
    }
    if (address != last) {  // else a function has called itself
      if (!find_rule(address, module, rule) || rule.has(FrameRule::kOutermost)) break;
      last = address;
    }
    std::uintptr_t frame_address = rsp + rule.cfa_offset();
    if (__builtin_expect(rule.has(FrameRule::kFromRbp), false)) frame_address = rbp + rule.cfa_offset();
    const std::uintptr_t lowest = frame_address + rule.rbp_offset();
    if (frame_address <= rsp || !memory_.covers(lowest, frame_address)) break;
    const std::uintptr_t caller = read_word(frame_address - kWord);
    if (caller <= 1) break;
    const std::uintptr_t saved = read_word(lowest);
    rbp = rule.has(FrameRule::kRestoresRbp) ? saved : rbp;
    rsp = frame_address;
    address = caller - 1;
    addresses[found] = caller;
  }
  if (found == 0) return 0;
  registers_.known = kFollowed;
  registers_.values[Registers::kRip] = address + 1;
  registers_.values[Registers::kRsp] = rsp;
  registers_.values[Registers::kRbp] = rbp;
  is_interrupted_ = false;
  return found;
}

StackWalk::Step StackWalk::finish_step(std::uintptr_t frame_address, std::uintptr_t caller) noexcept {
  if (caller <= 1) return Step::end;
  registers_.set(Registers::kRsp, frame_address);
  registers_.set(Registers::kRip, caller);
  is_interrupted_ = false;
  return Step::caller;
}

Outcome StackWalk::find_value(const RegisterRule& rule, std::size_t number, std::uintptr_t frame_address,
                              const CodeModule& module, std::uint64_t& value) noexcept {
  using Kind = RegisterRule::Kind;
  const auto offset = static_cast<std::uint64_t>(rule.value);
  const auto load = [&](std::uintptr_t address) {
    return memory_.load(address, value) ? Outcome::done : Outcome::failed;
  };
  const auto copy = [&](std::uint64_t from) {
    if (!registers_.is_known(from)) return Outcome::needs_register;
    value = registers_.values[from];
    return Outcome::done;
  };
  switch (rule.kind) {
    case Kind::same:
      return copy(number);
    case Kind::undefined:
      return Outcome::needs_register;
    case Kind::at_offset:
      return load(frame_address + offset);
    case Kind::is_offset:
      value = frame_address + offset;
      return Outcome::done;
    case Kind::in_register:
      return copy(offset);
    case Kind::at_expression:
    case Kind::is_expression: {
      const Outcome outcome =
          evaluate({offset, module.tables_end}, registers_, memory_, frame_address, value);
      return outcome == Outcome::done && rule.kind == Kind::at_expression ? load(value) : outcome;
    }
  }
  return Outcome::failed;
}

StackWalk::Step StackWalk::step_by_tables(const CodeModule& module) noexcept {
  using Kind = RegisterRule::Kind;
  const std::uintptr_t address = lookup_address();
  FrameDescription description;
  FrameRow row;
  if (!find_frame_description(module, address, description)) return step_by_frame_pointer();
  if (!find_row(description, address, row)) return Step::end;
  FrameRule rule;
  if (!description.is_signal_frame && make_rule(row, rule)) {
    put_rule(address, module, description, row.read_end, rule);
  }
  const RegisterRule& caller = row.rules[Registers::kRip];
  if (caller.kind == Kind::undefined || caller.kind == Kind::same) return Step::end;

  std::uint64_t frame_address = 0;
  Outcome outcome = Outcome::done;
  if (row.is_expression) {
    outcome = evaluate({static_cast<std::uintptr_t>(row.offset), module.tables_end}, registers_, memory_,
                       std::nullopt, frame_address);
  } else if (registers_.is_known(row.base)) {
    frame_address = registers_.values[row.base] + static_cast<std::uint64_t>(row.offset);
  } else {
    outcome = Outcome::needs_register;
  }
  Registers before;
  if (outcome == Outcome::done) {
    before.known = 0;
    for (std::size_t i = 0; i < Registers::kCount && outcome != Outcome::failed; ++i) {
      std::uint64_t value = 0;
      if (i == Registers::kRsp && row.rules[i].kind == Kind::same) {
        value = frame_address;
        outcome = Outcome::done;
      } else {
        outcome = find_value(row.rules[i], i, frame_address, module, value);
      }
      if (outcome == Outcome::done) before.set(i, value);
    }
    constexpr std::uint32_t kNeeded = 1u << Registers::kRsp | 1u << Registers::kRip;
    if (outcome != Outcome::failed) {
      outcome = (before.known & kNeeded) == kNeeded ? Outcome::done : Outcome::needs_register;
    }
  }
  if (outcome == Outcome::needs_register && !follows_all_) return Step::needs_registers;
  if (outcome != Outcome::done) return Step::end;

  const std::uintptr_t next = before.values[Registers::kRsp];
  const std::uintptr_t lowest = registers_.values[Registers::kRsp] + (is_interrupted_ ? 0 : kWord);
  if (description.is_signal_frame) {
    memory_.leave();  // the handler may have had a stack of its own
  } else if (next < lowest || next % kWord != 0) {
    return Step::end;
  }
  registers_ = before;
  const Step step = finish_step(next, before.values[Registers::kRip]);
  is_interrupted_ = description.is_signal_frame;
  return step;
}

// The caller's frame pointer and the return address, as functions push them that have no call frame
// information; what is read may be anything. A coroutine's first function was not called, and has no caller.
StackWalk::Step StackWalk::step_by_frame_pointer() noexcept {
  if (!is_interrupted_ && !is_behind_call(registers_.values[Registers::kRip])) return Step::end;
  if (!registers_.is_known(Registers::kRbp)) return Step::end;
  const std::uintptr_t frame = registers_.values[Registers::kRbp];
  if (frame < registers_.values[Registers::kRsp] || frame % kWord != 0) return Step::end;
  if (!is_readable(frame) || !is_readable(frame + kWord)) return Step::end;
  const std::uintptr_t caller = read_word(frame + kWord);
  if (!is_behind_call(caller)) return Step::end;
  registers_.known &= 1u << Registers::kRbp;
  registers_.set(Registers::kRbp, read_word(frame));
  return finish_step(frame + 2 * kWord, caller);
}

}  // namespace codewake::internal
