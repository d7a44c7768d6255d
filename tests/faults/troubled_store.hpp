// Stores that are there and are not, for programs that die meanwhile.
#pragma once

#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/queue_store.hpp"
#include "faults/target.hpp"

namespace codewake::testing {

/// Fails at random calls, in every way there is: before anything is done, after all is done, with words of
/// the contract and with others.
template <class Base>
class TroubledStore : public Base {
 public:
  TroubledStore(std::string dsn, const Trouble& trouble)
      : Base(std::move(dsn)), trouble_(trouble), random_(trouble.seed) {}

  BatchResult write(const Batch& batch) override {
    if (trouble_.is_away) throw StoreError(StoreError::Kind::unavailable, "away, as told");
    const int fate = draw(6);
    if (fate == 1) throw StoreError(StoreError::Kind::unavailable, "away, as told");
    if (fate == 2) throw StoreError(StoreError::Kind::in_doubt, "no answer, nothing stored, as told");
    if (fate == 3) throw std::runtime_error("nothing stored, as told");
    if (fate == 4) throw 42;
    BatchResult result = Base::write(batch);
    if (fate == 5) throw StoreError(StoreError::Kind::in_doubt, "no answer, all stored, as told");
    if (fate == 6) throw std::runtime_error("all stored, as told");
    return result;
  }

  std::vector<StoredPosition> get_positions(std::string_view prefix) override {
    fail_by(draw(2));
    return Base::get_positions(prefix);
  }

  void forget_positions(std::string_view prefix) override {
    fail_by(draw(2));
    Base::forget_positions(prefix);
  }

 private:
  static void fail_by(int fate) {
    if (fate == 1) throw StoreError(StoreError::Kind::unavailable, "away, as told");
    if (fate == 2) throw 42;
  }

  // 0: nothing happens; else one of so many fates.
  int draw(int fates) {
    const std::lock_guard lock(mutex_);
    if (std::uniform_real_distribution<>(0, 1)(random_) >= trouble_.part) return 0;
    return std::uniform_int_distribution<>(1, fates)(random_);
  }

  const Trouble trouble_;
  std::mutex mutex_;
  std::minstd_rand random_;
};

template <class Base>
class TroubledQueueStore : public QueueStore<TroubledStore<Base>> {
 public:
  using QueueStore<TroubledStore<Base>>::QueueStore;
};

}  // namespace codewake::testing
