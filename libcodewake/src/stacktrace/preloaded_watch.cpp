#include "stacktrace/preloaded_watch.hpp"

#include <dlfcn.h>

namespace codewake::internal {
namespace {

template <class Function>
Function find(const char* name) noexcept {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

}  // namespace

bool is_preloaded_watching() noexcept {
  const auto is_watching = find<int (*)()>("codewake_is_watching");
  return is_watching != nullptr && is_watching() != 0;
}

void stop_preloaded_watching() noexcept {
  if (const auto stop = find<void (*)()>("codewake_stop_watching")) stop();
}

void observe_preloaded_throws(ThrowObserver observer) noexcept {
  if (const auto observe = find<void (*)(ThrowObserver)>("codewake_watch_throws")) observe(observer);
}

}  // namespace codewake::internal
