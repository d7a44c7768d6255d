#include "tracing/tracer_core.hpp"

#include <unistd.h>

#include <array>
#include <exception>
#include <mutex>
#include <utility>

#include "base/hex.hpp"
#include "base/random.hpp"
#include "base/recording_here.hpp"
#include "base/thread_text.hpp"
#include "codewake/visible.hpp"
#include "tracing/raceway_clock.hpp"

namespace codewake::internal {
namespace {

TracerOptions completed(TracerOptions options) {
  if (!options.instance_id.empty()) return options;
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host = {"localhost"};
  options.instance_id = std::string(host.data()) + "-" + std::to_string(getpid());
  return options;
}

}  // namespace

TracerCore::TracerCore(std::shared_ptr<Store> store, TracerOptions options,
                       std::function<void()> before_event)
    : store_(std::move(store)),
      options_(completed(std::move(options))),
      before_event_(std::move(before_event)) {}

std::string TracerCore::component_of(const SpanId& span) const {
  std::string name;
  name.reserve(options_.service_name.size() + options_.instance_id.size() + 2 + 2 * span.bytes.size());
  name += options_.service_name;
  name += '#';
  name += options_.instance_id;
  name += '#';
  append_hex(name, span.bytes);
  return name;
}

Context TracerCore::begin(const IncomingHeaders& headers) {
  std::optional<TraceContext> trace = parse_trace_context(headers.traceparent(), headers.tracestate());
  SpanId upstream;
  if (trace) {
    upstream = std::exchange(trace->span_id, SpanId::make());
  } else {
    trace = {.trace_id = TraceId::make(),
             .span_id = SpanId::make(),
             .flags = TraceContext::kSampled | TraceContext::kRandom};
  }
  auto* const execution = new Execution(shared_from_this(), *std::move(trace), upstream, {});
  Context context = take(execution);
  if (!upstream.empty()) execution->merge(parse_raceway_clock(headers.clock(), execution->trace().trace_id));
  return context;
}

Context TracerCore::begin_child(const TraceContext& trace, SpanId upstream, TraceEventId begun_by,
                                const VectorClock& known) {
  TraceContext own = trace;
  own.span_id = SpanId::make();
  auto* const execution = new Execution(shared_from_this(), std::move(own), upstream, begun_by);
  Context context = take(execution);
  execution->merge(known);
  return context;
}

Execution* TracerCore::current(const char* what) const {
  Execution* const execution = current_execution;
  if (execution != nullptr && execution->core().get() == this) [[likely]]
    return execution;
  if (options_.debug) say_on_stderr({what, " outside of a context: not recorded"});
  return nullptr;
}

TraceEventId TracerCore::submit(Execution& execution, const Happening& what, const SourceLocation& location,
                                std::string_view data) {
  execution.look_for_fork();
  TraceEventInput event;
  event.kind = what.kind;
  event.access = what.access;
  make_uuid(event.id.bytes);
  event.trace_id = execution.tie().trace_id;
  event.span_id = execution.tie().span_id;
  event.upstream_span_id = execution.upstream();
  event.parent_id = execution.exchange_last_event(event.id);
  event.step = execution.tick();
  event.duration = what.duration;
  event.line = location.line();
  event.texts = {.service = options_.service_name,
                 .instance = options_.instance_id,
                 .environment = options_.environment,
                 .execution = execution.clock().own().execution,
                 .thread = thread_text(),
                 .name = what.name,
                 .file = location.file_name(),
                 .data = data,
                 .clock = execution.clock_text(),
                 .locks = execution.locks_text()};
  try {
    const RecordingHere here;
    if (before_event_) before_event_();
    store_->insert_trace_event(event);
  } catch (const std::exception& error) {
    lose(error.what());
  } catch (...) {
    lose("the store threw something that is no exception");
  }
  return event.id;
}

void TracerCore::lose(const char* why) noexcept {
  lost_.fetch_add(1, std::memory_order_relaxed);
  if (said_.exchange(true)) return;
  say_on_stderr({"a trace event could not be recorded (more are counted, not said): ", why});
}

}  // namespace codewake::internal
