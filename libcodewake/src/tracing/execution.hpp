// One logical thread of control, and what it knows.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/trace_context.hpp"
#include "codewake/tracing.hpp"
#include "codewake/vector_clock.hpp"

namespace codewake::internal {

/// Counted by Context. What is behind the mutex is for whoever holds it; the rest does not change.
class Execution {
 public:
  /// `trace.span_id` is its own span.
  Execution(std::shared_ptr<TracerCore> core, TraceContext trace, SpanId upstream, TraceEventId begun_by);
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  const std::shared_ptr<TracerCore>& core() const noexcept { return core_; }
  const TraceContext& trace() const noexcept { return trace_; }
  std::mutex& mutex() const noexcept { return mutex_; }

  // ── with the mutex held ──

  /// Borrowed by `current_tie`: changes only in the child of a fork().
  const TraceTie& tie() const noexcept { return tie_; }
  const VectorClock& clock() const noexcept { return clock_; }
  SpanId upstream() const noexcept { return upstream_; }
  /// What it records next follows this; the other becomes what follows that.
  TraceEventId exchange_last_event(const TraceEventId& id) noexcept { return std::exchange(last_event_, id); }
  std::uint64_t tick() noexcept { return clock_.tick(); }
  template <class Said>
  void merge(Said&& said) {
    if (clock_.merge(std::forward<Said>(said))) clock_text_.clear();
  }

  void add_lock(std::string_view name);
  /// The one that was taken last, where it holds several of the name.
  void remove_lock(std::string_view name);

  /// As JSON, as a trace event has them. Valid until the next step.
  std::string_view clock_text();
  std::string_view locks_text() const noexcept { return locks_text_; }
  std::string& empty_buffer() noexcept {
    buffer_.clear();
    return buffer_;
  }

  /// In the child of a fork() it is another execution, which the parent's began.
  void look_for_fork();

  struct Request {
    std::chrono::steady_clock::time_point began;
    Context before;  ///< what was current before, where it was made current
  };
  std::optional<Request> request = std::nullopt;

 private:
  friend class codewake::Context;

  void write_locks();

  mutable std::atomic<std::uint32_t> references_{1};
  const std::shared_ptr<TracerCore> core_;
  const TraceContext trace_;
  mutable std::mutex mutex_;
  TraceTie tie_;
  SpanId upstream_;
  VectorClock clock_;
  std::string clock_text_;      // up to the own steps; empty: to be written anew
  std::size_t clock_head_ = 0;  // of clock_text_, what does not change with a step
  std::vector<std::string> locks_;
  std::string locks_text_ = "[]";
  TraceEventId last_event_;
  std::string buffer_;
  std::uint32_t generation_;
};

/// The one of this thread; null outside of traces. Owns a reference.
extern constinit thread_local Execution* current_execution __attribute__((tls_model("initial-exec")));

}  // namespace codewake::internal
