#include "stacktrace/alternate_stack.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <threads.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "codewake/export.hpp"
#include "stacktrace/fault_mask.hpp"
#include "stacktrace/next_function.hpp"
#include "stacktrace/sanitizers.hpp"

namespace codewake::internal {
namespace {

using CreateFunction = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
using PlainCreateFunction = int (*)(thrd_t*, thrd_start_t, void*);

// Room for handlers of the program, too, that take themselves to be on the thread's own stack: as much as
// that has. What is not touched takes no memory, but where the program has all its memory locked: there it is
// the smaller one.
constexpr std::size_t kStackBytes = 8 << 20;
constexpr std::size_t kLeastStackBytes = 1 << 20;
constexpr std::size_t kGuardBytes = 64 << 10;

constinit std::atomic<bool> provides{true};
constinit std::atomic<CreateFunction> real_create{nullptr};
constinit std::atomic<PlainCreateFunction> real_plain_create{nullptr};

// Not by the C library: a sanitizer comes here while it begins, before there is anything to look it up with.
int call_real_stack(const stack_t* stack, stack_t* before) noexcept {
  return static_cast<int>(syscall(SYS_sigaltstack, stack, before));
}

/// The thread's, where it has been given one of ours.
struct Stacks {
  void* memory = nullptr;  // ours; below the stack lies what cannot be touched
  std::size_t bytes = 0;   // of the stack
  stack_t of_program{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};  // what it believes to have
};
constinit thread_local Stacks stacks __attribute__((tls_model("initial-exec")));

// The state of a processor that the kernel saves there may be large.
std::size_t at_least_needed(std::size_t bytes) noexcept {
  return std::max<std::size_t>(bytes, 4 * getauxval(AT_MINSIGSTKSZ));
}

stack_t stack_in(void* memory, std::size_t bytes) noexcept {
  return {.ss_sp = static_cast<char*>(memory) + kGuardBytes, .ss_flags = 0, .ss_size = bytes};
}

// Null: there is no room for it, or it would take memory at once.
void* map_stack(std::size_t bytes, bool even_if_locked) noexcept {
  void* const memory = mmap(nullptr, bytes + kGuardBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  unsigned char is_resident = 0;
  const bool is_locked =
      mincore(static_cast<char*>(memory) + kGuardBytes, 1, &is_resident) == 0 && (is_resident & 1) != 0;
  if (!is_locked || even_if_locked) return memory;
  munmap(memory, bytes + kGuardBytes);
  return nullptr;
}

// The thread may have a stack of its own by now.
void take_back(void* memory) noexcept {
  stack_t now{};
  if (call_real_stack(nullptr, &now) != 0) return;
  if (now.ss_sp == stack_in(memory, stacks.bytes).ss_sp) {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    if (call_real_stack(&none, nullptr) != 0) return;
  }
  stacks.memory = nullptr;
  munmap(memory, stacks.bytes + kGuardBytes);
}

// Ours stays where the program's is smaller: its handlers are called from ours, and think of themselves only.
// Not where it is to be disarmed: a handler then leaves it for another stack, which is the kernel's business.
bool is_better_than_ours(const stack_t& stack) noexcept {
  constexpr unsigned kAutoDisarm = 1u << 31;
  if ((stack.ss_flags & SS_DISABLE) != 0) return false;
  return stack.ss_size >= (stacks.memory != nullptr ? stacks.bytes : at_least_needed(kStackBytes)) ||
         (static_cast<unsigned>(stack.ss_flags) & kAutoDisarm) != 0;
}

// What the kernel does, with ours in its place where the program's is none or small.
int set_stack_of_program(const stack_t& stack) noexcept {
  if (call_real_stack(&stack, nullptr) != 0 || call_real_stack(nullptr, &stacks.of_program) != 0) return -1;
  if (is_better_than_ours(stack)) return 0;
  const stack_t ours = stack_in(stacks.memory, stacks.bytes);
  return call_real_stack(&ours, nullptr);
}

pthread_key_t stack_key() noexcept {
  static const pthread_key_t key = [] {
    pthread_key_t made{};
    pthread_key_create(&made, &take_back);
    return made;
  }();
  return key;
}

/// How a thread begins; C11's are another kind.
template <class Result>
struct Start {
  Result (*function)(void*);
  void* argument;
};

template <class Result>
Result begin_thread(void* data) {
  const Start<Result> start = *static_cast<Start<Result>*>(data);
  std::free(data);
  provide_alternate_stack();
  begin_with_faults_unblocked();
  return start.function(start.argument);
}

/// Calls `create` with what is to begin the thread, which returns 0 where there is one.
template <class Result, class Create>
int create_thread(Result (*function)(void*), void* argument, Create create) noexcept {
  if (!provides.load(std::memory_order_relaxed) || is_sanitized()) return create(function, argument);
  void* const memory = std::malloc(sizeof(Start<Result>));
  if (memory == nullptr) return create(function, argument);
  auto* const start = new (memory) Start<Result>{function, argument};
  const BlockedFaults guard;
  const int error = create(&begin_thread<Result>, start);
  if (error != 0) std::free(start);
  return error;
}

}  // namespace

void provide_alternate_stack() noexcept {
  stack_t now{};
  if (stacks.memory != nullptr || call_real_stack(nullptr, &now) != 0) return;
  if ((now.ss_flags & SS_DISABLE) == 0 && (is_sanitized() || is_better_than_ours(now))) return;
  std::size_t bytes = at_least_needed(kStackBytes);
  void* memory = map_stack(bytes, false);
  if (memory == nullptr) {
    bytes = at_least_needed(kLeastStackBytes);
    memory = map_stack(bytes, true);
  }
  if (memory == nullptr) return;
  mprotect(memory, kGuardBytes, PROT_NONE);
  const stack_t ours = stack_in(memory, bytes);
  if (call_real_stack(&ours, nullptr) != 0) {
    munmap(memory, bytes + kGuardBytes);
    return;
  }
  stacks = {.memory = memory, .bytes = bytes, .of_program = now};
  if (pthread_setspecific(stack_key(), memory) != 0) take_back(memory);
}

bool is_on_alternate_stack(std::uintptr_t stack_pointer) noexcept {
  stack_t stack{};
  if (call_real_stack(nullptr, &stack) != 0 || (stack.ss_flags & SS_DISABLE) != 0) return true;
  const auto begin = reinterpret_cast<std::uintptr_t>(stack.ss_sp);
  return (stack_pointer >= begin && stack_pointer < begin + stack.ss_size) ||
         is_alternate_stack_overflown(stack_pointer);
}

bool is_alternate_stack_overflown(std::uintptr_t stack_pointer) noexcept {
  const auto begin = reinterpret_cast<std::uintptr_t>(stacks.memory);
  return begin != 0 && stack_pointer >= begin && stack_pointer < begin + kGuardBytes;
}

void stop_providing_alternate_stacks() noexcept {
  provides = false;
}

}  // namespace codewake::internal

extern "C" {
CODEWAKE_API int codewake_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                                         void* (*function)(void*), void* argument) noexcept
    CODEWAKE_REPLACES("pthread_create");
CODEWAKE_API int codewake_thrd_create(thrd_t* thread, thrd_start_t function, void* argument) noexcept
    CODEWAKE_REPLACES("thrd_create");
CODEWAKE_API int codewake_sigaltstack(const stack_t* stack, stack_t* before) noexcept
    CODEWAKE_REPLACES("sigaltstack");
}

