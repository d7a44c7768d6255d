// QueueStore: a mixin that turns any store into one that queues.
//
//     class MyQueueStore : public codewake::QueueStore<MyStore> {
//      public:
//       using QueueStore::QueueStore;
//     };
//
// `insert_event` writes the event into a journal in shared memory, and returns; a thread of the store commits
// what is in the journal, in batches, through MyStore::write. What was accepted survives the program's death,
// by whatever signal, and is stored exactly once: by the next program with the same store, or by `codewake
// recover`. See the section `queue` of the configuration for what can be chosen.
#pragma once

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "codewake/config.hpp"
#include "codewake/export.hpp"
#include "codewake/store.hpp"

namespace codewake {

namespace internal {

/// What a queue asks of the store that it is mixed into. Called by the committer's thread, but for
/// `get_…_by_id` and `shutdown`.
class QueueBackend {
 public:
  virtual BatchResult write(const Batch& batch) = 0;
  virtual bool stores_trace_events() const noexcept = 0;
  virtual std::optional<EventRecord> get_event_by_id(Id id) = 0;
  virtual std::optional<ProcessRecord> get_process_by_id(Id id) = 0;
  virtual std::vector<StoredPosition> get_positions(std::string_view prefix) = 0;
  virtual void forget_positions(std::string_view prefix) = 0;
  virtual bool shutdown(std::chrono::nanoseconds timeout) = 0;
  virtual void at_fork(ForkPhase phase) noexcept = 0;
  /// The process of the journal has this id now; 0: none.
  virtual void set_process_id(Id id) noexcept = 0;

 protected:
  ~QueueBackend() = default;
};

/// Which storage a queue writes to, and how it shows that.
struct QueueTarget {
  std::string identity = {};    ///< of the backend; may be empty
  std::string class_name = {};  ///< of the backend, mangled
  std::vector<std::string> parameters = {};
};

/// The queue itself: everything about QueueStore that does not depend on the backend. Thread-safe.
class CODEWAKE_API Queue {
 public:
  /// Makes nothing yet: the journal and the threads come with the first process or event.
  Queue(QueueBackend& backend, const Config::Queue& options, QueueTarget target);
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  /// Shuts down within the exit timeout. Waits for a write of the backend that is under way, however long
  /// that takes, since the backend goes next.
  ~Queue();

  std::optional<ProcessRecord> insert_process(const ProcessInfo& info, bool sync);
  std::optional<EventRecord> insert_event(const EventInput& event, bool sync);
  void insert_trace_event(const TraceEventInput& event);

  /// The way of nearly all events: of now, of the process that was recorded last, and without a stack. False,
  /// and nothing done, where it takes more than that: `insert_event` then.
  bool insert_quickly(std::span<const AttributeArgument> data) noexcept;

  bool flush(std::chrono::nanoseconds timeout);
  bool shutdown(std::chrono::nanoseconds timeout);
  StoreStats stats() const;

  /// An event was lost before the queue had it: it is counted and told as the queue's own losses are.
  __attribute__((visibility("hidden"))) void count_loss() noexcept;

  /// Has a crash of this process written into the journal; before there is one, into a journal that is made
  /// then. Throws std::system_error where there is no room for it.
  __attribute__((visibility("hidden"))) void provide_crash_page(const ProcessInfo& process);

  class __attribute__((visibility("hidden"))) Impl;

 private:
  friend class Impl;

  // What a thread's lane was taken for: changes with the journal, and when a process introduces itself. 0:
  // closed, or not begun.
  std::atomic<std::uint64_t> epoch_{0};
  std::unique_ptr<Impl> impl_;
};

inline std::vector<std::string> parameters_of(const std::vector<std::string>& parameters) {
  return parameters;
}
template <class First, class... Rest>
std::vector<std::string> parameters_of(const First& first, const Rest&...) {
  if constexpr (std::convertible_to<const First&, std::string>) return {std::string(first)};
  return {};
}
inline std::vector<std::string> parameters_of() {
  return {};
}

}  // namespace internal

/// `Backend`, with a queue in front of `insert_event` and `insert_process`. Reading, removing, `write` and
/// `insert_app` are the backend's own, and wait for it.
template <class Backend>
class QueueStore : public Backend {
 public:
  /// Makes the backend of `arguments`. The options of the queue are those of the configuration (Config::load:
  /// may throw ConfigError).
  template <class... Arguments>
  requires std::constructible_from<Backend, Arguments...>
  explicit QueueStore(Arguments&&... arguments)
      : QueueStore(Config::load().queue, std::forward<Arguments>(arguments)...) {}

