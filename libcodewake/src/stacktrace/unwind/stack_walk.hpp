// From frame to frame, from the innermost outwards.
#pragma once

#include <cstddef>
#include <cstdint>

#include "stacktrace/unwind/code_module.hpp"
#include "stacktrace/unwind/expression.hpp"
#include "stacktrace/unwind/registers.hpp"
#include "stacktrace/unwind/stack_memory.hpp"

namespace codewake::internal {

/// Finds out whether stacks can be walked here. Thread-safe.
void prepare_stack_walks() noexcept;

/// Whether they can: else it is the C++ runtime's unwinder that does it. Async-signal-safe.
bool can_walk_stacks() noexcept;

/// A walk finds the callers by the call frame information of their modules; where a function has none, by the
/// frame pointer, if what it leads to looks like a frame. Whatever is damaged, the stack, the registers or
/// the tables, ends the walk: nothing is read that cannot be, and each frame but a signal's lies above the
/// last.
///
/// It allocates nothing, takes no lock, and has no descriptor. Async-signal-safe, thread-safe; one object is
/// for one thread.
class StackWalk {
 public:
  enum class Need {
    rbp,            // quick: the registers that functions rarely need are not followed
    all_registers,  // exact, at a tenth of the speed
  };
  enum class Step { caller, end, needs_registers };

  /// The calling thread's stack, from this point of it on.
  StackWalk(const Registers& here, Need need) noexcept;
  /// A stack that a signal has interrupted, maybe because it is damaged: all registers are followed.
  /// `is_behind_call`: the instruction is where a call would return to.
  StackWalk(const Registers& interrupted, bool is_behind_call) noexcept;

  /// Where the frame goes on: behind its call, as return addresses are. Where a signal interrupted it, this
  /// is one byte behind the instruction, as if that were a call. So the byte before is in the instruction,
  /// always.
  std::uintptr_t address() const noexcept { return lookup_address() + 1; }

  /// Goes to the caller. `needs_registers`: only a walk that follows all of them can go on from here.
  Step step() noexcept;

 private:
  static constexpr std::size_t kModules = 4;

  std::uintptr_t lookup_address() const noexcept {
    return registers_.values[Registers::kRip] - (is_interrupted_ ? 0 : 1);
  }
  const CodeModule* module_at(std::uintptr_t address) noexcept;
  Step step_by_rule(bool is_from_rbp, std::uint32_t cfa_offset, std::int32_t rbp_offset) noexcept;
  Step step_by_tables(const CodeModule& module) noexcept;
  Step step_by_frame_pointer() noexcept;
  Step finish_step(std::uintptr_t frame_address, std::uintptr_t caller) noexcept;
  Outcome find_value(const struct RegisterRule& rule, std::size_t number, std::uintptr_t frame_address,
                     const CodeModule& module, std::uint64_t& value) noexcept;

  Registers registers_;
  bool is_interrupted_;
  bool follows_all_;
  StackMemory memory_;
  CodeModule modules_[kModules];
  std::size_t newest_ = 0;
};

/// Calls `visit(address)` for the frames from `here` on, innermost first, until it returns false.
template <class Visit>
[[gnu::always_inline]] inline void walk_stack(const Registers& here, Visit visit) noexcept {
  std::size_t visited = 0;
  StackWalk::Step last = StackWalk::Step::caller;
  {
    StackWalk walk(here, StackWalk::Need::rbp);
    do {
      if (!visit(walk.address())) return;
      ++visited;
      last = walk.step();
    } while (last == StackWalk::Step::caller);
  }
  if (last != StackWalk::Step::needs_registers) return;
  StackWalk walk(here, StackWalk::Need::all_registers);
  for (std::size_t i = 0; walk.step() == StackWalk::Step::caller;) {
    if (++i >= visited && !visit(walk.address())) return;
  }
}

}  // namespace codewake::internal
