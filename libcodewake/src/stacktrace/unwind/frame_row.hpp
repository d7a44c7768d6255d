// The row of the table that call frame information stands for, at one instruction: DWARF 5, section 6.4.1.
#pragma once

#include <cstdint>

#include "stacktrace/unwind/frame_description.hpp"
#include "stacktrace/unwind/registers.hpp"

namespace codewake::internal {

/// Where the caller's value of a register is.
struct RegisterRule {
  enum class Kind : std::uint8_t {
    same,           // as it was; also where nothing is said
    undefined,      // it is lost
    at_offset,      // in memory, at an offset from the canonical frame address
    is_offset,      // it is the address there
    in_register,    // in the register of that number
    at_expression,  // in memory, at what the expression says
    is_expression,  // it is what the expression says
  };
  Kind kind = Kind::same;
  std::int64_t value = 0;  // the offset, the number, or where the expression is
};

struct FrameRow {
  // The canonical frame address: the stack pointer in the caller, before the call.
  bool is_expression = false;
  std::uint64_t base = 0;   // number of the register that it is an offset from
  std::int64_t offset = 0;  // or where the expression is
  RegisterRule rules[Registers::kCount];
  std::uintptr_t read_end = 0;  // how far the instructions were read
};

/// False where the instructions are damaged, or need more than is there. Async-signal-safe, thread-safe.
bool find_row(const FrameDescription& description, std::uintptr_t address, FrameRow& row) noexcept;

}  // namespace codewake::internal
