#include "stacktrace/terminate_hook.hpp"

#include <atomic>
#include <cstdlib>
#include <exception>

#include "codewake/export.hpp"
#include "stacktrace/next_function.hpp"

namespace codewake::internal {
namespace {

using SetFunction = std::terminate_handler (*)(std::terminate_handler);

constinit std::atomic<SetFunction> real_set{nullptr};
constinit std::atomic<void (*)() noexcept> recorder{nullptr};
constinit std::atomic<std::terminate_handler> handler_of_program{nullptr};  // null: terminate is not ours

// Null: there is no C++ runtime.
std::terminate_handler real_set_terminate(std::terminate_handler handler) noexcept {
  const SetFunction real = next_function(real_set, "_ZSt13set_terminatePFvvE");
  return real == nullptr ? nullptr : real(handler);
}

// What the program's handler throws goes on to the runtime, which ends the program for that.
[[noreturn]] void on_terminate() {
  if (const auto record = recorder.load(std::memory_order_relaxed)) record();
  if (const std::terminate_handler handler = handler_of_program.load(std::memory_order_acquire)) handler();
  std::abort();
}

}  // namespace

void take_terminate(void (*record)() noexcept) noexcept {
  recorder.store(record, std::memory_order_relaxed);
  if (record == nullptr || handler_of_program.load(std::memory_order_acquire) != nullptr) return;
  std::terminate_handler none = nullptr;
  handler_of_program.compare_exchange_strong(none, real_set_terminate(&on_terminate));
}

}  // namespace codewake::internal

extern "C" {
CODEWAKE_API std::terminate_handler codewake_set_terminate(std::terminate_handler handler) noexcept
    __asm__("_ZSt13set_terminatePFvvE");
}

std::terminate_handler codewake_set_terminate(std::terminate_handler handler) noexcept {
  using namespace codewake::internal;
  std::terminate_handler before = handler_of_program.load(std::memory_order_acquire);
  while (before != nullptr && handler != nullptr) {
    if (handler_of_program.compare_exchange_weak(before, handler)) return before;
  }
  return real_set_terminate(handler);
}
