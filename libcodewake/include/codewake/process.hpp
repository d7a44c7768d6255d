// Process: what a program says to Code Wake.
//
//     auto& cw = codewake::Process::instance();
//     cw.log({{"event", "order"}, {"customer", customer}, {"amount", 12.5}});
//     catch (const std::exception& e) { cw.log({{"event", "fault"}, {"doing", "create_order"}}, e); }
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>

#include "codewake/attributes.hpp"
#include "codewake/config.hpp"
#include "codewake/export.hpp"
#include "codewake/queue_store.hpp"
#include "codewake/records.hpp"
#include "codewake/stacktrace.hpp"
#include "codewake/store.hpp"
#include "codewake/time.hpp"

namespace codewake {

/// What code may decide about the process instead of the configuration. What is not given is taken from
/// there.
struct ProcessOptions {
  std::optional<std::string> app_name = std::nullopt;
  std::optional<std::string> app_vsn = std::nullopt;
  std::optional<std::string> env_name = std::nullopt;
  std::optional<bool> st_for_non_exceptions = std::nullopt;
  std::optional<bool> st_from_exceptions = std::nullopt;
  /// The store itself; configuration's `store` section is then not used.
  std::shared_ptr<Store> store = nullptr;
};

/// What one call of `log` may decide for itself.
struct LogOptions {
  /// Whether the event gets a stack trace: `stacktrace` if given, else of the exception's throw, or of this
  /// call. Empty: where `stacktrace` is given, or as configured.
  std::optional<bool> inc_st = std::nullopt;
  /// At most so many frames of it, the innermost; 0 leaves it out. Empty: stacktraces.max_frames.
  std::optional<std::size_t> st_len = std::nullopt;
  /// When it happened. Empty: now.
  std::optional<Time> when_ts = std::nullopt;
  /// Wait until the event is stored, and return its record.
  bool sync = false;
  /// Null, or a stack that was captured before, on whatever thread: the event gets this one. Borrowed for the
  /// call, and not changed. See boost_stacktrace.hpp for those of Boost.
  const Stacktrace* stacktrace = nullptr;
};

/// An event on its way to the store, as a filter sees it.
struct FilteredEvent {
  Attributes data;
  bool has_data = false;  ///< false: no data at all; adding an attribute makes it true
  Time when;
  bool has_stacktrace = false;  ///< set to false to leave the stack trace out
};

/// Sees each event before it is stored or queued; may change it (redaction), or return false to drop it
/// (sampling). Called on the thread that logs, on several at once. An exception out of it drops the event and
/// is counted.
using EventFilter = std::function<bool(FilteredEvent&)>;

/// What has become of the process's events so far.
struct ProcessStats {
  std::uint64_t logged = 0;               ///< calls of log()
  std::uint64_t accepted = 0;             ///< of these, taken over by the store
  std::uint64_t stored = 0;               ///< of these, in the store
  std::uint64_t queued = 0;               ///< of these, waiting in a queue
  std::uint64_t rejected = 0;             ///< of these, refused by the store for good
  std::uint64_t filtered = 0;             ///< dropped by the filter
  std::uint64_t lost_filter_error = 0;    ///< dropped because the filter threw
  std::uint64_t lost_full = 0;            ///< dropped because the queue was full
  std::uint64_t lost_error = 0;           ///< not taken because the store or the queue's storage failed
  std::uint64_t lost_after_shutdown = 0;  ///< came after shutdown()
  /// In words, what keeps a queue from being as safe as it was configured to be, such as a journal folder
  /// that cannot be written, or a store that is away; empty where nothing does.
  std::string problem = {};
};

class Tracer;

/// The one process of a program. Made by the first `instance()`, never destroyed. Thread-safe.
class CODEWAKE_API Process {
 public:
  /// The process; the first call makes it, from the configuration. Many threads may come first: one record is
  /// made.
  ///
  /// Throws ConfigError, where no store is configured (it names the files and variables that were looked at)
  /// and for whatever else is wrong in the configuration; PluginError; StoreError where the store does not
  /// queue and refuses the process for good. After a failure the next call tries again. Where the store is
  /// away (no server, a full disk, a limit), that is said on stderr, and each event tries again. With a store
  /// that queues it waits for nothing; else for the store.
  static Process& instance();

  /// The same with options; these are for the first call: ConfigError where the process exists already and
  /// any option is given.
  static Process& instance(ProcessOptions options);

  /// Whether `instance()` has been called with success.
  static bool exists() noexcept;

