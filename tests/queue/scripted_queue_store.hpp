// A queue in front of a store that does what a test tells it to, and what the tests of the queue share.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "codewake/config.hpp"
#include "codewake/queue_store.hpp"
#include "memory_store.hpp"
#include "support/journal_folder.hpp"

namespace codewake::testing {

/// Long enough for anything that happens at all.
inline constexpr std::chrono::seconds kLong{180};

/// Whether it becomes true before long.
template <class Predicate>
bool eventually(Predicate holds, std::chrono::nanoseconds timeout = kLong) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// What a store is to do, and what it was asked for. Thread-safe.
class Script {
 public:
  using Step = std::function<void(const Batch&)>;

  /// Called in each write before the store does anything, and after it has done all; what they throw, the
  /// store throws. Empty: nothing.
  void before_write(Step step) { set(before_, std::move(step)); }
  void after_write(Step step) { set(after_, std::move(step)); }
  void be_well() {
    before_write(nullptr);
    after_write(nullptr);
  }

  void before(const Batch& batch) {
    ++writes;
    {
      const std::lock_guard lock(mutex_);
      sizes_.push_back(batch.events.size());
    }
    if (const Step step = get(before_)) step(batch);
  }
  void after(const Batch& batch) {
    if (const Step step = get(after_)) step(batch);
  }

  /// The events of each batch that was to be written.
  std::vector<std::size_t> batch_sizes() const {
    const std::lock_guard lock(mutex_);
    return sizes_;
  }

  std::atomic<int> writes{0};

 private:
  void set(Step& place, Step step) {
    const std::lock_guard lock(mutex_);
    place = std::move(step);
  }
  Step get(const Step& place) const {
    const std::lock_guard lock(mutex_);
    return place;
  }

  mutable std::mutex mutex_;
  Step before_, after_;
  std::vector<std::size_t> sizes_;
};

/// Where a store waits until the test lets it go on.
class Gate {
 public:
  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
    --waiting_;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  bool wait_until_reached() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLong, [&] { return waiting_ != 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int waiting_ = 0;
};

/// Keeps its records in memory under a name; objects of one name are one storage.
class ScriptedBackend : public MemoryStore {
 public:
  explicit ScriptedBackend(const std::string& name, std::shared_ptr<Script> script = nullptr);

  BatchResult write(const Batch& batch) override;
  std::string identity() const override { return "scripted " + name_; }

 private:
  std::string name_;
  std::shared_ptr<Script> script_;
};

class ScriptedQueueStore : public QueueStore<ScriptedBackend> {
 public:
  using QueueStore::QueueStore;
};

/// A storage of its own with a journal of its own.
class QueueFixture {
 public:
  QueueFixture();

  /// Options that make a queue quick.
  Config::Queue options() const;

  std::shared_ptr<ScriptedQueueStore> make() const { return make(options()); }
  std::shared_ptr<ScriptedQueueStore> make(const Config::Queue& options) const;

  const std::string& name() const noexcept { return name_; }

  /// The storage, as a store that does not queue, and that fails never.
  MemoryStore& storage() { return storage_; }

  /// The values of this key in the storage, in the order of the ids.
  std::vector<std::string> values(const std::string& key = "n");

  const std::shared_ptr<Script> script = std::make_shared<Script>();
  const JournalFolder journal;

 private:
  std::string name_;
  MemoryStore storage_;
};

/// A process to log for, recorded without waiting.
void introduce(Store& store);

/// One event with one attribute.
std::optional<EventRecord> log(Store& store, std::string_view key, Value value, bool sync = false);

/// `from`, `from` + 1 … as text.
std::vector<std::string> numbers(int from, int count);

}  // namespace codewake::testing
