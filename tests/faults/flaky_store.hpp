// Stores that are there and are not, for programs that die meanwhile.
#pragma once

#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/queue_store.hpp"
#include "codewake/sqlite_store.hpp"

namespace codewake::testing {

/// Fails at random calls, in every way there is: before anything is done, after all is done, with words of
/// the contract and with others.
class FlakyStore : public SqliteStore {
 public:
  /// `part`: of the calls, how many fail; from 0 to 1.
  FlakyStore(std::string dsn, double part, std::uint64_t seed)
      : SqliteStore(std::move(dsn)), part_(part), random_(seed) {}

  BatchResult write(const Batch& batch) override {
    const int fate = draw(6);
    if (fate == 1) throw StoreError(StoreError::Kind::unavailable, "away, as told");
    if (fate == 2) throw StoreError(StoreError::Kind::in_doubt, "no answer, nothing stored, as told");
    if (fate == 3) throw std::runtime_error("nothing stored, as told");
    if (fate == 4) throw 42;
    BatchResult result = SqliteStore::write(batch);
    if (fate == 5) throw StoreError(StoreError::Kind::in_doubt, "no answer, all stored, as told");
    if (fate == 6) throw std::runtime_error("all stored, as told");
    return result;
  }

  std::vector<StoredPosition> get_positions(std::string_view prefix) override {
    const int fate = draw(2);
    if (fate == 1) throw StoreError(StoreError::Kind::unavailable, "away, as told");
    if (fate == 2) throw 42;
    return SqliteStore::get_positions(prefix);
  }

  void forget_positions(std::string_view prefix) override {
    const int fate = draw(2);
    if (fate == 1) throw StoreError(StoreError::Kind::unavailable, "away, as told");
    if (fate == 2) throw 42;
    SqliteStore::forget_positions(prefix);
  }

 private:
  // 0: nothing happens; else one of so many fates.
  int draw(int fates) {
    const std::lock_guard lock(mutex_);
    if (std::uniform_real_distribution<>(0, 1)(random_) >= part_) return 0;
    return std::uniform_int_distribution<>(1, fates)(random_);
  }

  const double part_;
  std::mutex mutex_;
  std::minstd_rand random_;
};

class FlakyQueueStore : public QueueStore<FlakyStore> {
 public:
  using QueueStore::QueueStore;
};

/// Takes nothing.
class AwayStore : public SqliteStore {
 public:
  using SqliteStore::SqliteStore;
  BatchResult write(const Batch&) override {
    throw StoreError(StoreError::Kind::unavailable, "away, as told");
  }
};

class AwayQueueStore : public QueueStore<AwayStore> {
 public:
  using QueueStore::QueueStore;
};

}  // namespace codewake::testing