  /// Records an event: no data, a list, any range of pairs (std::map, …), or an Attributes.
  ///
  /// Without `.sync` it never throws. With a store that queues it never waits for the store, and the event
  /// survives what the queue survives once it returns. Only a journal that is full makes it wait, or drop the
  /// event, as QueueStore::insert_event says. Any other store has the event, or has failed to take it, when
  /// it returns. Failures are counted in stats() and said once on stderr. With `.sync` it waits until the
  /// event is stored and returns the record, or throws StoreError.
  std::optional<EventRecord> log();
  CODEWAKE_PART_OF_CALLER std::optional<EventRecord> log(std::initializer_list<AttributeArgument> data) {
    const std::span arguments(data.begin(), data.size());
    internal::Queue* const queue = quick_.load(std::memory_order_relaxed);
    if (queue != nullptr && queue->insert_quickly(arguments)) [[likely]]
      return std::nullopt;
    return log_data(arguments, {});
  }
  CODEWAKE_PART_OF_CALLER std::optional<EventRecord> log(std::initializer_list<AttributeArgument> data,
                                                         const LogOptions& options) {
    return log_data(std::span(data.begin(), data.size()), options);
  }
  std::optional<EventRecord> log(const Attributes& data, const LogOptions& options = {});
  template <AttributeRange R>
  requires(!std::same_as<R, Attributes>) std::optional<EventRecord> log(const R& data,
                                                                        const LogOptions& options = {}) {
    return log(Attributes(data), options);
  }

  /// Records an exception: the data, then `exception.type` (demangled), `exception.message`, and for each
  /// nested one `exception.cause.1.type`, `exception.cause.1.message` … as attributes, and the stack of its
  /// throw. For what is not a std::exception the message is the text, if it is text. A null exception_ptr is
  /// an event without exception. Otherwise as above.
  CODEWAKE_PART_OF_CALLER std::optional<EventRecord> log(std::initializer_list<AttributeArgument> data,
                                                         const std::exception& exception,
                                                         const LogOptions& options = {}) {
    return log_exception(std::span(data.begin(), data.size()), exception, options);
  }
  CODEWAKE_PART_OF_CALLER std::optional<EventRecord> log(std::initializer_list<AttributeArgument> data,
                                                         const std::exception_ptr& exception,
                                                         const LogOptions& options = {}) {
    return log_exception(std::span(data.begin(), data.size()), exception, options);
  }
  std::optional<EventRecord> log(const Attributes& data, const std::exception& exception,
                                 const LogOptions& options = {});
  std::optional<EventRecord> log(const Attributes& data, const std::exception_ptr& exception,
                                 const LogOptions& options = {});

  /// Sets the filter; an empty one takes it away. Events being logged meanwhile may still see the old one.
  void set_filter(EventFilter filter);

  /// Waits until everything logged before the call is stored, at most `timeout`; the result says whether it
  /// is.
  bool flush(std::chrono::nanoseconds timeout);

  /// Stores what it can within `timeout`, closes the store, and refuses (and counts) what is logged later.
  /// The result says whether everything was stored. Happens by itself at exit, within queue.exit_timeout. A
  /// second call does nothing.
  bool shutdown(std::chrono::nanoseconds timeout);

  ProcessStats stats() const;

  /// The id of the process's record; empty until a store that queues has stored it. In a child made by
  /// fork(), of the child.
  std::optional<Id> id() const noexcept;

  /// The tracer of this process: it records into the same store, or to the Raceway server of
  /// `tracing.endpoint` where that is configured. The first call makes it, and throws PluginError and
  /// ConfigError as `instance` does.
  Tracer& tracer();

  /// The configuration it was made from.
  const Config& config() const noexcept;

  /// The store it records into.
  const std::shared_ptr<Store>& store() const noexcept;

  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

 private:
  class Impl;

  Process(const ProcessOptions& options, bool registers);
  ~Process();

  static void at_fork(ForkPhase phase) noexcept;
  static const int at_fork_registered_;
  static void end(const std::atomic<Process*>& which);
  static void watch_program(std::string_view what) noexcept;
  static void on_throw(void* object, const std::type_info& type, std::span<void* const> addresses) noexcept;
  static const bool is_watched_;

  std::optional<EventRecord> log_data(std::optional<std::span<const AttributeArgument>> data,
                                      const LogOptions& options);
  std::optional<EventRecord> log_exception(std::span<const AttributeArgument> data,
                                           const std::exception& exception, const LogOptions& options);
  std::optional<EventRecord> log_exception(std::span<const AttributeArgument> data,
                                           const std::exception_ptr& exception, const LogOptions& options);

  // The store's queue, where an event without options needs nothing that is not done there: no filter sees
  // it, and it gets no stack.
  std::atomic<internal::Queue*> quick_{nullptr};
  std::unique_ptr<Impl> impl_;
};

}  // namespace codewake
