#include "codewake/process.hpp"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "base/recording_here.hpp"
#include "base/worker_thread.hpp"
#include "codewake/errors.hpp"
#include "codewake/throw_hook.hpp"
#include "codewake/tracing.hpp"
#include "codewake/visible.hpp"
#include "journal/crash_nest.hpp"
#include "process/process_impl.hpp"
#include "queue/queues.hpp"
#include "stacktrace/crash_handler.hpp"
#include "stacktrace/loaded_modules.hpp"
#include "stacktrace/preloaded_watch.hpp"
#include "stacktrace/throw_observer.hpp"
#include "tracing/lock_clocks.hpp"

// Invariants:
//  - There is at most one Process. It is made under `setup_mutex`, published by `the_process`, and never
//    destroyed: threads and static destructors may log until the very end.
//  - `codewake run` has one made before main(): `the_watcher`. It records nothing of itself until there is
//    something to record; the program's first instance() makes it the process, or another one in its place.

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

std::chrono::steady_clock::time_point deadline_after(std::chrono::nanoseconds timeout) {
  constexpr std::chrono::hours kForever{24 * 365};
  return std::chrono::steady_clock::now() + std::min<std::chrono::nanoseconds>(timeout, kForever);
}

}  // namespace

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
    process->impl_->register_at_start();
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
  Process* process = the_process.load(std::memory_order_acquire);
  if (process == nullptr) process = the_watcher.load(std::memory_order_acquire);
  // Exceptions of our own, as of a worker's, are not the program's.
  const bool is_ours = internal::RecordingHere::is_here() || making_it_here || internal::is_worker;
  if (process == nullptr || is_ours) return;
  process->impl_->guard(false, [&] {
    process->impl_->record_throw(object, type, addresses);
    return std::optional<EventRecord>();
  });
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
