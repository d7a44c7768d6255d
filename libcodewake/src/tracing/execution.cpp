#include "tracing/execution.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/fork_generation.hpp"
#include "base/json_text.hpp"
#include "model/current_tie.hpp"
#include "tracing/tracer_core.hpp"

namespace codewake {
namespace internal {

constinit thread_local Execution* current_execution __attribute__((tls_model("initial-exec"))) = nullptr;

Execution::Execution(std::shared_ptr<TracerCore> core, TraceContext trace, SpanId upstream,
                     TraceEventId begun_by)
    : core_(std::move(core)),
      trace_(std::move(trace)),
      tie_{trace_.trace_id, trace_.span_id},
      upstream_(upstream),
      clock_(core_->component_of(tie_.span_id)),
      last_event_(begun_by),
      generation_(fork_generation()) {}

void Execution::look_for_fork() {
  if (generation_ == fork_generation()) return;
  generation_ = fork_generation();
  upstream_ = tie_.span_id;
  tie_.span_id = SpanId::make();
  VectorClock renamed(core_->component_of(tie_.span_id));
  renamed.merge(clock_);
  clock_ = std::move(renamed);
  clock_text_.clear();
}

void Execution::add_lock(std::string_view name) {
  locks_.emplace_back(name);
  write_locks();
}

void Execution::remove_lock(std::string_view name) {
  const auto held = std::find(locks_.rbegin(), locks_.rend(), name);
  if (held == locks_.rend()) return;  // taken outside of the trace, or by another execution
  locks_.erase(std::next(held).base());
  write_locks();
}

void Execution::write_locks() {
  locks_text_ = "[";
  for (const std::string& lock : locks_) {
    if (locks_text_.size() > 1) locks_text_ += ',';
    append_json_string(locks_text_, lock);
  }
  locks_text_ += ']';
}

std::string_view Execution::clock_text() {
  const auto append_name = [this](const std::string& name) {
    clock_text_ += '[';
    append_json_string(clock_text_, name);
    clock_text_ += ',';
  };
  char digits[20];
  const auto text_of = [&](std::uint64_t steps) {
    return std::string_view(
        digits, static_cast<std::size_t>(std::to_chars(digits, std::end(digits), steps).ptr - digits));
  };
  if (clock_text_.empty()) {
    clock_text_ = "[";
    for (const VectorClock::Component& other : clock_.others()) {
      append_name(other.execution);
      clock_text_ += text_of(other.steps);
      clock_text_ += "],";
    }
    append_name(clock_.own().execution);
    clock_head_ = clock_text_.size();
  }
  clock_text_.resize(clock_head_);
  clock_text_ += text_of(clock_.own().steps);
  clock_text_ += "]]";
  return clock_text_;
}

namespace {

/// A thread that ends inside of a context leaves it.
struct LeftAtEnd {
  ~LeftAtEnd() { swap_current({}); }
  void arrange() const noexcept {}
};
thread_local const LeftAtEnd left_at_end;

}  // namespace

Context swap_current(Context next) noexcept {
  if (next) left_at_end.arrange();
  Context before = TracerCore::take(current_execution);
  current_tie = nullptr;
  current_execution = TracerCore::release(std::move(next));
  if (current_execution != nullptr) current_tie = &current_execution->tie();
  return before;
}

}  // namespace internal

Context::Context(const Context& other) noexcept : execution_(other.execution_) {
  if (execution_ != nullptr) execution_->references_.fetch_add(1, std::memory_order_relaxed);
}

Context::~Context() {
  if (execution_ != nullptr && execution_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    delete execution_;
  }
}

Context Context::current() noexcept {
  internal::Execution* const execution = internal::current_execution;
  if (execution != nullptr) execution->references_.fetch_add(1, std::memory_order_relaxed);
  return Context(execution);
}

TraceTie Context::tie() const noexcept {
  if (execution_ == nullptr) return {};
  const std::lock_guard lock(execution_->mutex());
  return execution_->tie();
}

std::string Context::execution() const {
  return execution_ == nullptr ? std::string() : clock().own().execution;
}

VectorClock Context::clock() const {
  if (execution_ == nullptr) return {};
  const std::lock_guard lock(execution_->mutex());
  return execution_->clock();
}

}  // namespace codewake
