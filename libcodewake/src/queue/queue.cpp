#include <unistd.h>
#include <algorithm>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>

#include "base/file_size_signal.hpp"
#include "codewake/errors.hpp"
#include "codewake/queue_store.hpp"
#include "codewake/visible.hpp"
#include "journal/append.hpp"
#include "model/current_tie.hpp"
#include "queue/crash_run.hpp"
#include "queue/queues.hpp"
#include "queue/run.hpp"
#include "queue/thread_lanes.hpp"

// Invariants:
//  - `epoch_` is 0 where the queue is not open. Every other value is new: a thread whose lane was taken for
//    another one takes the way that looks.
//  - A thread marks its lane as busy before it looks at the epoch. So once the epoch is 0 and nobody is busy,
//    everything that was accepted is in the journal.

namespace codewake::internal {
namespace {

using Clock = std::chrono::steady_clock;

/// A queue that could not be started is tried again, less and less often: each try makes folders, and says
/// why it fails.
constexpr std::chrono::seconds kLongestStartInterval{60};

Clock::time_point deadline_after(std::chrono::nanoseconds timeout) {
  constexpr std::chrono::hours kForever{24 * 365};
  return Clock::now() + std::clamp<std::chrono::nanoseconds>(timeout, std::chrono::nanoseconds(0), kForever);
}

std::uint64_t next_epoch() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

[[noreturn]] void refuse(Accepted why) {
  switch (why) {
    case Accepted::full:
      throw StoreError(StoreError::Kind::unavailable, "the journal of the queue is full");
    case Accepted::too_large:
      throw StoreError(StoreError::Kind::rejected, "the event is larger than a journal may be");
    case Accepted::closed:
      throw StoreError(StoreError::Kind::unavailable, "the store has been shut down; make a new one");
    default:
      throw StoreError(StoreError::Kind::unavailable, "the journal of the queue cannot be written");
  }
}

// May wait where the journal is full, until that is closed.
void introduce(const Run& run, const ProcessInfo& info, std::uint16_t number) {
  if (const Accepted accepted = run.journal()->append_process(info, number); accepted != Accepted::yes) {
    refuse(accepted);
  }
}

// Between its two ends whoever closes the queue waits.
class Busy {
 public:
  __attribute__((always_inline)) explicit Busy(Lane& lane) noexcept : lane_(lane) {
    lane_.busy.store(true, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  __attribute__((always_inline)) ~Busy() { lane_.busy.store(false, std::memory_order_release); }

 private:
  Lane& lane_;
};

// The program may go to another folder before its journal is made, or the child of a fork() makes one.
Config::Queue with_absolute_folder(Config::Queue options) {
  std::error_code error;
  if (!options.journal || options.journal->empty() || *options.journal == "memory") return options;
  const std::filesystem::path path = std::filesystem::absolute(*options.journal, error);
  if (!error) options.journal = path.string();
  return options;
}

struct Registry {
  std::mutex mutex;
  std::vector<Queue::Impl*> queues;
};

Registry& registry() {
  static auto& made = *new Registry;  // never destroyed: queues may be, later
  return made;
}

}  // namespace

class Queue::Impl {
 public:
  Impl(Queue& queue, QueueBackend& backend, Config::Queue options, QueueTarget target)
      : queue_(queue),
        backend_(backend),
        options_(with_absolute_folder(std::move(options))),
        target_(std::move(target)) {
    const std::lock_guard lock(registry().mutex);
    registry().queues.push_back(this);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    const std::lock_guard lock(registry().mutex);
    std::erase(registry().queues, this);
  }

  std::optional<ProcessRecord> insert_process(const ProcessInfo& info, bool sync);
  std::optional<EventRecord> insert_slowly(const EventInput& event, bool sync);
  void insert_slowly(const TraceEventInput& event);
  bool flush(std::chrono::nanoseconds timeout);
  bool shutdown(std::chrono::nanoseconds timeout);
  void wait_for_end();
  StoreStats stats() const;
  void count_loss() noexcept;
  void provide_crash_page(const ProcessInfo& process);
  void at_fork(ForkPhase phase) noexcept;

  std::chrono::nanoseconds exit_timeout() const noexcept { return options_.exit_timeout; }

 private:
  /// Where a record was written.
  struct Place {
    std::shared_ptr<Run> run;
    std::uint32_t lane = 0;
    std::uint64_t position = 0;
  };

