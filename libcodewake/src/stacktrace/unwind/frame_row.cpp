#include "stacktrace/unwind/frame_row.hpp"

#include <cstddef>

#include "stacktrace/unwind/table_reader.hpp"

namespace codewake::internal {
namespace {

// DWARF 5, section 7.24, and LSB 5.0 Core, 10.6.1.3, for those of GNU.
enum Instruction : std::uint8_t {
  kNothing = 0x00,
  kSetLocation,
  kAdvance1,
  kAdvance2,
  kAdvance4,
  kOffsetExtended,
  kRestoreExtended,
  kUndefined,
  kSameValue,
  kRegister,
  kRememberState,
  kRestoreState,
  kDefineCfa,
  kDefineCfaRegister,
  kDefineCfaOffset,
  kDefineCfaExpression,
  kExpression,
  kOffsetExtendedSigned,
  kDefineCfaSigned,
  kDefineCfaOffsetSigned,
  kValueOffset,
  kValueOffsetSigned,
  kValueExpression,
  kGnuArgumentsSize = 0x2E,
  kGnuNegativeOffset = 0x2F,
  // With an operand in the low six bits.
  kAdvance = 0x40,
  kOffset = 0x80,
  kRestore = 0xC0,
};
constexpr std::uint8_t kOperandMask = 0x3F;

class RowProgram {
 public:
  RowProgram(const FrameDescription& description, std::uintptr_t address, FrameRow& row) noexcept
      : description_(description),
        address_(address),
        location_(description.function_begin),
        row_(row),
        reader_(0, 0) {}

  // Ends at the first instruction that is about addresses beyond ours.
  bool run(std::uintptr_t begin, std::uintptr_t end) noexcept {
    reader_ = TableReader(begin, end);
    while (!reader_.is_at_end() && !is_beyond_) {
      if (!step(reader_.take<std::uint8_t>())) return false;
    }
    row_.read_end = reader_.at();
    return !reader_.failed();
  }

  // What the instructions so far have said is what `restore` goes back to.
  void keep_initial() noexcept { initial_ = row_; }

 private:
  using Kind = RegisterRule::Kind;
  static constexpr std::size_t kMostStates = 4;  // compilers need one

  void set(std::uint64_t number, Kind kind, std::int64_t value = 0) noexcept {
    if (number < Registers::kCount) row_.rules[number] = {kind, value};
  }

  void restore(std::uint64_t number) noexcept {
    if (number < Registers::kCount) row_.rules[number] = initial_.rules[number];
  }

  void advance(std::uint64_t units) noexcept { move_to(location_ + units * description_.code_alignment); }

  void move_to(std::uintptr_t location) noexcept {
    is_beyond_ = location > address_;
    location_ = location;
  }

  std::int64_t scaled(std::int64_t offset) const noexcept {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(offset) *
                                     static_cast<std::uint64_t>(description_.data_alignment));
  }
  std::int64_t take_unsigned() noexcept { return static_cast<std::int64_t>(reader_.take_uleb()); }

  std::int64_t take_expression() noexcept {
    const auto begin = static_cast<std::int64_t>(reader_.at());
    reader_.skip(reader_.take_uleb());
    return begin;
  }

  bool step(std::uint8_t instruction) noexcept {
    const std::uint8_t operand = instruction & kOperandMask;
    switch (instruction & ~kOperandMask) {
      case kAdvance:
        advance(operand);
        return true;
      case kOffset:
        set(operand, Kind::at_offset, scaled(take_unsigned()));
        return true;
      case kRestore:
        restore(operand);
        return true;
      default:
        return instruction >= kDefineCfa && instruction <= kDefineCfaOffsetSigned &&
                       instruction != kExpression && instruction != kOffsetExtendedSigned
                   ? define_cfa(instruction)
                   : step_plain(instruction);
    }
  }

  bool define_cfa(std::uint8_t instruction) noexcept {
    row_.is_expression = instruction == kDefineCfaExpression;
    if (instruction == kDefineCfa || instruction == kDefineCfaRegister || instruction == kDefineCfaSigned) {
      row_.base = reader_.take_uleb();
    }
    if (instruction == kDefineCfa || instruction == kDefineCfaOffset) row_.offset = take_unsigned();
    if (instruction == kDefineCfaSigned || instruction == kDefineCfaOffsetSigned) {
      row_.offset = scaled(reader_.take_sleb());
    }
    if (row_.is_expression) row_.offset = take_expression();
    return true;
  }

  bool step_plain(std::uint8_t instruction) noexcept {
    switch (instruction) {
      case kNothing:
        return true;
      case kSetLocation:
        move_to(reader_.take_pointer(description_.encoding));
        return true;
      case kAdvance1:
        advance(reader_.take<std::uint8_t>());
        return true;
      case kAdvance2:
        advance(reader_.take<std::uint16_t>());
        return true;
      case kAdvance4:
        advance(reader_.take<std::uint32_t>());
        return true;
      case kRememberState:
        if (states_ == kMostStates) return false;
        state_[states_++] = row_;
        return true;
      case kRestoreState:
        if (states_ == 0) return false;
        row_ = state_[--states_];
        return true;
      case kGnuArgumentsSize:
        reader_.take_uleb();
        return true;
      default:
        return set_rule(instruction);
    }
  }

  bool set_rule(std::uint8_t instruction) noexcept {
    const std::uint64_t number = reader_.take_uleb();
    switch (instruction) {
      case kOffsetExtended:
        set(number, Kind::at_offset, scaled(take_unsigned()));
        return true;
      case kOffsetExtendedSigned:
        set(number, Kind::at_offset, scaled(reader_.take_sleb()));
        return true;
      case kGnuNegativeOffset:
        set(number, Kind::at_offset, scaled(static_cast<std::int64_t>(0 - reader_.take_uleb())));
        return true;
      case kValueOffset:
        set(number, Kind::is_offset, scaled(take_unsigned()));
        return true;
      case kValueOffsetSigned:
        set(number, Kind::is_offset, scaled(reader_.take_sleb()));
        return true;
      case kRegister:
        set(number, Kind::in_register, take_unsigned());
        return true;
      case kExpression:
        set(number, Kind::at_expression, take_expression());
        return true;
      case kValueExpression:
        set(number, Kind::is_expression, take_expression());
        return true;
      case kUndefined:
        set(number, Kind::undefined);
        return true;
      case kSameValue:
        set(number, Kind::same);
        return true;
      case kRestoreExtended:
        restore(number);
        return true;
      default:
        return false;
    }
  }

  const FrameDescription& description_;
  std::uintptr_t address_;
  std::uintptr_t location_;
  bool is_beyond_ = false;
  FrameRow& row_;
  FrameRow initial_;
  FrameRow state_[kMostStates];
  std::size_t states_ = 0;
  TableReader reader_;
};

}  // namespace

bool find_row(const FrameDescription& description, std::uintptr_t address, FrameRow& row) noexcept {
  row = {};
  RowProgram program(description, address, row);
  if (!program.run(description.common_begin, description.common_end)) return false;
  program.keep_initial();
  return program.run(description.own_begin, description.own_end);
}

}  // namespace codewake::internal
