// What the executions of one tracer have in common.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "codewake/source_location.hpp"
#include "codewake/tracing.hpp"
#include "tracing/execution.hpp"
#include "tracing/lock_clocks.hpp"

namespace codewake::internal {

/// What is recorded of something that happens, besides who and when.
struct Happening {
  TraceKind kind = TraceKind::custom;
  std::string_view name = {};
  std::optional<Access> access = std::nullopt;
  std::optional<std::chrono::nanoseconds> duration = std::nullopt;
};

/// Thread-safe.
class TracerCore : public std::enable_shared_from_this<TracerCore> {
 public:
  /// `before_event` is called before each event is handed over, and may throw; may be empty.
  TracerCore(std::shared_ptr<Store> store, TracerOptions options, std::function<void()> before_event = {});

  const TracerOptions& options() const noexcept { return options_; }
  const std::shared_ptr<Store>& store() const noexcept { return store_; }
  LockClocks& locks() noexcept { return locks_; }
  std::uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

  /// The name of an execution that has this span.
  std::string component_of(const SpanId& span) const;

  /// An execution of the caller's trace, or of a new one.
  Context begin(const IncomingHeaders& headers);
  /// One that `begun_by`, an event of `upstream`, began, and that knows what is known there.
  Context begin_child(const TraceContext& trace, SpanId upstream, TraceEventId begun_by,
                      const VectorClock& known);

  /// The execution of this thread, where it is this tracer's; else null, which is said where debug is on.
  Execution* current(const char* what) const;

  /// Records it of the execution, whose mutex is held; `write_data` appends the members of the data's object.
  template <class WriteData>
  TraceEventId record(Execution& execution, const Happening& what, const SourceLocation& location,
                      WriteData write_data) {
    std::string& data = execution.empty_buffer();
    data += '{';
    write_data(data);
    data += '}';
    return submit(execution, what, location, data);
  }

  static Context take(Execution* execution) noexcept { return Context(execution); }
  static Execution* release(Context context) noexcept { return std::exchange(context.execution_, nullptr); }
  static Execution* peek(const Context& context) noexcept { return context.execution_; }
  static const std::shared_ptr<TracerCore>& of(const Tracer& tracer) noexcept { return tracer.core_; }

 private:
  TraceEventId submit(Execution& execution, const Happening& what, const SourceLocation& location,
                      std::string_view data);
  void lose(const char* why) noexcept;

  const std::shared_ptr<Store> store_;
  const TracerOptions options_;
  const std::function<void()> before_event_;
  LockClocks locks_;
  std::atomic<std::uint64_t> lost_{0};
  std::atomic<bool> said_{false};
};

}  // namespace codewake::internal