int codewake_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*function)(void*),
                            void* argument) noexcept {
  using namespace codewake::internal;
  const CreateFunction real = next_function(real_create, "pthread_create");
  return create_thread(function, argument, [=](void* (*begin)(void*), void* data) {
    return real(thread, attributes, begin, data);
  });
}

int codewake_thrd_create(thrd_t* thread, thrd_start_t function, void* argument) noexcept {
  using namespace codewake::internal;
  const PlainCreateFunction real = next_function(real_plain_create, "thrd_create");
  static_assert(thrd_success == 0);
  return create_thread(function, argument,
                       [=](int (*begin)(void*), void* data) { return real(thread, begin, data); });
}

int codewake_sigaltstack(const stack_t* stack, stack_t* before) noexcept {
  using namespace codewake::internal;
  if (stacks.memory == nullptr || is_sanitized()) return call_real_stack(stack, before);
  stack_t told = stacks.of_program;
  stack_t now{};
  if (call_real_stack(nullptr, &now) != 0) return -1;
  if ((told.ss_flags & SS_DISABLE) == 0) told.ss_flags |= now.ss_flags & SS_ONSTACK;
  if (stack != nullptr && set_stack_of_program(*stack) != 0) return -1;
  if (before != nullptr) *before = told;
  return 0;
}
