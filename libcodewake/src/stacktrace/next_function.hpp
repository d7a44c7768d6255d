// The function that one of this library's replaces.
#pragma once

#include <atomic>

namespace codewake::internal {

/// The definition of `name` that the caller would have without this library: the one behind it in the order
/// of linking, or else the first one, for a runtime may come ahead, or else that of any loaded module, for a
/// runtime may be in the scope of a plugin only. Null: no module has one. Looked up once and kept in `cache`.
/// Thread-safe; once it is known, async-signal-safe.
void* find_next_function(const char* name) noexcept;

template <class Function>
Function next_function(std::atomic<Function>& cache, const char* name) noexcept {
  if (const Function known = cache.load(std::memory_order_relaxed)) return known;
  const auto function = reinterpret_cast<Function>(find_next_function(name));
  cache.store(function, std::memory_order_relaxed);
  return function;
}

}  // namespace codewake::internal