  /// The same with options of the program's own.
  template <class... Arguments>
  requires std::constructible_from<Backend, Arguments...>
  explicit QueueStore(const Config::Queue& options, Arguments&&... arguments)
      : QueueStore(options, internal::parameters_of(arguments...), InOrder(),
                   std::forward<Arguments>(arguments)...) {}

  /// As Queue's destructor.
  ~QueueStore() override = default;

  /// Writes the process into the journal, and makes that first if need be, which takes a millisecond. With
  /// `sync` waits until it is stored. Throws StoreError with `sync`, and where the journal is full or closed.
  std::optional<ProcessRecord> insert_process(const ProcessInfo& info, bool sync = true) override {
    return queue_.insert_process(info, sync);
  }

  /// Writes the event into the journal: once it returns, the event survives the death of the program. Takes
  /// well under a microsecond, no lock, no allocation and no system call, but for the thread's first event
  /// and for one in some thousand; where threads are many or shared memory is short, threads share a lock.
  /// Where the journal has no room, `queue.when_full` says what happens: `block` waits for as long as it
  /// takes; `drop_newest` waits for at most 100 ms while the disk catches up, once until there has been room
  /// again, then drops the event, counts it, and has an event of its own tell of it. With `sync` waits until
  /// the event is stored, and returns its record; throws StoreError where an attempt to store it fails:
  /// `unavailable` says that it stays in the journal and will be stored, `rejected` that it never will be.
  std::optional<EventRecord> insert_event(const EventInput& event, bool sync = false) override {
    return queue_.insert_event(event, sync);
  }

  /// As insert_event without `sync`. Throws StoreError where the journal fails or is closed.
  void insert_trace_event(const TraceEventInput& event) override { queue_.insert_trace_event(event); }

  bool flush(std::chrono::nanoseconds timeout) override { return queue_.flush(timeout); }

  /// Refuses what comes later, stores what it can within `timeout`, and shuts the backend down. What could
  /// not be stored stays in the journal, to be recovered. The result says whether all was stored.
  bool shutdown(std::chrono::nanoseconds timeout) override { return queue_.shutdown(timeout); }

  /// The queue knows of forks by itself.
  void at_fork(ForkPhase) noexcept override {}
  bool queues() const noexcept override { return true; }
  internal::Queue* queue() noexcept override { return &queue_; }
  StoreStats stats() const override { return queue_.stats(); }

 private:
  struct InOrder {};

  class Adapter final : public internal::QueueBackend {
   public:
    explicit Adapter(QueueStore& store) noexcept : store_(store) {}
    BatchResult write(const Batch& batch) override { return store_.Backend::write(batch); }
    bool stores_trace_events() const noexcept override { return store_.Backend::stores_trace_events(); }
    std::optional<EventRecord> get_event_by_id(Id id) override { return store_.Backend::get_event_by_id(id); }
    std::optional<ProcessRecord> get_process_by_id(Id id) override {
      return store_.Backend::get_process_by_id(id);
    }
    std::vector<StoredPosition> get_positions(std::string_view prefix) override {
      return store_.Backend::get_positions(prefix);
    }
    void forget_positions(std::string_view prefix) override { store_.Backend::forget_positions(prefix); }
    bool shutdown(std::chrono::nanoseconds timeout) override { return store_.Backend::shutdown(timeout); }
    void at_fork(ForkPhase phase) noexcept override { store_.Backend::at_fork(phase); }
    void set_process_id(Id id) noexcept override { store_.set_last_process_id(id); }

   private:
    QueueStore& store_;
  };

  template <class... Arguments>
  QueueStore(const Config::Queue& options, std::vector<std::string> parameters, InOrder,
             Arguments&&... arguments)
      : Backend(std::forward<Arguments>(arguments)...),
        adapter_(*this),
        queue_(adapter_, options,
               {.identity = Backend::identity(),
                .class_name = typeid(Backend).name(),
                .parameters = std::move(parameters)}) {}

  Adapter adapter_;
  internal::Queue queue_;
};

}  // namespace codewake
