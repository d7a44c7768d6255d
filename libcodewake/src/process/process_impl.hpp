// What Process does: hands events to the store, with their stacks, exceptions and traces; counts what fails.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <typeinfo>
#include <vector>

#include "base/recording_here.hpp"
#include "codewake/config.hpp"
#include "codewake/errors.hpp"
#include "codewake/process.hpp"
#include "codewake/store.hpp"
#include "process/event_stacks.hpp"
#include "process/exception_attributes.hpp"
#include "process/process_tracer.hpp"
#include "queue/crash_run.hpp"
#include "queue/queues.hpp"
#include "stacktrace/exceptions.hpp"

namespace codewake {
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
  void register_at_start();
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
  /// `is_recorded`: whether the process is; else a crash is expected that has to record it, too.
  void provide_crash_page(bool is_recorded) noexcept;
  void say_what_is_missed();
  void count_late() noexcept;
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
  // Empty where the store was given in code: its parameters are not known.
  const std::vector<std::string> store_parameters_;
  // Held while the store is waited for: fork() and the end wait for it for a moment only. Taken before
  // page_mutex_, which guards crash_run_.
  std::mutex register_mutex_;
  bool is_register_locked_ = false;  // by fork()
  std::mutex page_mutex_;
  std::optional<internal::CrashRun> crash_run_;  // where the store does not queue
  std::atomic<bool> unregistered_{true};
  std::atomic<bool> said_failure_{false}, said_late_{false};
  internal::EventStacks stacks_{config.stacktraces};
};

template <class Log>
std::optional<EventRecord> Process::Impl::guard(bool sync, Log log) {
  if (shut_down.load(std::memory_order_relaxed)) {
    count_late();
    if (sync) throw StoreError(StoreError::Kind::unavailable, "the process has been shut down");
    return std::nullopt;
  }
  const internal::RecordingHere here;
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

}  // namespace codewake
