#include "shapes.hpp"

#include <alloca.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>

// Keeps what points there, and the call before from being the last: a jump would leave no frame.
#define KEEP(pointer) asm volatile("" : : "r"(pointer) : "memory")
#define NOINLINE [[gnu::noinline]]

namespace codewake::testing {
namespace {

NOINLINE void plain(Look look) {
  look();
  KEEP(&look);
}

NOINLINE int deep(Look look, int levels) {
  const int below = levels == 0 ? (look(), 0) : deep(look, levels - 1);
  KEEP(&look);
  return below + 1;
}
void recursion(Look look) {
  deep(look, 60);
}

NOINLINE void with_room(Look look, std::size_t bytes) {
  auto* const room = static_cast<char*>(alloca(bytes));
  std::memset(room, 1, bytes);
  plain(look);
  KEEP(room);
}
void room_on_the_stack(Look look) {
  for (const std::size_t bytes : {1, 100, 5000}) with_room(look, bytes);
}

NOINLINE void aligned(Look look) {
  alignas(64) char local[64];
  std::memset(local, 1, sizeof local);
  plain(look);
  KEEP(local);
}

NOINLINE void aligned_with_room(Look look, std::size_t bytes, int a, int b, int c, int d, int e, int f) {
  alignas(128) char local[128];
  auto* const room = static_cast<char*>(alloca(bytes));
  std::memset(local, a + b + c + d + e + f, sizeof local);
  aligned(look);
  KEEP(local);
  KEEP(room);
  KEEP(&f);
}
void over_aligned(Look look) {
  aligned(look);
  aligned_with_room(look, 300, 1, 2, 3, 4, 5, 6);
}

NOINLINE void large(Look look) {
  char local[3 << 20];
  KEEP(local);
  plain(look);
  KEEP(local);
}

NOINLINE long many_arguments(Look look, long a, long b, long c, long d, long e, long f, long g, long h,
                             long i) {
  plain(look);
  KEEP(&look);
  return a + b + c + d + e + f + g + h + i;
}
NOINLINE void arguments_on_the_stack(Look look) {
  const long a = many_arguments(look, 1, 2, 3, 4, 5, 6, 7, 8, 9);
  const long b = many_arguments(look, a, a, a, a, a, a, a, a, a);
  KEEP(&b);
}

// All registers that a call preserves are in use.
NOINLINE void busy(Look look, const long* v) {
  long a = v[0], b = v[1], c = v[2], d = v[3], e = v[4], f = v[5], g = v[6];
  for (int i = 0; i < 2; ++i) {
    plain(look);
    a += b, b ^= c, c += d, d ^= e, e += f, f ^= g, g += a;
  }
  KEEP(a + b + c + d + e + f + g);
}
void busy_registers(Look look) {
  const long values[7] = {1, 2, 3, 4, 5, 6, 7};
  busy(look, values);
}

struct Base {
  virtual ~Base() = default;
  virtual void call(Look look) = 0;
};
struct Derived : Base {
  NOINLINE void call(Look look) override { plain(look); }
};
void virtual_call(Look look) {
  const std::unique_ptr<Base> object = std::make_unique<Derived>();
  KEEP(object.get());
  object->call(look);
}

void function_object(Look look) {
  int calls = 0;
  const std::function<void(int)> call = [&](int) {
    plain(look);
    ++calls;
  };
  KEEP(&call);
  call(1);
}

Look look_of_comparison;
NOINLINE int compare(const void*, const void*) {
  plain(look_of_comparison);
  return 0;
}
void callback_of_the_c_library(Look look) {
  int numbers[2] = {2, 1};
  look_of_comparison = look;
  std::qsort(numbers, 2, sizeof *numbers, compare);
}

struct LooksAtTheEnd {
  Look look;
  NOINLINE ~LooksAtTheEnd() { plain(look); }
};
NOINLINE void thrower(Look look) {
  const LooksAtTheEnd guard{look};
  throw std::runtime_error("thrown");
}
void exception(Look look) {
  try {
    thrower(look);
  } catch (const std::runtime_error&) {
    plain(look);
  }
}

jmp_buf back;
[[noreturn]] NOINLINE void never_returns(Look look) {
  plain(look);
  longjmp(back, 1);
}
// Its last instruction is a call: the return address is another function's.
[[noreturn]] NOINLINE void ends_with_call(Look look) {
  never_returns(look);
}
void call_at_the_end(Look look) {
  if (setjmp(back) == 0) ends_with_call(look);
}

NOINLINE void* begin_thread(void* look) {
  plain(reinterpret_cast<Look>(look));
  return nullptr;
}
void thread(Look look) {
  pthread_t made;
  if (pthread_create(&made, nullptr, begin_thread, reinterpret_cast<void*>(look)) == 0)
    pthread_join(made, nullptr);
}

ucontext_t caller_context, coroutine_context;
Look look_of_coroutine;
void coroutine_body() {
  plain(look_of_coroutine);
}
void coroutine(Look look) {
  constexpr std::size_t kBytes = 256 << 10;
  const std::unique_ptr<char[]> stack(new char[kBytes]);
  look_of_coroutine = look;
  getcontext(&coroutine_context);
  coroutine_context.uc_stack.ss_sp = stack.get();
  coroutine_context.uc_stack.ss_size = kBytes;
  coroutine_context.uc_link = &caller_context;
  makecontext(&coroutine_context, coroutine_body, 0);
  swapcontext(&caller_context, &coroutine_context);
}

Look look_of_handler;
void handler(int) {
  plain(look_of_handler);
}
void with_handler(Look look, int flags, void (*work)()) {
  look_of_handler = look;
  struct sigaction action {
  }, before{};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(SIGUSR2, &action, &before);
  work();
  sigaction(SIGUSR2, &before, nullptr);
}
void signal_handler(Look look) {
  with_handler(look, 0, [] { raise(SIGUSR2); });
}
void on_another_stack(Look look) {
  constexpr std::size_t kBytes = 256 << 10;
  const std::unique_ptr<char[]> memory(new char[kBytes]);
  stack_t stack{}, before{};
  stack.ss_sp = memory.get();
  stack.ss_size = kBytes;
  sigaltstack(&stack, &before);
  with_handler(look, SA_ONSTACK, [] { raise(SIGUSR2); });
  sigaltstack(&before, nullptr);
}

sigjmp_buf after_fault;
void fault_handler(int) {
  plain(look_of_handler);
  siglongjmp(after_fault, 1);
}
NOINLINE int leaf(const volatile int* nothing) {
  return *nothing;
}
void fault_in_a_leaf(Look look) {
  look_of_handler = look;
  struct sigaction action {
  }, before{};
  action.sa_handler = fault_handler;
  sigaction(SIGSEGV, &action, &before);
  const volatile int* nothing = nullptr;
  KEEP(&nothing);
  if (sigsetjmp(after_fault, 1) == 0) leaf(nothing);
  sigaction(SIGSEGV, &before, nullptr);
}

constexpr Shape kShapes[] = {{"plain", plain},
                             {"recursion", recursion},
                             {"room on the stack", room_on_the_stack},
                             {"over-aligned", over_aligned},
                             {"large frame", large},
                             {"arguments on the stack", arguments_on_the_stack},
                             {"busy registers", busy_registers},
                             {"virtual call", virtual_call},
                             {"function object", function_object},
                             {"callback of the C library", callback_of_the_c_library},
                             {"exception", exception},
                             {"call at the end", call_at_the_end},
                             {"thread", thread},
                             {"coroutine", coroutine},
                             {"signal handler", signal_handler},
                             {"handler on another stack", on_another_stack},
                             {"fault in a leaf", fault_in_a_leaf},
                             {nullptr, nullptr}};

}  // namespace
}  // namespace codewake::testing

const codewake::testing::Shape* codewake_shapes() {
  return codewake::testing::kShapes;
}
