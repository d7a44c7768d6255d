#include "stacktrace/alternate_stack.hpp"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <new>

#include "codewake/export.hpp"
#include "stacktrace/next_function.hpp"

namespace codewake::internal {
namespace {

using CreateFunction = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);

// Room for handlers of the program, too, that think that they are on the thread's own stack. What is not
// touched takes no memory.
constexpr std::size_t kStackBytes = 256 << 10;
constexpr std::size_t kGuardBytes = 64 << 10;

constinit std::atomic<bool> provides{true};
constinit std::atomic<CreateFunction> real_create{nullptr};

// The state of a processor that the kernel saves there may be large.
std::size_t stack_bytes() noexcept {
  return std::max<std::size_t>(kStackBytes, 4 * getauxval(AT_MINSIGSTKSZ));
}

// Below the stack lies what cannot be touched. The thread may have a stack of its own by now.
void take_back(void* memory) noexcept {
  stack_t now{};
  if (sigaltstack(nullptr, &now) != 0) return;
  if (now.ss_sp != static_cast<char*>(memory) + kGuardBytes) {
    munmap(memory, stack_bytes() + kGuardBytes);
    return;
  }
  stack_t none{};
  none.ss_flags = SS_DISABLE;
  if (sigaltstack(&none, nullptr) == 0) munmap(memory, stack_bytes() + kGuardBytes);
}

pthread_key_t stack_key() noexcept {
  static const pthread_key_t key = [] {
    pthread_key_t made{};
    pthread_key_create(&made, &take_back);
    return made;
  }();
  return key;
}

// Sanitizers do this by themselves, and do not expect to find code of ours at a thread's very begin.
bool is_sanitized() noexcept {
  static const bool sanitized =
      dlsym(RTLD_DEFAULT, "__tsan_init") != nullptr || dlsym(RTLD_DEFAULT, "__asan_init") != nullptr;
  return sanitized;
}

struct Start {
  void* (*function)(void*);
  void* argument;
};

void* begin_thread(void* data) {
  const Start start = *std::unique_ptr<Start>(static_cast<Start*>(data));
  provide_alternate_stack();
  return start.function(start.argument);
}

// The library is loaded by the program's first thread.
[[maybe_unused]] const bool first_thread_has_one = (provide_alternate_stack(), true);

}  // namespace

void provide_alternate_stack() noexcept {
  stack_t now{};
  if (sigaltstack(nullptr, &now) != 0 || (now.ss_flags & SS_DISABLE) == 0) return;
  const std::size_t bytes = stack_bytes();
  void* const memory = mmap(nullptr, bytes + kGuardBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return;
  mprotect(memory, kGuardBytes, PROT_NONE);
  stack_t ours{};
  ours.ss_sp = static_cast<char*>(memory) + kGuardBytes;
  ours.ss_size = bytes;
  if (sigaltstack(&ours, nullptr) != 0 || pthread_setspecific(stack_key(), memory) != 0) take_back(memory);
}

void stop_providing_alternate_stacks() noexcept {
  provides = false;
}

}  // namespace codewake::internal

extern "C" {
CODEWAKE_API int codewake_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                                         void* (*function)(void*), void* argument) noexcept
    __asm__("pthread_create");
}

int codewake_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*function)(void*),
                            void* argument) noexcept {
  using namespace codewake::internal;
  const CreateFunction real = next_function(real_create, "pthread_create");
  if (!provides.load(std::memory_order_relaxed) || is_sanitized()) {
    return real(thread, attributes, function, argument);
  }
  std::unique_ptr<Start> start(new (std::nothrow) Start{function, argument});
  if (start == nullptr) return real(thread, attributes, function, argument);
  const int error = real(thread, attributes, &begin_thread, start.get());
  if (error == 0) static_cast<void>(start.release());
  return error;
}
