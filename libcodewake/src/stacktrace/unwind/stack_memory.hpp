// Reading a stack without trusting what leads there.
#pragma once

#include <cstdint>

namespace codewake::internal {

/// Whether the page of the address can be read. A system call. Async-signal-safe, thread-safe.
bool is_readable(std::uintptr_t address) noexcept;

/// The eight bytes there, past every sanitizer.
inline std::uint64_t read_word(std::uintptr_t address) noexcept {
  std::uint64_t word;
  asm volatile("movq (%1), %0" : "=r"(word) : "r"(address));
  return word;
}

/// The stack that is walked: a range of pages that can be read, which grows as the walk comes to the next
/// one. Each thread remembers the range of its last walk, so that most walks make no system call.
///
/// Memory that another thread unmaps during a walk is not protected; a stack in use is never unmapped.
/// Async-signal-safe. One object is for one thread.
class StackMemory {
 public:
  /// The calling thread's own stack, on which it runs at `stack_pointer`. Remembers what it finds.
  explicit StackMemory(std::uintptr_t stack_pointer) noexcept;
  /// Any memory: each page is asked for, and nothing is remembered.
  StackMemory() noexcept = default;
  StackMemory(const StackMemory&) = delete;
  StackMemory& operator=(const StackMemory&) = delete;
  ~StackMemory();

  /// Whether [begin, end) can be read. Both are multiples of eight.
  bool covers(std::uintptr_t begin, std::uintptr_t end) noexcept {
    return (begin >= begin_ && end <= end_ && begin < end) || extend_over(begin, end);
  }

  /// False where the address is no multiple of eight, or cannot be read.
  bool load(std::uintptr_t address, std::uint64_t& word) noexcept {
    if (!covers(address, address + sizeof word)) return false;
    word = read_word(address);
    return true;
  }

  /// The walk goes on with another stack, which is not known.
  void leave() noexcept;

 private:
  bool extend_over(std::uintptr_t begin, std::uintptr_t end) noexcept;
  bool extend_to(std::uintptr_t page) noexcept;

  std::uintptr_t begin_ = 0;
  std::uintptr_t end_ = 0;
  std::uintptr_t remembered_begin_ = 0;
  std::uintptr_t remembered_end_ = 0;
  bool remembers_ = false;
};

}  // namespace codewake::internal
