#include "tracing/lock_clocks.hpp"

#include <array>
#include <cstdint>
#include <mutex>

#include "tracing/execution.hpp"

namespace codewake::internal {
namespace {

// Few for many, so that a fork() can hold all of them.
constexpr std::size_t kMutexes = 16;

struct Mutexes {
  std::mutex names;
  std::array<std::mutex, kMutexes> clocks;
};

Mutexes& mutexes() {
  static auto& made = *new Mutexes;  // never destroyed: locks are taken until the very end
  return made;
}

}  // namespace

std::mutex& LockClock::mutex() const {
  return mutexes().clocks[reinterpret_cast<std::uintptr_t>(this) / sizeof(LockClock) % kMutexes];
}

void LockClock::take(Execution& execution, bool is_shared) const {
  const std::lock_guard lock(mutex());
  execution.merge(alone_);
  if (!is_shared) execution.merge(shared_);
}

void LockClock::leave(const VectorClock& clock, bool is_shared) {
  const std::lock_guard lock(mutex());
  if (is_shared) {
    shared_.merge(clock);
  } else {
    alone_ = clock;
    shared_ = {};
  }
}

std::shared_ptr<LockClock> LockClocks::find_or_make(std::string_view name) {
  const std::lock_guard lock(mutexes().names);
  if (clocks_.size() >= kMostNames && !clocks_.contains(std::string(name))) clocks_.clear();
  std::shared_ptr<LockClock>& clock = clocks_[std::string(name)];
  if (clock == nullptr) clock = std::make_shared<LockClock>();
  return clock;
}

void lock_clocks_at_fork(ForkPhase phase) noexcept {
  const auto each = [](auto change) {
    change(mutexes().names);
    for (std::mutex& mutex : mutexes().clocks) change(mutex);
  };
  if (phase == ForkPhase::before) {
    each([](std::mutex& mutex) { mutex.lock(); });
  } else {
    each([](std::mutex& mutex) { mutex.unlock(); });
  }
}

}  // namespace codewake::internal
