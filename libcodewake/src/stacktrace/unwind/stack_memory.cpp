#include "stacktrace/unwind/stack_memory.hpp"

#include <errno.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstddef>

namespace codewake::internal {
namespace {

constexpr std::uintptr_t kPageBytes = 4096;
// A range grows over a frame as large as this, page by page; a larger frame begins a new range.
constexpr std::uintptr_t kMostBytesAtOnce = std::uintptr_t{1} << 20;

std::uintptr_t page_of(std::uintptr_t address) noexcept {
  return address & ~(kPageBytes - 1);
}

// The range that the thread's last walk has found: number of the first page, and how many there are. In one
// word, for a signal handler may walk between any two instructions.
constexpr unsigned kCountBits = 24;
constexpr std::uint64_t kCountMask = (std::uint64_t{1} << kCountBits) - 1;
constexpr std::uintptr_t kMostAddress = std::uintptr_t{1} << 52;
constinit thread_local std::atomic<std::uint64_t> remembered __attribute__((tls_model("initial-exec"))){0};

}  // namespace

// The kernel copies the new mask before it looks at `how`, which is none: so it answers EFAULT or EINVAL, and
// changes nothing. No descriptor takes part, as a pipe or process_vm_readv() for another process would need.
bool is_readable(std::uintptr_t address) noexcept {
  constexpr std::uint64_t kNoWay = ~std::uint64_t{0};
  constexpr std::uint64_t kMaskBytes = 8;
  std::int64_t result = SYS_rt_sigprocmask;
  register std::uint64_t size asm("r10") = kMaskBytes;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(kNoWay), "S"(address & ~(kMaskBytes - 1)), "d"(nullptr), "r"(size)
               : "rcx", "r11", "memory");
  return result == -EINVAL;
}

StackMemory::StackMemory(std::uintptr_t stack_pointer) noexcept : remembers_(true) {
  const std::uint64_t word = remembered.load(std::memory_order_relaxed);
  remembered_begin_ = (word >> kCountBits) * kPageBytes;
  remembered_end_ = remembered_begin_ + (word & kCountMask) * kPageBytes;
  if (stack_pointer >= remembered_begin_ && stack_pointer < remembered_end_) {
    begin_ = remembered_begin_;
    end_ = remembered_end_;
  } else {
    begin_ = page_of(stack_pointer);
    end_ = begin_ + kPageBytes;
  }
}

StackMemory::~StackMemory() {
  if (!remembers_ || (begin_ == remembered_begin_ && end_ == remembered_end_)) return;
  const std::uint64_t pages = (end_ - begin_) / kPageBytes;
  if (end_ >= kMostAddress || pages > kCountMask) return;
  remembered.store(begin_ / kPageBytes << kCountBits | pages, std::memory_order_relaxed);
}

void StackMemory::leave() noexcept {
  begin_ = end_ = 0;
}

bool StackMemory::extend_over(std::uintptr_t begin, std::uintptr_t end) noexcept {
  if ((begin & 7) != 0 || (end & 7) != 0 || end <= begin) return false;
  if (begin >= begin_ && end <= end_) return true;
  // The last word first: between the two nothing is left out, or else each is looked at.
  return extend_to(page_of(begin)) && extend_to(page_of(end - 1)) && begin >= begin_ && end <= end_;
}

bool StackMemory::extend_to(std::uintptr_t page) noexcept {
  if (page >= begin_ && page < end_) return true;
  if (end_ == 0 || page < begin_ || page - end_ >= kMostBytesAtOnce) {
    if (page >= remembered_begin_ && page < remembered_end_) {
      begin_ = remembered_begin_;
      end_ = remembered_end_;
      return true;
    }
    if (!is_readable(page)) return false;
    begin_ = page;
    end_ = page + kPageBytes;
    return true;
  }
  while (end_ <= page) {
    if (end_ == remembered_begin_) {
      end_ = remembered_end_;
    } else if (!is_readable(end_)) {
      return false;
    } else {
      end_ += kPageBytes;
    }
  }
  return true;
}

}  // namespace codewake::internal
