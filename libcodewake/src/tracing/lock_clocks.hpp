// What comes before whoever takes a lock next.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "codewake/store.hpp"
#include "codewake/vector_clock.hpp"

namespace codewake::internal {

/// Left behind by those who let the lock go. Thread-safe.
class LockClock {
 public:
  /// Whoever takes the lock knows this then: alone, of all before; shared, of those who had it alone.
  void take(class Execution& execution, bool is_shared) const;
  void leave(const VectorClock& clock, bool is_shared);

  // ── of an atomic variable, with its mutex held ──

  std::mutex& mutex() const;
  const VectorClock& published() const noexcept { return alone_; }
  void publish(const VectorClock& clock) { alone_ = clock; }

 private:
  VectorClock alone_, shared_;
};

/// Of locks that are known by name. Thread-safe.
class LockClocks {
 public:
  /// Of more names than this all are forgotten, and with them what they would have ordered.
  static constexpr std::size_t kMostNames = 65'536;

  std::shared_ptr<LockClock> find_or_make(std::string_view name);

 private:
  std::unordered_map<std::string, std::shared_ptr<LockClock>> clocks_;
};

/// Around fork(): nobody changes them meanwhile.
void lock_clocks_at_fork(ForkPhase phase) noexcept;

}  // namespace codewake::internal
