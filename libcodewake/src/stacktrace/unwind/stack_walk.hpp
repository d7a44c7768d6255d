// From frame to frame, from the innermost outwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

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

  /// Goes from caller to caller and writes their addresses, `found` of them: `caller` where there is no room
  /// for more. The same as steps, but quicker.
  Step steps(std::span<std::uintptr_t> addresses, std::size_t& found) noexcept;

 private:
  static constexpr std::size_t kModules = 4;

  std::uintptr_t lookup_address() const noexcept {
    return registers_.values[Registers::kRip] - (is_interrupted_ ? 0 : 1);
  }
  const CodeModule* module_at(std::uintptr_t address) noexcept;
  std::size_t steps_by_rules(std::span<std::uintptr_t> addresses) noexcept;
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

/// Calls `visit(address)` for the frames from `here` on, innermost first. It returns how many more are wanted
/// at least, and 0 for none.
template <class Visit>
void walk_stack(const Registers& here, Visit visit) noexcept {
  constexpr std::size_t kAtOnce = 32;
  std::uintptr_t addresses[kAtOnce];
  std::size_t visited = 1;
  StackWalk::Step last = StackWalk::Step::caller;
  {
    StackWalk walk(here, StackWalk::Need::rbp);
    std::size_t wanted = visit(walk.address());
    while (wanted != 0 && last == StackWalk::Step::caller) {
      std::size_t found = 0;
      last = walk.steps(std::span(addresses, wanted < kAtOnce ? wanted : kAtOnce), found);
      for (std::size_t i = 0; i < found && wanted != 0; ++i) wanted = visit(addresses[i]);
      visited += found;
    }
  }
  if (last != StackWalk::Step::needs_registers) return;
  StackWalk walk(here, StackWalk::Need::all_registers);
  for (std::size_t i = 1; walk.step() == StackWalk::Step::caller; ++i) {
    if (i >= visited && visit(walk.address()) == 0) return;
  }
}

}  // namespace codewake::internal