  template <class Event>
  std::optional<Place> append(const Event& event, bool names_process, bool sync);
  std::shared_ptr<Run> current_run() const;
  void ensure_run(ProcessInfo* process);
  void count_closed();
  std::uint16_t next_number();
  void note_introduced(std::uint16_t number);

  Queue& queue_;
  QueueBackend& backend_;
  const Config::Queue options_;
  const QueueTarget target_;

  mutable std::mutex mutex_;
  std::shared_ptr<Run> run_;
  std::optional<ProcessInfo> info_;  // of the process that was introduced last
  std::uint16_t process_ = 0;        // its number in the journal; 0: none yet
  std::uint16_t numbers_given_ = 0;
  bool closed_ = false;
  Clock::time_point start_again_{};  // after a start that failed
  std::chrono::seconds start_interval_{1};
  std::atomic<std::uint64_t> lost_closed_{0};
  std::atomic<std::uint64_t> lost_early_{0};  // there was no journal to count them
};

// With mutex_ held. `process`: whose events a new run has first; in the child of a fork() the same program is
// another process. May be null.
void Queue::Impl::ensure_run(ProcessInfo* process) {
  if (closed_) {
    count_closed();
    refuse(Accepted::closed);
  }
  if (run_ != nullptr) return;
  if (Clock::now() < start_again_) {
    throw StoreError(StoreError::Kind::unavailable, "the queue could not be started a moment ago");
  }
  try {
    auto made = std::make_shared<Run>(backend_, options_, target_);
    made->start();
    run_ = std::move(made);
    run_->count_early_losses(lost_early_.exchange(0));
  } catch (const std::exception& error) {  // no memory, or no thread
    start_interval_ = std::min<std::chrono::seconds>(2 * start_interval_, kLongestStartInterval);
    start_again_ = Clock::now() + start_interval_;
    throw StoreError(StoreError::Kind::unavailable,
                     std::string("the queue cannot be started: ") + error.what());
  }
  if (process == nullptr) return;
  process->pid = getpid();
  process->run_ts = now();
  const std::uint16_t number = next_number();
  introduce(*run_, *process, number);  // it is new, and has room
  note_introduced(number);
}

// A call that comes so late, in the destructor of a static object or in a thread that outlives main(), is
// reported once.
void Queue::Impl::count_closed() {
  if (lost_closed_.fetch_add(1, std::memory_order_relaxed) == 0) {
    say_on_stderr(
        "an event came after the store was shut down, and is not recorded (more of this is counted in "
        "stats(), not "
        "said)");
  }
}

// With mutex_ held.
std::uint16_t Queue::Impl::next_number() {
  if (numbers_given_ == UINT16_MAX) {
    throw StoreError(StoreError::Kind::rejected, "too many processes for one journal");
  }
  return ++numbers_given_;
}

// With mutex_ held: events are this process's from here on.
void Queue::Impl::note_introduced(std::uint16_t number) {
  process_ = number;
  queue_.epoch_.store(next_epoch(), std::memory_order_release);
}

std::optional<ProcessRecord> Queue::Impl::insert_process(const ProcessInfo& info, bool sync) {
  if (info.app_name.empty())
    throw StoreError(StoreError::Kind::rejected, "a process needs the name of its app");
  std::shared_ptr<Run> run;
  std::uint16_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    ensure_run(nullptr);
    run = run_;
    number = next_number();
  }
  introduce(*run, info, number);  // without the lock: a full journal may be waited for, until shutdown()
  {
    const std::lock_guard lock(mutex_);
    if (run_ == run && number > process_) {
      note_introduced(number);
      info_ = info;
    }
  }
  if (!sync) return std::nullopt;
  // Processes are stored with what comes next, or alone: an event says nothing more than that.
  if (!run->wait_until_stored(Clock::time_point::max())) {
    throw StoreError(StoreError::Kind::unavailable, "the queue was shut down before the process was stored");
  }
  const std::optional<Id> id = run->process_id(number);
  if (!id) throw StoreError(StoreError::Kind::rejected, "the store refuses the process, see stderr");
  return backend_.get_process_by_id(*id);
}

template <class Event>
std::optional<Queue::Impl::Place> Queue::Impl::append(const Event& event, bool names_process, bool sync) {
  std::shared_ptr<Run> run;
  RecordContext context;
  std::uint64_t epoch = 0;
  {
    const std::lock_guard lock(mutex_);
    try {
      ensure_run(info_ ? &*info_ : nullptr);
    } catch (...) {
      if (!closed_) lost_early_.fetch_add(1, std::memory_order_relaxed);
      throw;
    }
    if (process_ == 0 && !names_process) {
      lost_early_.fetch_add(1, std::memory_order_relaxed);
      throw StoreError(StoreError::Kind::rejected,
                       "the event names no process, and none was recorded before");
    }
    run = run_;
    context = {.ticks = run->journal()->ticks(), .process = process_, .flags = 0};
    epoch = process_ == 0 ? 0 : queue_.epoch_.load(std::memory_order_relaxed);
  }
  Lane* const lane = lane_in(run->journal());
  if (lane != nullptr && epoch != 0) thread_lane = {.epoch = epoch, .lane = lane, .context = context};
  if (sync) context.flags |= kSync;
  std::uint64_t position = 0;
  std::uint32_t lane_id = kCommonLane;
  Accepted accepted = Accepted::full;
  if (lane != nullptr) {
    const Busy busy(*lane);
    lane_id = lane->id;
    accepted = run->journal()->is_closed() ? Accepted::closed
                                           : run->journal()->append(*lane, event, context, position);
  }
  if (accepted == Accepted::full) {
    lane_id = kCommonLane;
    accepted = run->journal()->append_common(event, context, position);
  }
  if (accepted != Accepted::yes) {
    if (accepted == Accepted::closed) {
      count_closed();
    } else {
      run->count_loss(accepted);
    }
    if (accepted == Accepted::full && !sync) return std::nullopt;  // as configured, and counted
    refuse(accepted);
  }
  run->wake_keeper_if_needed();
  return Place{std::move(run), lane_id, position};
}

std::optional<EventRecord> Queue::Impl::insert_slowly(const EventInput& event, bool sync) {
  if (event.process_id && *event.process_id <= 0)
    throw StoreError(StoreError::Kind::rejected, "no process has this id: stores number from 1");
  const std::optional<Place> place = append(event, event.process_id.has_value(), sync);
  if (!sync || !place) return std::nullopt;
  const Id id = place->run->wait_for({place->lane, place->position});
  if (id == 0) {
    throw StoreError(StoreError::Kind::in_doubt,
                     "the event is stored, but the store's answer was lost, and its id with it");
  }
  return backend_.get_event_by_id(id);
}

void Queue::Impl::insert_slowly(const TraceEventInput& event) {
  append(event, false, false);
}

bool Queue::Impl::flush(std::chrono::nanoseconds timeout) {
  const std::shared_ptr<Run> run = current_run();
  return run == nullptr || run->wait_until_stored(deadline_after(timeout));
}

std::shared_ptr<Run> Queue::Impl::current_run() const {
  const std::lock_guard lock(mutex_);
  return run_;
}

bool Queue::Impl::shutdown(std::chrono::nanoseconds timeout) {
  const auto deadline = deadline_after(timeout);
  std::shared_ptr<Run> run;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return true;
    closed_ = true;
    queue_.epoch_.store(0, std::memory_order_relaxed);
    run = run_;
  }
  const bool stored = run == nullptr || run->end(deadline);
  const auto left = std::max<std::chrono::nanoseconds>(deadline - Clock::now(), std::chrono::nanoseconds(0));
  const NoFileSizeSignal guard;  // for the store's files
  return backend_.shutdown(left) && stored;
}

void Queue::Impl::wait_for_end() {
  if (const std::shared_ptr<Run> run = current_run()) run->wait_for_end();
}

StoreStats Queue::Impl::stats() const {
  StoreStats stats;
  if (const std::shared_ptr<Run> run = current_run()) run->count(stats);
  stats.lost_closed = lost_closed_.load();
  stats.lost_error += lost_early_.load();
  return stats;
}

void Queue::Impl::count_loss() noexcept {
  if (const std::shared_ptr<Run> run = current_run()) {
    run->count_loss(Accepted::failed);
  } else {
    lost_early_.fetch_add(1, std::memory_order_relaxed);
  }
}

void Queue::Impl::provide_crash_page(const ProcessInfo& process) {
  const std::lock_guard lock(mutex_);
  if (run_ != nullptr) {
    run_->provide_crash_page(process_, process);
  } else {
    expect_crash(target_, options_, {.info = process});
  }
}

void Queue::Impl::at_fork(ForkPhase phase) noexcept {
  if (phase == ForkPhase::before) {
    // First the store: its calls end without any lock of the queue.
    backend_.at_fork(phase);
    mutex_.lock();
    if (run_) run_->lock_for_fork();
    return;
  }
  if (run_) run_->unlock_after_fork();
  mutex_.unlock();
  if (phase == ForkPhase::after_in_child && run_) {
    run_->journal()->close_in_child();
    // Its threads are not here, and what they share is not to be touched: it is left as it is.
    static_cast<void>(new std::shared_ptr<Run>(std::move(run_)));
    run_.reset();
    process_ = numbers_given_ = 0;
    lost_closed_ = lost_early_ = 0;
    queue_.epoch_.store(0, std::memory_order_relaxed);
    backend_.set_process_id(0);
  }
  backend_.at_fork(phase);
}

void queues_at_fork(ForkPhase phase) noexcept {
  Registry& all = registry();
  if (phase == ForkPhase::before) all.mutex.lock();
  for (Queue::Impl* queue : all.queues) queue->at_fork(phase);
  if (phase == ForkPhase::after_in_child) forget_thread_lanes();
  if (phase != ForkPhase::before) all.mutex.unlock();
}

Queue::Queue(QueueBackend& backend, const Config::Queue& options, QueueTarget target)
    : impl_(std::make_unique<Impl>(*this, backend, options, std::move(target))) {}

Queue::~Queue() {
  try {
    impl_->shutdown(impl_->exit_timeout());
  } catch (const std::exception& error) {
    say_on_stderr({"the store could not be shut down: ", error.what()});
  } catch (...) {
    say_on_stderr("the store could not be shut down: it threw something that is no exception");
  }
  impl_->wait_for_end();
}

std::optional<ProcessRecord> Queue::insert_process(const ProcessInfo& info, bool sync) {
  return impl_->insert_process(info, sync);
}

namespace {

// False where the thread's lane is not of this queue as it is now, or has no room.
template <class Event>
__attribute__((always_inline)) inline bool append_to_own_lane(const std::atomic<std::uint64_t>& epoch,
                                                              const Event& event) noexcept {
  const ThreadLane& mine = thread_lane;
  if (mine.lane == nullptr) [[unlikely]]
    return false;
  const Busy busy(*mine.lane);
  return epoch.load(std::memory_order_relaxed) == mine.epoch && append_event(*mine.lane, event, mine.context);
}

// Not part of insert_quickly(), which would have more to save for it than it does.
[[gnu::noinline]] bool insert_by_any_clock(const std::atomic<std::uint64_t>& epoch,
                                           std::span<const AttributeArgument> data) noexcept {
  return append_to_own_lane(epoch, EventInput{.data = data, .trace = current_tie});
}

}  // namespace

bool Queue::insert_quickly(std::span<const AttributeArgument> data) noexcept {
  const ThreadLane& mine = thread_lane;
  if (mine.lane == nullptr) [[unlikely]]
    return false;
  if (!can_append_quickly(mine.context)) [[unlikely]]
    return insert_by_any_clock(epoch_, data);
  const Busy busy(*mine.lane);
  return epoch_.load(std::memory_order_relaxed) == mine.epoch &&
         append_quickly(*mine.lane, data, current_tie, mine.context);
}

std::optional<EventRecord> Queue::insert_event(const EventInput& event, bool sync) {
  if (!sync && append_to_own_lane(epoch_, event)) return std::nullopt;
  return impl_->insert_slowly(event, sync);
}

void Queue::insert_trace_event(const TraceEventInput& event) {
  if (!append_to_own_lane(epoch_, event)) impl_->insert_slowly(event);
}

bool Queue::flush(std::chrono::nanoseconds timeout) {
  return impl_->flush(timeout);
}

bool Queue::shutdown(std::chrono::nanoseconds timeout) {
  return impl_->shutdown(timeout);
}

StoreStats Queue::stats() const {
  return impl_->stats();
}

void Queue::count_loss() noexcept {
  impl_->count_loss();
}

void Queue::provide_crash_page(const ProcessInfo& process) {
  impl_->provide_crash_page(process);
}

}  // namespace codewake::internal
