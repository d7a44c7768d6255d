#include "stacktrace/capture.hpp"

#include <link.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <iterator>

#include "codewake/stacktrace.hpp"
#include "stacktrace/boost_functions.hpp"
#include "stacktrace/unwind/available.hpp"
#ifdef CODEWAKE_WALKS_STACKS
#include "stacktrace/unwind/stack_walk.hpp"
#endif

namespace codewake::internal {
namespace {

/// This library's own code; empty until it has been looked for.
struct OwnCode {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;

  bool has_call_before(std::uintptr_t address) const noexcept {
    return address - 1 >= begin && address - 1 < end;
  }
};

// No guard protects them: a thread that waits for another here could hold the dynamic linker's lock, which
// the other needs. Each thread that finds nothing looks for itself, and finds the same.
constinit std::atomic<std::uintptr_t> own_begin{0};
constinit std::atomic<std::uintptr_t> own_end{0};
constinit std::atomic<bool> is_prepared{false};

OwnCode own_code() noexcept {
  return {own_begin.load(std::memory_order_relaxed), own_end.load(std::memory_order_relaxed)};
}

int find_own_code(dl_phdr_info* info, std::size_t, void*) {
  const auto here = reinterpret_cast<std::uintptr_t>(&capture);
  std::uintptr_t begin = UINTPTR_MAX;
  std::uintptr_t end = 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    begin = std::min<std::uintptr_t>(begin, info->dlpi_addr + segment.p_vaddr);
    end = std::max<std::uintptr_t>(end, info->dlpi_addr + segment.p_vaddr + segment.p_memsz);
  }
  if (here < begin || here >= end) return 0;
  // Linked statically, our code cannot be told from the program's: then nothing is left out.
  const bool is_main_program = info->dlpi_name == nullptr || *info->dlpi_name == '\0';
  if (!is_main_program) {
    own_begin.store(begin, std::memory_order_relaxed);
    own_end.store(end, std::memory_order_relaxed);
  }
  return 1;
}

}  // namespace

void prepare_capture() noexcept {
  if (is_prepared.load(std::memory_order_acquire)) return;
  dl_iterate_phdr(&find_own_code, nullptr);
#ifdef CODEWAKE_WALKS_STACKS
  prepare_stack_walks();
#endif
  is_prepared.store(true, std::memory_order_release);
}

std::size_t copy_without_own_code(std::span<void* const> from, std::span<void*> to) noexcept {
  const OwnCode own = own_code();
  std::size_t copied = 0;
  for (void* const address : from) {
    if (copied == to.size()) break;
    if (!own.has_call_before(reinterpret_cast<std::uintptr_t>(address))) to[copied++] = address;
  }
  return copied;
}

std::size_t capture_by_runtime(std::span<void*> addresses) noexcept {
  // So many frames of our own lie at most between a caller and here.
  constexpr std::size_t kOwnFrames = 16;
  // unwind_by_boost writes one entry less than it has room for.
  constexpr std::size_t kEndMark = 1;
  void* found[Stacktrace::kMaxFrames + kOwnFrames + kEndMark];
  const std::size_t capacity = std::min(addresses.size() + kOwnFrames + kEndMark, std::size(found));
  int count = unwind_by_boost(found, static_cast<int>(capacity));
  while (count > 0 && found[count - 1] == nullptr) --count;  // the outermost may have no caller
  return copy_without_own_code(std::span(found, static_cast<std::size_t>(std::max(count, 0))), addresses);
}

std::size_t capture(std::span<void*> addresses) noexcept {
  prepare_capture();
#ifdef CODEWAKE_WALKS_STACKS
  if (addresses.empty()) return 0;
  if (can_walk_stacks()) {
    const OwnCode own = own_code();
    std::size_t size = 0;
    walk_stack(registers_here(), [&](std::uintptr_t address) {
      if (!own.has_call_before(address)) addresses[size++] = reinterpret_cast<void*>(address);
      return addresses.size() - size;
    });
    return size;
  }
#endif
  return capture_by_runtime(addresses);
}

}  // namespace codewake::internal
