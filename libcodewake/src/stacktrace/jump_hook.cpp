#include "stacktrace/jump_hook.hpp"

#include <setjmp.h>

#include <atomic>

#include "codewake/export.hpp"
#include "stacktrace/next_function.hpp"
#include "stacktrace/sanitizers.hpp"

namespace codewake::internal {
namespace {

using JumpTarget = struct __jmp_buf_tag;
using JumpFunction = void (*)(JumpTarget*, int);

constinit std::atomic<JumpObserver> jump_observer{nullptr};

struct NextJump {
  const char* name;
  std::atomic<JumpFunction> function{nullptr};
};
constinit NextJump next_longjmp{"longjmp"};
constinit NextJump next_plain_longjmp{"_longjmp"};
constinit NextJump next_siglongjmp{"siglongjmp"};
constinit NextJump next_checked_longjmp{"__longjmp_chk"};

std::uintptr_t stack_pointer_at([[maybe_unused]] const JumpTarget& target) noexcept {
#if defined(__x86_64__) && defined(__LP64__) && defined(__GLIBC__)
  // As glibc keeps it: turned, and mixed with the thread's pointer guard.
  auto kept = static_cast<std::uintptr_t>(target.__jmpbuf[6]);
  asm("rorq $17, %0\n\txorq %%fs:0x30, %0" : "+r"(kept) : : "cc");
  return kept;
#else
  return 0;
#endif
}

[[noreturn]] void jump(NextJump& next, JumpTarget* target, int value) noexcept {
  if (const JumpObserver observe = jump_observer.load(std::memory_order_acquire)) {
    observe(stack_pointer_at(*target));
  }
  next_function(next.function, next.name)(target, value);
  __builtin_unreachable();
}

}  // namespace

void find_jumps() noexcept {
  for (NextJump* const next : {&next_longjmp, &next_plain_longjmp, &next_siglongjmp, &next_checked_longjmp}) {
    next_function(next->function, next->name);
  }
}

void observe_jumps(JumpObserver observer) noexcept {
  jump_observer.store(observer, std::memory_order_release);
}

}  // namespace codewake::internal

extern "C" {
[[noreturn]] CODEWAKE_API void codewake_longjmp(struct __jmp_buf_tag* target, int value)
    CODEWAKE_REPLACES("longjmp");
[[noreturn]] CODEWAKE_API void codewake_plain_longjmp(struct __jmp_buf_tag* target, int value)
    CODEWAKE_REPLACES("_longjmp");
[[noreturn]] CODEWAKE_API void codewake_siglongjmp(struct __jmp_buf_tag* target, int value)
    CODEWAKE_REPLACES("siglongjmp");
[[noreturn]] CODEWAKE_API void codewake_checked_longjmp(struct __jmp_buf_tag* target, int value)
    CODEWAKE_REPLACES("__longjmp_chk");
}

void codewake_longjmp(struct __jmp_buf_tag* target, int value) {
  using namespace codewake::internal;
  jump(next_longjmp, target, value);
}

void codewake_plain_longjmp(struct __jmp_buf_tag* target, int value) {
  using namespace codewake::internal;
  jump(next_plain_longjmp, target, value);
}

void codewake_siglongjmp(struct __jmp_buf_tag* target, int value) {
  using namespace codewake::internal;
  jump(next_siglongjmp, target, value);
}

// What the others are to a program that is compiled with _FORTIFY_SOURCE.
void codewake_checked_longjmp(struct __jmp_buf_tag* target, int value) {
  using namespace codewake::internal;
  jump(next_checked_longjmp, target, value);
}
