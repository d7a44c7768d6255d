// The same stack by the library's walk and by the C++ runtime's unwinder.
#pragma once

#include <unwind.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace codewake::testing {

using Addresses = std::vector<std::uintptr_t>;

struct TwoWalks {
  static constexpr std::size_t kMost = 256;

  std::uintptr_t ours[kMost];
  std::uintptr_t theirs[kMost];
  std::size_t our_size = 0;
  std::size_t their_size = 0;

  /// From the calling function on, which is the first entry of both. `quickly`: as a capture does it, else
  /// following all registers. Allocates nothing: for signal handlers.
  void walk(bool quickly) noexcept;

  /// The addresses after the first are the same.
  bool agree() const noexcept;
  /// The same, and ours may go on where theirs ends: what the compiler adds to a module has no tables.
  bool agree_as_far_as_theirs() const noexcept;
  std::string text() const;
};

}  // namespace codewake::testing
