#include "watch/throws.hpp"

#include <unwind.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <typeinfo>

#include "codewake/export.hpp"
#include "codewake/stacktrace.hpp"
#include "stacktrace/crash_handler.hpp"
#include "stacktrace/next_function.hpp"
#include "stacktrace/thrown_stacks.hpp"

// Where this library begins and ends.
extern "C" const char __ehdr_start __attribute__((visibility("hidden")));
extern "C" const char _end __attribute__((visibility("hidden")));

namespace codewake::internal {
namespace {

using ThrowFunction = void (*)(void*, std::type_info*, ExceptionDestructor);

constinit std::atomic<ThrowFunction> real_throw{nullptr};
constinit std::atomic<bool> keeps{false};
constinit std::atomic<bool> is_first{false};
constinit std::atomic<ThrowObserver> throw_observer{nullptr};

// Stands in for the destructor of each exception whose stack is kept.
void destroy_thrown(void* object) {
  if (const ExceptionDestructor destructor = drop_thrown_stack(object)) destructor(object);
}

struct Walk {
  std::span<void*> addresses;
  std::size_t size = 0;
};

_Unwind_Reason_Code on_frame(_Unwind_Context* context, void* data) {
  auto& walk = *static_cast<Walk*>(data);
  const auto address = static_cast<std::uintptr_t>(_Unwind_GetIP(context));
  if (address == 0 || walk.size == walk.addresses.size()) return _URC_END_OF_STACK;
  const bool is_ours = address - 1 >= reinterpret_cast<std::uintptr_t>(&__ehdr_start) &&
                       address - 1 < reinterpret_cast<std::uintptr_t>(&_end);
  if (!is_ours) walk.addresses[walk.size++] = reinterpret_cast<void*>(address);
  return _URC_NO_REASON;
}

// Apart, so that the usual way is a jump into the runtime.
[[gnu::noinline]] ExceptionDestructor keep(void* object, const std::type_info* type,
                                           ExceptionDestructor destructor) noexcept {
  if (is_first.load(std::memory_order_relaxed) && is_first.exchange(false)) watch_for_terminate();
  void* addresses[Stacktrace::kMaxFrames];
  const std::span<void*> found(addresses, capture_here(addresses));
  if (const ThrowObserver observe = throw_observer.load(std::memory_order_acquire))
    observe(object, *type, found);
  return keep_thrown_stack(object, destructor, found, 0) ? &destroy_thrown : destructor;
}

}  // namespace

std::size_t capture_here(std::span<void*> addresses) noexcept {
  Walk walk{.addresses = addresses};
  _Unwind_Backtrace(&on_frame, &walk);
  return walk.size;
}

void keep_throws(bool watches_terminate) noexcept {
  guard_thrown_stacks_at_fork();
  is_first.store(watches_terminate, std::memory_order_relaxed);
  keeps.store(true, std::memory_order_relaxed);
}

void stop_keeping_throws() noexcept {
  keeps.store(false, std::memory_order_relaxed);
}

void pass_throws_to(ThrowObserver observer) noexcept {
  throw_observer.store(observer, std::memory_order_release);
}

}  // namespace codewake::internal

// Under a name of its own, as in throw_hook.cpp: it must seem to return, so that its last call becomes a
// jump.
extern "C" CODEWAKE_API void codewake_watch_throw(void* object, std::type_info* type,
                                                  void (*destructor)(void*)) __asm__("__cxa_throw");

void codewake_watch_throw(void* object, std::type_info* type, void (*destructor)(void*)) {
  using namespace codewake::internal;
  const ThrowFunction real = next_function(real_throw, "__cxa_throw");
  if (real == nullptr) std::abort();  // the one that called it has a runtime
  if (keeps.load(std::memory_order_relaxed)) destructor = keep(object, type, destructor);
  return real(object, type, destructor);
}
