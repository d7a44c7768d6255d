#include "codewake/process.hpp"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "base/worker_thread.hpp"
#include "codewake/errors.hpp"
#include "codewake/throw_hook.hpp"
#include "codewake/tracing.hpp"
#include "codewake/visible.hpp"
#include "journal/crash_nest.hpp"
#include "model/current_tie.hpp"
#include "process/configured_store.hpp"
#include "process/event_stacks.hpp"
#include "process/exception_attributes.hpp"
#include "process/identity.hpp"
#include "process/process_tracer.hpp"
#include "queue/crash_run.hpp"
#include "queue/queues.hpp"
#include "stacktrace/crash_handler.hpp"
#include "stacktrace/exceptions.hpp"
#include "stacktrace/link_order.hpp"
#include "stacktrace/loaded_modules.hpp"
#include "stacktrace/preloaded_watch.hpp"
#include "stacktrace/throw_observer.hpp"
#include "tracing/lock_clocks.hpp"

// Invariants:
//  - There is at most one Process. It is made under `setup_mutex`, published by `the_process`, and never
//    destroyed: threads and static destructors may log until the very end.
//  - `codewake run` has one made before main(): `the_watcher`. It records nothing of itself until there is
//    something to record; the program's first instance() makes it the process, or another one in its place.
//  - In a child made by fork() `unregistered` is set before any of its code runs; the first log() there
//    records the child's own process before its event.
//  - log() without .sync lets no exception out.

namespace codewake {
namespace {

std::atomic<Process*> the_process{nullptr};
std::atomic<Process*> the_watcher{nullptr};

std::mutex& setup_mutex() {
  static auto& mutex = *new std::mutex;
  return mutex;
}

// Whether this thread is making the process: then it has the set-up mutex, also when the store's constructor
// comes back to instance(), or forks.
thread_local bool making_it_here = false;

struct MakingItHere {
  MakingItHere() noexcept { making_it_here = true; }
  MakingItHere(const MakingItHere&) = delete;
  MakingItHere& operator=(const MakingItHere&) = delete;
  ~MakingItHere() { making_it_here = false; }
};

bool any_given(const ProcessOptions& options) {
  return options.app_name || options.app_vsn || options.env_name || options.st_for_non_exceptions ||
         options.st_from_exceptions || options.store;
}

void say_once(std::atomic<bool>& said, const char* what, const char* detail) {
  if (!said.exchange(true, std::memory_order_relaxed)) say_on_stderr({what, detail});
}

std::chrono::steady_clock::time_point deadline_after(std::chrono::nanoseconds timeout) {
  constexpr std::chrono::hours kForever{24 * 365};
  return std::chrono::steady_clock::now() + std::min<std::chrono::nanoseconds>(timeout, kForever);
}

}  // namespace

class Process::Impl {
 public:
  /// `registers`: records the process now, not with its first event.
  Impl(const ProcessOptions& options, bool registers);

  /// Does `log`, which records one event. Without sync every exception ends here: counted, and said once.
  template <class Log>
  std::optional<EventRecord> guard(bool sync, Log log);

  std::optional<EventRecord> record_data(std::optional<std::span<const AttributeArgument>> data,
                                         const LogOptions& options);
  template <class Exception>
  std::optional<EventRecord> record_exception(std::span<const AttributeArgument> data,
                                              const Exception& exception, const LogOptions& options);
  std::optional<Id> id() const noexcept;
  ProcessStats stats() const;
  void register_process();
  void record_throw(void* object, const std::type_info& type, std::span<void* const> addresses);
  void forked(ForkPhase phase) noexcept;
  void end_crash_run() noexcept;
  Tracer& tracer() { return traces.get(info_); }
  /// What is recorded of a crash stays.
  void leave_to_recoverers() noexcept;
  /// The queue, if an event without options needs no more than it.
  internal::Queue* quick_queue() const noexcept {
    return config.stacktraces.for_non_exceptions ? nullptr : store->queue();
  }

  const Config config;
  const std::shared_ptr<Store> store;
  std::atomic<bool> shut_down{false};
  std::atomic<bool> has_filter{false};
  std::mutex filter_mutex;
  std::shared_ptr<const EventFilter> filter;
  internal::ProcessTracer traces{config, store, [this] {
                                   if (unregistered_.load(std::memory_order_acquire)) register_process();
                                 }};

