#include "stacktrace/unwind/expression.hpp"

#include <cstddef>

#include "stacktrace/unwind/table_reader.hpp"

namespace codewake::internal {
namespace {

// DWARF 5, section 7.7.1: those that unwind information may contain.
enum Operation : std::uint8_t {
  kAddress = 0x03,
  kDeref = 0x06,
  kConst1u = 0x08,
  kConst1s,
  kConst2u,
  kConst2s,
  kConst4u,
  kConst4s,
  kConst8u,
  kConst8s,
  kConstUleb,
  kConstSleb,
  kDup = 0x12,
  kDrop,
  kOver,
  kPick,
  kSwap,
  kRotate,
  kAbs = 0x19,
  kAnd,
  kDiv,
  kMinus,
  kModulo,
  kMultiply,
  kNegate,
  kNot,
  kOr,
  kPlus,
  kPlusUleb,
  kShiftLeft,
  kShiftRight,
  kShiftRightSigned,
  kXor,
  kBranch = 0x28,
  kEqual,
  kGreaterEqual,
  kGreater,
  kLessEqual,
  kLess,
  kNotEqual,
  kSkip,
  kLiteral0 = 0x30,
  kLiteral31 = 0x4F,
  kRegister0 = 0x70,  // plus an offset
  kRegister31 = 0x8F,
  kRegisterX = 0x92,
  kDerefSize = 0x94,
  kNothing = 0x96,
};

std::int64_t as_signed(std::uint64_t value) noexcept {
  return static_cast<std::int64_t>(value);
}

std::uint64_t as_word(std::int64_t value) noexcept {
  return static_cast<std::uint64_t>(value);
}

class Evaluation {
 public:
  Evaluation(TableReader operations, const Registers& registers, StackMemory& memory) noexcept
      : operations_(operations), begin_(operations.at()), registers_(registers), memory_(memory) {}

  void push(std::uint64_t value) noexcept {
    if (size_ == kDepth) return fail();
    stack_[size_++] = value;
  }

  Outcome run(std::uint64_t& result) noexcept {
    for (int steps = 0; !operations_.is_at_end() && outcome_ == Outcome::done; ++steps) {
      if (steps == kMostSteps) fail();
      step(operations_.take<std::uint8_t>());
    }
    if (operations_.failed() || size_ == 0) fail();
    if (outcome_ == Outcome::done) result = stack_[size_ - 1];
    return outcome_;
  }

 private:
  static constexpr std::size_t kDepth = 16;
  static constexpr int kMostSteps = 256;

  void fail() noexcept {
    if (outcome_ == Outcome::done) outcome_ = Outcome::failed;
  }

  std::uint64_t pop() noexcept {
    if (size_ == 0) {
      fail();
      return 0;
    }
    return stack_[--size_];
  }

  std::uint64_t peek(std::uint64_t depth) noexcept {
    if (depth >= size_) {
      fail();
      return 0;
    }
    return stack_[size_ - 1 - depth];
  }

  void step(std::uint8_t operation) noexcept {
    if (operation >= kLiteral0 && operation <= kLiteral31) return push(operation - kLiteral0);
    if (operation >= kRegister0 && operation <= kRegister31) return push_register(operation - kRegister0);
    if (operation >= kConst1u && operation <= kConstSleb) return push_constant(operation);
    if (operation >= kDup && operation <= kRotate) return rearrange(operation);
    switch (operation) {
      case kAddress:
        return push(operations_.take<std::uint64_t>());
      case kDeref:
        return dereference(sizeof(std::uint64_t));
      case kDerefSize:
        return dereference(operations_.take<std::uint8_t>());
      case kRegisterX:
        return push_register(operations_.take_uleb());
      case kPlusUleb:
        return push(pop() + operations_.take_uleb());
      case kAbs:
        return push(as_signed(peek(0)) < 0 ? 0 - pop() : pop());
      case kNegate:
        return push(0 - pop());
      case kNot:
        return push(~pop());
      case kBranch:
      case kSkip:
        return jump(operation == kBranch);
      case kNothing:
        return;
      default:
        return combine(operation);
    }
  }

