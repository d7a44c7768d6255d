// The function that one of this library's replaces.
#pragma once

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>

namespace codewake::internal {

/// The definition of `name` behind this library's in the order of linking, looked up once and kept in
/// `cache`. Ends the program where there is none: then there is no C or C++ runtime either. Thread-safe; once
/// it is known, async-signal-safe.
template <class Function>
Function next_function(std::atomic<Function>& cache, const char* name) noexcept {
  if (const Function known = cache.load(std::memory_order_relaxed)) return known;
  const auto function = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
  if (function == nullptr) std::abort();
  cache.store(function, std::memory_order_relaxed);
  return function;
}

}  // namespace codewake::internal
