// DWARF expressions in call frame information: DWARF 5, section 2.5.
#pragma once

#include <cstdint>
#include <optional>

#include "stacktrace/unwind/registers.hpp"
#include "stacktrace/unwind/stack_memory.hpp"

namespace codewake::internal {

enum class Outcome { done, failed, needs_register };  // needs_register: one that is not known

struct Expression {
  std::uintptr_t begin = 0;  // its length, as a ULEB128 number, then its operations
  std::uintptr_t end = 0;    // of the memory that it must lie in
};

/// `first`: what the stack of the evaluation begins with. Every evaluation ends, whatever the expression
/// says. Async-signal-safe, reentrant.
Outcome evaluate(const Expression& expression, const Registers& registers, StackMemory& memory,
                 std::optional<std::uint64_t> first, std::uint64_t& result) noexcept;

}  // namespace codewake::internal
