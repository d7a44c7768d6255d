#include "stacktrace/preloaded_watch.hpp"

#include <dlfcn.h>

#include "stacktrace/crash_handler.hpp"

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

void share_with_preloaded_watch() noexcept {
  static OtherWatch watch{};
  if (!is_preloaded_watching()) return;
  watch = {.use_page = find<void (*)(CrashPage*) noexcept>("codewake_use_crash_page"),
           .is_dying = find<bool (*)() noexcept>("codewake_is_dying")};
  if (watch.use_page != nullptr && watch.is_dying != nullptr) leave_crashes_to(watch);
}

void stop_preloaded_watching() noexcept {
  if (const auto stop = find<void (*)()>("codewake_stop_watching")) stop();
}

void observe_preloaded_throws(ThrowObserver observer) noexcept {
  if (const auto observe = find<void (*)(ThrowObserver)>("codewake_watch_throws")) observe(observer);
}

}  // namespace codewake::internal