 private:
  bool watches_for_crashes() const noexcept { return config.crashes.signals || config.crashes.uncaught; }
  static Config configured(const ProcessOptions& options);

  std::optional<EventRecord> record(EventInput event, bool sync);
  std::optional<EventRecord> filter_and_hand_over(EventInput event, bool sync);
  std::optional<EventRecord> hand_over(EventInput event, bool sync);
  void provide_crash_page() noexcept;
  void say_what_is_missed();
  void count_failure(const char* what, bool rejected) noexcept;

  struct Counters {
    std::atomic<std::uint64_t> stored{0};
    std::atomic<std::uint64_t> rejected{0};
    std::atomic<std::uint64_t> filtered{0};
    std::atomic<std::uint64_t> lost_filter_error{0};
    std::atomic<std::uint64_t> lost_error{0};
    std::atomic<std::uint64_t> lost_after_shutdown{0};
  } counters_;

  const bool queues_;
  ProcessInfo info_;
  std::atomic<Id> id_{0};  // 0: not known yet, as with a store that queues
  // Of a store given in code nobody knows the parameters.
  const std::vector<std::string> store_parameters_;
  std::optional<internal::CrashRun> crash_run_;  // where the store does not queue
  std::mutex register_mutex_;
  std::atomic<bool> unregistered_{true};
  std::atomic<bool> said_failure_{false}, said_late_{false};
  internal::EventStacks stacks_{config.stacktraces};
};

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
    register_process();
  } else if (watches_for_crashes()) {
    provide_crash_page();
  }
  if (!internal::is_preloaded_watching()) {
    internal::watch_for_crashes({.signals = config.crashes.signals, .uncaught = config.crashes.uncaught});
    say_what_is_missed();
  }
  if (registers && !queues_ && watches_for_crashes()) {
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
  const std::lock_guard lock(register_mutex_);
  if (!unregistered_.load(std::memory_order_relaxed)) return;
  const std::optional<ProcessRecord> record = store->insert_process(info_, false);
  id_.store(record ? record->id : 0, std::memory_order_relaxed);
  unregistered_.store(false, std::memory_order_release);
  if (watches_for_crashes()) provide_crash_page();
}

void Process::Impl::provide_crash_page() noexcept {
  try {
    if (internal::Queue* const queue = store->queue()) {
      queue->provide_crash_page(info_);
    } else if (unregistered_.load(std::memory_order_relaxed)) {
      internal::expect_crash(*store, config.queue, store_parameters_, {.info = info_});
    } else {
      crash_run_.emplace(*store, config.queue, store_parameters_,
                         internal::CrashSubject{.id = id_.load(std::memory_order_relaxed), .info = info_});
    }
  } catch (const std::exception& error) {
    say_on_stderr({"a crash of this process could not be recorded: ", error.what()});
  }
}

