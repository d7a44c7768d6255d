#include "stacktrace/capture.hpp"

#include <dlfcn.h>
#include <link.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <iterator>

#include "codewake/stacktrace.hpp"
#include "stacktrace/boost_functions.hpp"

namespace codewake::internal {
namespace {

using Unwinder = int (*)(void** addresses, int size);

// So many frames of our own lie at most between a caller and `capture`.
constexpr std::size_t kOwnFrames = 16;
// unwind_by_boost writes one entry less than it has room for.
constexpr std::size_t kEndMark = 1;

// Set together, the unwinder last. No guard protects them: a thread that waits for another here could hold
// the dynamic linker's lock, which the other needs. Whoever finds nothing looks for itself, and finds the
// same.
constinit std::atomic<std::uintptr_t> own_begin{0};
constinit std::atomic<std::uintptr_t> own_end{0};
constinit std::atomic<Unwinder> unwinder{nullptr};

// libunwind may hold the dynamic linker's lock, which nobody frees in the child of a fork(). So a fork waits
// until no thread is in there, and lets none in meanwhile. Threads count in different places, or they would
// wait for each other's processor.
struct alignas(64) UnwindersAtWork {
  std::atomic<int> count{0};
};
constinit std::array<UnwindersAtWork, 32> at_work{};
constinit std::atomic<bool> is_forking{false};

std::atomic<int>& my_count() noexcept {
  static constinit thread_local char place = 0;
  // Threads' storage lies at regular distances.
  const auto address = reinterpret_cast<std::uintptr_t>(&place) * 0x9E3779B97F4A7C15u;
  return at_work[(address >> 40) % at_work.size()].count;
}

// libunwind takes a tenth of the time of the C++ runtime's unwinder. It must not be linked: its own _Unwind_*
// would replace the runtime's, and each throw would take ten times longer.
Unwinder find_unwinder() {
  // In a program under ThreadSanitizer, libunwind tidies up at a thread's end after the sanitizer has left
  // the thread: it locks a mutex then, which crashes.
  if (dlsym(RTLD_DEFAULT, "__tsan_init") != nullptr) return &unwind_by_boost;
  void* library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
  void* function = library == nullptr ? nullptr : dlsym(library, "unw_backtrace");
  return function == nullptr ? &unwind_by_boost : reinterpret_cast<Unwinder>(function);
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
  if (unwinder.load(std::memory_order_acquire) != nullptr) return;
  dl_iterate_phdr(&find_own_code, nullptr);
  unwinder.store(find_unwinder(), std::memory_order_release);
}

std::size_t copy_without_own_code(std::span<void* const> from, std::span<void*> to) noexcept {
  const std::uintptr_t begin = own_begin.load(std::memory_order_relaxed);
  const std::uintptr_t end = own_end.load(std::memory_order_relaxed);
  std::size_t copied = 0;
  for (void* const address : from) {
    if (copied == to.size()) break;
    const std::uintptr_t call = reinterpret_cast<std::uintptr_t>(address) - 1;
    if (call < begin || call >= end) to[copied++] = address;
  }
  return copied;
}

namespace {

__attribute__((always_inline)) inline std::size_t capture_by(Unwinder unwind,
                                                             std::span<void*> addresses) noexcept {
  void* found[Stacktrace::kMaxFrames + kOwnFrames + kEndMark];
  const std::size_t capacity = std::min(addresses.size() + kOwnFrames + kEndMark, std::size(found));
  int count = unwind(found, static_cast<int>(capacity));
  while (count > 0 && found[count - 1] == nullptr) --count;  // the outermost may have no caller
  return copy_without_own_code(std::span(found, static_cast<std::size_t>(std::max(count, 0))), addresses);
}

}  // namespace

std::size_t capture(std::span<void*> addresses) noexcept {
  prepare_capture();
  std::atomic<int>& count = my_count();
  count.fetch_add(1);
  const bool is_free = !is_forking.load();
  if (!is_free) count.fetch_sub(1);
  const std::size_t size =
      capture_by(is_free ? unwinder.load(std::memory_order_acquire) : &unwind_by_boost, addresses);
  if (is_free) count.fetch_sub(1, std::memory_order_release);
  return size;
}

void prepare_captures_here() noexcept {
  void* addresses[1];
  capture(addresses);
}

void stop_captures() noexcept {
  is_forking = true;
  // A signal handler may have interrupted one in this very thread, or a debugger: the fork goes on then.
  constexpr int kRounds = 1000;
  for (UnwindersAtWork& place : at_work) {
    for (int round = 0; place.count.load() != 0 && round < kRounds; ++round) {
      const timespec pause{.tv_sec = 0, .tv_nsec = 100'000};
      nanosleep(&pause, nullptr);
    }
  }
}

void let_captures_go_on(bool in_child) noexcept {
  if (in_child) {
    for (UnwindersAtWork& place : at_work) place.count = 0;
  }
  is_forking = false;
}

std::size_t capture_without_memory(std::span<void*> addresses) noexcept {
  return capture_by(&unwind_by_boost, addresses);
}

}  // namespace codewake::internal
