// The end of a program past its destructors: `_exit` is replaced, as `sigaction` is.
#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "codewake/export.hpp"
#include "stacktrace/crash_handler.hpp"
#include "stacktrace/next_function.hpp"
#include "stacktrace/sanitizers.hpp"

extern "C" {
[[noreturn]] CODEWAKE_API void codewake_exit(int status) noexcept CODEWAKE_REPLACES("_exit");
[[noreturn]] CODEWAKE_API void codewake_iso_exit(int status) noexcept CODEWAKE_REPLACES("_Exit");
}

namespace codewake::internal {
namespace {

constinit std::atomic<void (*)(int)> real_exit{nullptr};

}  // namespace

void find_exit() noexcept {
  next_function(real_exit, "_exit");
}

}  // namespace codewake::internal

void codewake_exit(int status) noexcept {
  using namespace codewake::internal;
  forget_left_fault();
  next_function(real_exit, "_exit")(status);
  __builtin_unreachable();
}

void codewake_iso_exit(int status) noexcept {
  codewake_exit(status);
}
