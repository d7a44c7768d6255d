// The registers of a frame, by their DWARF numbers: System V ABI, AMD64 supplement, figure 3.36.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

namespace codewake::internal {

struct Registers {
  static constexpr std::size_t kRbp = 6;
  static constexpr std::size_t kRsp = 7;
  static constexpr std::size_t kRip = 16;  // DWARF calls it the return address
  static constexpr std::size_t kCount = 17;

  std::uint64_t values[kCount];
  std::uint32_t known = 0;  // one bit for each; a value that is not known is not set

  bool is_known(std::size_t number) const noexcept { return number < kCount && ((known >> number) & 1) != 0; }
  void set(std::size_t number, std::uint64_t value) noexcept {
    values[number] = value;
    known |= std::uint32_t{1} << number;
  }
  void forget(std::size_t number) noexcept { known &= ~(std::uint32_t{1} << number); }
};

/// Those that a call preserves, at this point of the calling function.
[[gnu::always_inline]] inline Registers registers_here() noexcept {
  Registers here;
  std::uint64_t instruction;
  asm volatile(
      "movq %%rbx, 24(%1)\n\t"
      "movq %%rbp, 48(%1)\n\t"
      "movq %%rsp, 56(%1)\n\t"
      "movq %%r12, 96(%1)\n\t"
      "movq %%r13, 104(%1)\n\t"
      "movq %%r14, 112(%1)\n\t"
      "movq %%r15, 120(%1)\n\t"
      "leaq (%%rip), %0"
      : "=&r"(instruction)
      : "r"(here.values)
      : "memory");
  here.values[Registers::kRip] = instruction;
  here.known = 1u << 3 | 1u << Registers::kRbp | 1u << Registers::kRsp | 0xFu << 12 | 1u << Registers::kRip;
  return here;
}

/// All of them, where a signal has interrupted a thread.
inline Registers registers_of(const ucontext_t& context) noexcept {
  constexpr int kOrder[Registers::kCount] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                             REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                             REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
  Registers all;
  for (std::size_t i = 0; i < Registers::kCount; ++i) {
    all.set(i, static_cast<std::uint64_t>(context.uc_mcontext.gregs[kOrder[i]]));
  }
  return all;
}

}  // namespace codewake::internal