  void push_constant(std::uint8_t operation) noexcept {
    // In order, each format is unsigned, then signed.
    constexpr std::uint8_t kFormats[] = {0, 0, 0x02, 0x0A, 0x03, 0x0B, 0x04, 0x0C, 0x01, 0x09};
    if (operation == kConst1u) return push(operations_.take<std::uint8_t>());
    if (operation == kConst1s) return push(as_word(operations_.take<std::int8_t>()));
    push(operations_.take_number(PointerEncoding(kFormats[operation - kConst1u])));
  }

  void push_register(std::uint64_t number) noexcept {
    const std::int64_t offset = operations_.take_sleb();
    if (!registers_.is_known(number)) {
      outcome_ = Outcome::needs_register;
      return;
    }
    push(registers_.values[number] + as_word(offset));
  }

  void rearrange(std::uint8_t operation) noexcept {
    if (operation == kDup) return push(peek(0));
    if (operation == kDrop) return static_cast<void>(pop());
    if (operation == kOver) return push(peek(1));
    if (operation == kPick) return push(peek(operations_.take<std::uint8_t>()));
    const std::uint64_t a = pop(), b = pop();
    if (operation == kSwap) {
      push(a);
      push(b);
      return;
    }
    const std::uint64_t c = pop();
    push(a);
    push(c);
    push(b);
  }

  void dereference(std::size_t bytes) noexcept {
    const std::uint64_t address = pop();
    std::uint64_t word = 0;
    if (bytes == 0 || bytes > sizeof word || !memory_.load(address, word)) return fail();
    push(bytes == sizeof word ? word : word & ((std::uint64_t{1} << 8 * bytes) - 1));
  }

  void jump(bool is_conditional) noexcept {
    const std::int64_t offset = operations_.take<std::int16_t>();
    if (is_conditional && pop() == 0) return;
    const std::uintptr_t target = operations_.at() + as_word(offset);
    if (target < begin_ || target > operations_.end()) return fail();
    operations_ = TableReader(target, operations_.end());
  }

  void combine(std::uint8_t operation) noexcept {
    const std::uint64_t b = pop(), a = pop();
    switch (operation) {
      case kAnd:
        return push(a & b);
      case kOr:
        return push(a | b);
      case kXor:
        return push(a ^ b);
      case kPlus:
        return push(a + b);
      case kMinus:
        return push(a - b);
      case kMultiply:
        return push(a * b);
      case kDiv:
        if (b == 0 || as_signed(b) == -1) return fail();
        return push(as_word(as_signed(a) / as_signed(b)));
      case kModulo:
        return b == 0 ? fail() : push(a % b);
      case kShiftLeft:
        return push(b < 64 ? a << b : 0);
      case kShiftRight:
        return push(b < 64 ? a >> b : 0);
      case kShiftRightSigned:
        return push(as_word(as_signed(a) >> (b < 64 ? b : 63)));
      case kEqual:
        return push(a == b);
      case kNotEqual:
        return push(a != b);
      case kGreaterEqual:
        return push(as_signed(a) >= as_signed(b));
      case kGreater:
        return push(as_signed(a) > as_signed(b));
      case kLessEqual:
        return push(as_signed(a) <= as_signed(b));
      case kLess:
        return push(as_signed(a) < as_signed(b));
      default:
        return fail();
    }
  }

  TableReader operations_;
  std::uintptr_t begin_;
  const Registers& registers_;
  StackMemory& memory_;
  std::uint64_t stack_[kDepth];
  std::size_t size_ = 0;
  Outcome outcome_ = Outcome::done;
};

}  // namespace

Outcome evaluate(const Expression& expression, const Registers& registers, StackMemory& memory,
                 std::optional<std::uint64_t> first, std::uint64_t& result) noexcept {
  TableReader whole(expression.begin, expression.end);
  const std::uint64_t bytes = whole.take_uleb();
  const std::uintptr_t begin = whole.at();
  whole.skip(bytes);
  if (whole.failed()) return Outcome::failed;
  Evaluation evaluation(TableReader(begin, begin + bytes), registers, memory);
  if (first) evaluation.push(*first);
  return evaluation.run(result);
}

}  // namespace codewake::internal
