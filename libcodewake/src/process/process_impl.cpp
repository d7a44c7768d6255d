#include "process/process_impl.hpp"

#include <unistd.h>

#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "codewake/throw_hook.hpp"
#include "codewake/visible.hpp"
#include "journal/crash_nest.hpp"
#include "model/current_tie.hpp"
#include "process/configured_store.hpp"
#include "process/identity.hpp"
#include "stacktrace/crash_handler.hpp"
#include "stacktrace/exceptions.hpp"
#include "stacktrace/link_order.hpp"
#include "stacktrace/preloaded_watch.hpp"

// Invariants:
//  - In a child made by fork() `unregistered_` is set before any of its code runs; the first log() there
//    records the child's own process before its event.
//  - log() without .sync lets no exception out.

namespace codewake {
namespace {

void say_once(std::atomic<bool>& said, const char* what, const char* detail) {
  if (!said.exchange(true, std::memory_order_relaxed)) say_on_stderr({what, detail});
}

/// Not std::timed_mutex: ThreadSanitizer does not see how it waits.
bool lock_for_a_moment(std::mutex& mutex) {
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    if (mutex.try_lock()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

}  // namespace

Config Process::Impl::configured(const ProcessOptions& options) {
  Config config = Config::load();
  if (options.app_name) config.app_name = options.app_name;
  if (options.app_vsn) config.app_vsn = options.app_vsn;
  if (options.env_name) config.environment_name = options.env_name;
  if (options.st_from_exceptions) config.stacktraces.from_exceptions = *options.st_from_exceptions;
  if (options.st_for_non_exceptions) config.stacktraces.for_non_exceptions = *options.st_for_non_exceptions;
  return config;
}

Process::Impl::Impl(const ProcessOptions& options, bool registers)
    : config(configured(options)),
      store(options.store ? options.store : internal::store_from(config)),
      queues_(store->queues()),
      store_parameters_(options.store ? std::vector<std::string>() : config.store.parameters) {
  info_ = internal::identify_process();
  info_.app_name = config.app_name.value_or("");
  if (info_.app_name.empty()) info_.app_name = info_.exe_path.value_or("unknown");
  info_.app_vsn = config.app_vsn;
  info_.env_name = config.environment_name;
  record_throws(config.stacktraces.from_exceptions, config.stacktraces.max_frames);
  registers ? internal::stop_preloaded_watching() : internal::share_with_preloaded_watch();
  if (registers) {
    register_at_start();
  } else if (watches_for_crashes()) {
    provide_crash_page(false);
  }
  if (!internal::is_preloaded_watching()) {
    internal::watch_for_crashes({.signals = config.crashes.signals, .uncaught = config.crashes.uncaught});
    say_what_is_missed();
  }
  const bool is_away = unregistered_.load(std::memory_order_relaxed);
  if (registers && !queues_ && !is_away && watches_for_crashes()) {
    internal::recover_crash_runs(*store, config.queue, store_parameters_);
  }
}

// Libraries may come ahead of this one.
void Process::Impl::say_what_is_missed() {
  if (config.stacktraces.from_exceptions) stacks_.say_if_none();
  const std::string problem = config.crashes.signals ? internal::signal_hook_problem() : std::string();
  if (!problem.empty())
    say_on_stderr({"crashes that the program has handlers for are not recorded: ", problem});
}

void Process::Impl::register_process() {
  const internal::RecordingHere here;
  const std::lock_guard lock(register_mutex_);
  if (!unregistered_.load(std::memory_order_relaxed)) return;
  const std::optional<ProcessRecord> record = store->insert_process(info_, false);
  id_.store(record ? record->id : 0, std::memory_order_relaxed);
  unregistered_.store(false, std::memory_order_release);
  if (watches_for_crashes()) provide_crash_page(true);
}

// A store that is away is no reason to end a program: each event tries again.
void Process::Impl::register_at_start() {
  try {
    register_process();
  } catch (const StoreError& error) {
    if (error.kind() == StoreError::Kind::rejected) throw;
    say_on_stderr({"the process could not be recorded, and each of its events tries again: ", error.what()});
    if (watches_for_crashes()) provide_crash_page(false);
  }
}

void Process::Impl::provide_crash_page(bool is_recorded) noexcept {
  const std::lock_guard lock(page_mutex_);
  try {
    if (internal::Queue* const queue = store->queue()) {
      queue->provide_crash_page(info_);
    } else if (is_recorded) {
      crash_run_.emplace(*store, config.queue, store_parameters_,
                         internal::CrashSubject{.id = id_.load(std::memory_order_relaxed), .info = info_});
    } else if (unregistered_.load(std::memory_order_relaxed)) {
      internal::expect_crash(*store, config.queue, store_parameters_, {.info = info_});
    }
  } catch (const std::exception& error) {
    say_on_stderr({"a crash of this process could not be recorded: ", error.what()});
  }
}

std::optional<EventRecord> Process::Impl::record(EventInput event, bool sync) {
  return has_filter.load(std::memory_order_acquire) ? filter_and_hand_over(event, sync)
                                                    : hand_over(event, sync);
}

std::optional<EventRecord> Process::Impl::hand_over(EventInput event, bool sync) {
  if (unregistered_.load(std::memory_order_acquire)) {
    try {
      register_process();
    } catch (const StoreError&) {
      if (internal::Queue* const queue = store->queue()) queue->count_loss();
      throw;
    }
  }
  if (const Id id = id_.load(std::memory_order_relaxed)) event.process_id = id;
  event.trace = internal::current_tie;
  std::optional<EventRecord> record = store->insert_event(event, sync);
  if (!queues_) counters_.stored.fetch_add(1, std::memory_order_relaxed);
  return record;
}

std::optional<EventRecord> Process::Impl::filter_and_hand_over(EventInput event, bool sync) {
  std::shared_ptr<const EventFilter> accepts;
  {
    const std::lock_guard lock(filter_mutex);
    accepts = filter;
  }
  if (accepts == nullptr) return hand_over(event, sync);
  FilteredEvent seen{.data = Attributes(event.data.value_or(std::span<const AttributeArgument>())),
                     .has_data = event.data.has_value(),
                     .when = event.when ? *event.when : now(),
                     .has_stacktrace = event.stacktrace != nullptr};
  bool accepted = false;
  try {
    accepted = (*accepts)(seen);
  } catch (...) {
    counters_.lost_filter_error.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  if (!accepted) {
    counters_.filtered.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  const std::vector<AttributeArgument> data = internal::borrow(seen.data);
  event.data.reset();
  if (seen.has_data || !data.empty()) event.data = data;
  event.when = seen.when;
  if (!seen.has_stacktrace) event.stacktrace = nullptr;
  return hand_over(event, sync);
}

void Process::Impl::count_late() noexcept {
  counters_.lost_after_shutdown.fetch_add(1, std::memory_order_relaxed);
  say_once(said_late_,
           "an event came after the process was shut down, and is not recorded (more of this is counted in "
           "stats(), not said)",
           "");
}

void Process::Impl::count_failure(const char* what, bool rejected) noexcept {
  (rejected ? counters_.rejected : counters_.lost_error).fetch_add(1, std::memory_order_relaxed);
  say_once(said_failure_,
           "an event could not be recorded (more of this is counted in stats(), not said): ", what);
}

std::optional<EventRecord> Process::Impl::record_data(std::optional<std::span<const AttributeArgument>> data,
                                                      const LogOptions& options) {
  const std::optional<Stacktrace> stack = stacks_.of_call(options);
  return record({.data = data, .when = options.when_ts, .stacktrace = stack ? &*stack : nullptr},
                options.sync);
}

void Process::Impl::record_throw(void* object, const std::type_info& type, std::span<void* const> addresses) {
  const std::vector<AttributeArgument> kind{{"event", "codewake.throw"}};
  const internal::ExceptionAttributes attributes(kind, internal::describe(object, type));
  Stacktrace stack(addresses);
  stack.truncate(config.stacktraces.max_frames);
  record({.data = attributes.arguments(), .stacktrace = &stack}, false);
}

void Process::Impl::end_crash_run() noexcept {
  const std::lock_guard lock(page_mutex_);
  if (crash_run_) crash_run_->end();
}

void Process::Impl::leave_to_recoverers() noexcept {
  internal::keep_crash();
  crash_run_.reset();  // and its lock goes
}

void Process::Impl::forked(ForkPhase phase) noexcept {
  if (phase == ForkPhase::before) {
    is_register_locked_ = lock_for_a_moment(register_mutex_);
    page_mutex_.lock();
    filter_mutex.lock();
    traces.lock_for_fork();
    store->at_fork(phase);
    return;
  }
  store->at_fork(phase);
  if (phase == ForkPhase::after_in_child) {
    internal::begin_crash_child();
    internal::note_crash_child();
    if (crash_run_) crash_run_->close_in_child();
    info_.pid = getpid();
    info_.run_ts = now();
    id_.store(0, std::memory_order_relaxed);
    unregistered_.store(true, std::memory_order_relaxed);
    for (auto* counter :
         {&counters_.stored, &counters_.rejected, &counters_.filtered, &counters_.lost_filter_error,
          &counters_.lost_error, &counters_.lost_after_shutdown}) {
      counter->store(0, std::memory_order_relaxed);
    }
  }
  traces.unlock_after_fork();
  filter_mutex.unlock();
  page_mutex_.unlock();
  if (std::exchange(is_register_locked_, false)) {
    register_mutex_.unlock();
  } else if (phase == ForkPhase::after_in_child) {  // its holder is in the parent
    std::construct_at(&register_mutex_);
  }
}

std::optional<Id> Process::Impl::id() const noexcept {
  const Id id = id_.load(std::memory_order_relaxed);
  return id != 0 ? std::optional(id) : store->last_process_id();
}

ProcessStats Process::Impl::stats() const {
  // A store that queues counts by itself.
  StoreStats store_stats;
  if (queues_) {
    store_stats = store->stats();
  } else {
    store_stats.accepted = store_stats.stored = counters_.stored;
    store_stats.lost_error = counters_.lost_error;
  }
  const std::uint64_t rejected_at_once = queues_ ? 0 : counters_.rejected.load();
  ProcessStats stats{.accepted = store_stats.accepted,
                     .stored = store_stats.stored,
                     .queued = store_stats.queued,
                     .rejected = rejected_at_once + store_stats.rejected,
                     .filtered = counters_.filtered,
                     .lost_filter_error = counters_.lost_filter_error,
                     .lost_full = store_stats.lost_full,
                     .lost_error = store_stats.lost_error,
                     .lost_after_shutdown = counters_.lost_after_shutdown + store_stats.lost_closed,
                     .problem = std::move(store_stats.problem)};
  // Not counted by itself: a counter that all threads share would cost more than all else that log() does.
  stats.logged = stats.accepted + rejected_at_once + stats.filtered + stats.lost_filter_error +
                 stats.lost_full + stats.lost_error + stats.lost_after_shutdown;
  return stats;
}

}  // namespace codewake
