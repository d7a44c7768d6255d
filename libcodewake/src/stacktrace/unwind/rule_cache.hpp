// How the frames of the usual kind are left, by the instruction: nearly every frame of a walk is found here.
#pragma once

#include <cstdint>

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

/// The rule that was put in for the address, if its module still has the same bytes of call frame information
/// there: they are compared by a checksum. So a rule of a module that was unloaded is not found for another
/// one in its place, and nobody needs to tell of unloading. The checksum also covers the entry itself: one
/// that two threads have written at once is not found. One entry may drop another.
/// Async-signal-safe, thread-safe: no lock.
bool find_rule(std::uintptr_t address, const CodeModule& module, FrameRule& rule) noexcept;

/// `read_end`: how far the description was read for the rule.
void put_rule(std::uintptr_t address, const CodeModule& module, const FrameDescription& description,
              std::uintptr_t read_end, const FrameRule& rule) noexcept;

}  // namespace codewake::internal