template <class Log>
std::optional<EventRecord> Process::Impl::guard(bool sync, Log log) {
  if (shut_down.load(std::memory_order_relaxed)) {
    counters_.lost_after_shutdown.fetch_add(1, std::memory_order_relaxed);
    say_once(said_late_,
             "an event came after the process was shut down, and is not recorded (more of this is counted in "
             "stats(), not said)",
             "");
    if (sync) throw StoreError(StoreError::Kind::unavailable, "the process has been shut down");
    return std::nullopt;
  }
  try {
    return log();
  } catch (const StoreError& e) {
    count_failure(e.what(), e.kind() == StoreError::Kind::rejected);
    if (sync) throw;
  } catch (const std::exception& e) {  // before the queue had the event, as for want of memory
    if (internal::Queue* const queue = store->queue()) queue->count_loss();
    count_failure(e.what(), false);
    if (sync) throw;
  } catch (...) {
    if (internal::Queue* const queue = store->queue()) queue->count_loss();
    count_failure("the store threw something that is no exception", false);
    if (sync) throw;
  }
  return std::nullopt;
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

template <class Exception>
std::optional<EventRecord> Process::Impl::record_exception(std::span<const AttributeArgument> data,
                                                           const Exception& exception,
                                                           const LogOptions& options) {
  const std::optional<Stacktrace> stack = stacks_.of_exception(exception, options);
  const internal::ExceptionAttributes attributes(data, internal::describe(exception));
  return record(
      {.data = attributes.arguments(), .when = options.when_ts, .stacktrace = stack ? &*stack : nullptr},
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
  const std::lock_guard lock(register_mutex_);
  if (crash_run_) crash_run_->end();
}

void Process::Impl::leave_to_recoverers() noexcept {
  internal::keep_crash();
  crash_run_.reset();  // and its lock goes
}

void Process::Impl::forked(ForkPhase phase) noexcept {
  if (phase == ForkPhase::before) {
    register_mutex_.lock();
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
  register_mutex_.unlock();
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

Process::Process(const ProcessOptions& options, bool registers)
    : impl_(std::make_unique<Impl>(options, registers)) {
  quick_.store(impl_->quick_queue(), std::memory_order_relaxed);
}

Process::~Process() = default;

Process& Process::instance() {
  if (Process* const process = the_process.load(std::memory_order_acquire)) return *process;
  return instance(ProcessOptions());
}

Process& Process::instance(ProcessOptions options) {
  if (making_it_here)
    throw ConfigError({.source = "Process::instance"}, "called while the process is being made");
  const std::lock_guard lock(setup_mutex());
  if (Process* const process = the_process.load(std::memory_order_relaxed)) {
    if (any_given(options)) {
      throw ConfigError({.source = "Process::instance"},
                        "the process exists already, options come too late: give them to the first call");
    }
    return *process;
  }
  const MakingItHere guard;
  Process* process = the_watcher.load(std::memory_order_relaxed);
  if (process == nullptr || any_given(options)) {
    process = new Process(options, true);
  } else {
    process->impl_->register_process();
  }
  the_process.store(process, std::memory_order_release);
  std::atexit([] { end(the_process); });
  return *process;
}

void Process::end(const std::atomic<Process*>& which) {
  Process* const process = which.load(std::memory_order_relaxed);
  if (process == nullptr) return;
  if (internal::is_dying()) process->impl_->leave_to_recoverers();
  internal::forget_left_fault();
  process->shutdown(process->config().queue.exit_timeout);
}

// Said by `codewake run` to the library that it preloads.
void Process::watch_program(std::string_view what) noexcept {
  try {
    const std::lock_guard lock(setup_mutex());
    const MakingItHere guard;
    the_watcher.store(new Process({}, false), std::memory_order_release);
    std::atexit([] { end(the_watcher); });
    if (what != "throws") return;
    const bool is_beside = internal::is_preloaded_watching();
    is_beside ? internal::observe_preloaded_throws(&on_throw) : internal::observe_throws(&on_throw);
  } catch (const std::exception& error) {
    say_on_stderr({"the program runs, and nothing of it is recorded: ", error.what()});
  }
}

void Process::on_throw(void* object, const std::type_info& type, std::span<void* const> addresses) noexcept {
  thread_local bool is_recording = false;  // exceptions of our own, as of a worker's, are not the program's
  Process* process = the_process.load(std::memory_order_acquire);
  if (process == nullptr) process = the_watcher.load(std::memory_order_acquire);
  if (process == nullptr || is_recording || making_it_here || internal::is_worker) return;
  is_recording = true;
  process->impl_->guard(false, [&] {
    process->impl_->record_throw(object, type, addresses);
    return std::optional<EventRecord>();
  });
  is_recording = false;
}

[[maybe_unused]] const bool Process::is_watched_ = [] {
  const char* const what = secure_getenv("CODE_WAKE_RUN");  // not what a user says to a setuid program
  const bool is_whole =
      what != nullptr && (what == std::string_view("throws") || !internal::is_preloaded_watching());
  if (is_whole) watch_program(what);
  return is_whole;
}();

void Process::at_fork(ForkPhase phase) noexcept {
  if (phase != ForkPhase::before) {
    internal::unlock_loaded_modules(phase == ForkPhase::after_in_child);
    internal::lock_clocks_at_fork(phase);
    internal::queues_at_fork(phase);
  }
  if (!making_it_here) {
    if (phase == ForkPhase::before) setup_mutex().lock();
    Process* const process = the_process.load(std::memory_order_relaxed);
    Process* const watcher = the_watcher.load(std::memory_order_relaxed);
    if (process != nullptr) process->impl_->forked(phase);
    if (watcher != nullptr && watcher != process) watcher->impl_->forked(phase);
    if (phase != ForkPhase::before) setup_mutex().unlock();
  }
  if (phase == ForkPhase::before) {
    internal::queues_at_fork(phase);
    internal::lock_clocks_at_fork(phase);
    internal::lock_loaded_modules();
  }
}

// From the moment the library is loaded, so that also a fork while the process is being made in another
// thread is safe.
[[maybe_unused]] const int Process::at_fork_registered_ =
    pthread_atfork([] { at_fork(ForkPhase::before); }, [] { at_fork(ForkPhase::after_in_parent); },
                   [] { at_fork(ForkPhase::after_in_child); });

bool Process::exists() noexcept {
  return the_process.load(std::memory_order_acquire) != nullptr;
}

std::optional<EventRecord> Process::log() {
  return log_data(std::nullopt, {});
}

std::optional<EventRecord> Process::log(const Attributes& data, const LogOptions& options) {
  return impl_->guard(options.sync, [&] { return impl_->record_data(internal::borrow(data), options); });
}

std::optional<EventRecord> Process::log(const Attributes& data, const std::exception& exception,
                                        const LogOptions& options) {
  return impl_->guard(options.sync,
                      [&] { return impl_->record_exception(internal::borrow(data), exception, options); });
}

std::optional<EventRecord> Process::log(const Attributes& data, const std::exception_ptr& exception,
                                        const LogOptions& options) {
  if (exception == nullptr) return log(data, options);
  return impl_->guard(options.sync,
                      [&] { return impl_->record_exception(internal::borrow(data), exception, options); });
}

std::optional<EventRecord> Process::log_data(std::optional<std::span<const AttributeArgument>> data,
                                             const LogOptions& options) {
  return impl_->guard(options.sync, [&] { return impl_->record_data(data, options); });
}

std::optional<EventRecord> Process::log_exception(std::span<const AttributeArgument> data,
                                                  const std::exception& exception,
                                                  const LogOptions& options) {
  return impl_->guard(options.sync, [&] { return impl_->record_exception(data, exception, options); });
}

std::optional<EventRecord> Process::log_exception(std::span<const AttributeArgument> data,
                                                  const std::exception_ptr& exception,
                                                  const LogOptions& options) {
  if (exception == nullptr) return log_data(data, options);
  return impl_->guard(options.sync, [&] { return impl_->record_exception(data, exception, options); });
}

void Process::set_filter(EventFilter filter) {
  const std::lock_guard lock(impl_->filter_mutex);
  impl_->has_filter.store(filter != nullptr, std::memory_order_release);
  quick_.store(filter || impl_->shut_down ? nullptr : impl_->quick_queue(), std::memory_order_relaxed);
  impl_->filter = filter ? std::make_shared<const EventFilter>(std::move(filter)) : nullptr;
}

bool Process::flush(std::chrono::nanoseconds timeout) {
  const auto deadline = deadline_after(timeout);
  const bool stored = impl_->store->flush(timeout);
  return impl_->traces.flush(deadline) && stored;
}

bool Process::shutdown(std::chrono::nanoseconds timeout) {
  if (impl_->shut_down.exchange(true)) return true;
  quick_.store(nullptr, std::memory_order_relaxed);
  const auto deadline = deadline_after(timeout);
  const bool stored = impl_->store->shutdown(timeout);
  const bool traced = impl_->traces.shutdown(deadline);
  impl_->end_crash_run();
  return stored && traced;
}

ProcessStats Process::stats() const {
  return impl_->stats();
}

std::optional<Id> Process::id() const noexcept {
  return impl_->id();
}

Tracer& Process::tracer() {
  return impl_->tracer();
}

const Config& Process::config() const noexcept {
  return impl_->config;
}

const std::shared_ptr<Store>& Process::store() const noexcept {
  return impl_->store;
}

}  // namespace codewake
