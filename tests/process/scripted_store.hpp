// A store that does what a test tells it to.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>

#include "codewake/errors.hpp"
#include "codewake/event.hpp"
#include "memory_store.hpp"

namespace codewake::testing {

/// Keeps its records in memory, fails when told to, and counts what it is asked.
class ScriptedStore : public MemoryStore {
 public:
  BatchResult write(const Batch& batch) override {
    ++writes;
    if (const auto kind = failure.load(); kind.has_value()) throw StoreError(*kind, "as told");
    if (throws_nonsense) throw 42;
    return MemoryStore::write(batch);
  }

  bool flush(std::chrono::nanoseconds) override {
    ++flushes;
    return true;
  }

  bool shutdown(std::chrono::nanoseconds timeout) override {
    ++shutdowns;
    shutdown_timeout = timeout;
    return true;
  }

  std::atomic<int> writes{0};
  std::atomic<int> flushes{0};
  std::atomic<int> shutdowns{0};
  std::atomic<std::optional<StoreError::Kind>> failure{};
  std::atomic<bool> throws_nonsense{false};
  std::chrono::nanoseconds shutdown_timeout{0};
};

}  // namespace codewake::testing
