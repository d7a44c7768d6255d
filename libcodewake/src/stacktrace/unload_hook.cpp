// Modules that are unloaded: `dlclose` is replaced, as `sigaction` is, so that a stack's addresses stay those
// of the modules that they were of.
#include <dlfcn.h>

#include <atomic>

#include "codewake/export.hpp"
#include "stacktrace/loaded_modules.hpp"
#include "stacktrace/next_function.hpp"
#include "stacktrace/sanitizers.hpp"

extern "C" {
CODEWAKE_API int codewake_close_module(void* module) noexcept CODEWAKE_REPLACES("dlclose");
}

namespace codewake::internal {
namespace {

constinit std::atomic<int (*)(void*)> real_close{nullptr};

}  // namespace
}  // namespace codewake::internal

int codewake_close_module(void* module) noexcept {
  using namespace codewake::internal;
  const auto close = next_function(real_close, "dlclose");
  if (close == nullptr) return -1;
  begin_module_epoch();
  const int result = close(module);
  end_module_epoch();
  return result;
}
