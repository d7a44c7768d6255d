// Traces made by hand: what executions of several services did, at which moments, by whose clocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/trace_event.hpp"
#include "codewake/vector_clock.hpp"

namespace codewake::testing {

using std::chrono::milliseconds;

inline SpanId span_of(std::uint32_t number) {
  SpanId id;
  for (std::size_t i = 0; i < 4; ++i) id.bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
  id.bytes[7] = 1;
  return id;
}

inline TraceId trace_of(std::uint32_t number) {
  TraceId id;
  for (std::size_t i = 0; i < 4; ++i) id.bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
  id.bytes[15] = 1;
  return id;
}

/// One execution of a trace that is made.
struct MadeExecution {
  std::string service, instance;
  SpanId span, upstream = {};
  VectorClock clock;
  TraceEventId last = {};
  milliseconds skew{0};  ///< of its machine's clock
};

class HandMadeTrace {
 public:
  explicit HandMadeTrace(std::uint32_t number = 1) : trace_(trace_of(number)), number_(number) {}

  /// With a component of its own.
  MadeExecution execution(const std::string& service, const std::string& instance = "one") {
    const SpanId span = new_span();
    return {.service = service,
            .instance = instance,
            .span = span,
            .clock = VectorClock(service + "#" + instance + "#" + to_hex(span))};
  }

  /// As older SDKs have it.
  MadeExecution older_execution(const std::string& service, const std::string& instance = "one") {
    return {.service = service,
            .instance = instance,
            .span = new_span(),
            .clock = VectorClock(service + "#" + instance)};
  }

  /// One that `caller` has sent a request to: it knows of the caller what that knew then.
  MadeExecution called(const MadeExecution& caller, const std::string& service, SpanId sent = {}) {
    MadeExecution made = execution(service);
    made.upstream = sent.empty() ? new_span() : sent;
    made.clock.merge(caller.clock);
    return made;
  }

  /// One that the last event of `parent` has begun.
  MadeExecution spawned(const MadeExecution& parent) {
    MadeExecution made = execution(parent.service, parent.instance);
    made.upstream = parent.span;
    made.last = parent.last;
    made.clock.merge(parent.clock);
    made.skew = parent.skew;
    return made;
  }

  /// Something happens in it, `at` after the trace's begin. The reference is valid until the next.
  TraceEventRecord& add(MadeExecution& execution, TraceKind kind, std::string_view name, milliseconds at,
                        const nlohmann::json& data = nlohmann::json::object()) {
    TraceEventRecord& event = events.emplace_back();
    event.row = static_cast<Id>(events.size());
    event.kind = kind;
    event.id = new_id();
    event.trace_id = trace_;
    event.span_id = execution.span;
    event.upstream_span_id = execution.upstream;
    event.parent_id = std::exchange(execution.last, event.id);
    event.step = execution.clock.tick();
    event.when = Time(std::chrono::hours(24 * 365 * 50)) + at + execution.skew;
    event.line = 7;
    event.texts.service = execution.service;
    event.texts.instance = execution.instance;
    event.texts.execution = execution.clock.own().execution;
    event.texts.name = name;
    event.texts.file = "/src/" + execution.service + ".cpp";
    event.texts.data = data.dump();
    event.texts.clock = clock_text(execution.clock);
    event.texts.locks = "[]";
    return event;
  }

  TraceEventRecord& request(MadeExecution& execution, std::string_view name, milliseconds at) {
    return add(execution, TraceKind::http_request, name, at);
  }
  TraceEventRecord& response(MadeExecution& execution, int status, milliseconds at,
                             milliseconds took = milliseconds(0)) {
    TraceEventRecord& event = add(execution, TraceKind::http_response, std::to_string(status), at);
    event.duration = took;
    return event;
  }

  SpanId new_span() { return span_of(++spans_ + (number_ << 12)); }

  std::vector<TraceEventRecord> events;

 private:
  static std::string clock_text(const VectorClock& clock) {
    nlohmann::json json = nlohmann::json::array();
    for (const auto& other : clock.others()) json.push_back({other.execution, other.steps});
    json.push_back({clock.own().execution, clock.own().steps});
    return json.dump();
  }

  TraceEventId new_id() {
    TraceEventId id;
    ++ids_;
    for (std::size_t i = 0; i < 4; ++i) {
      id.bytes[i] = static_cast<std::uint8_t>(ids_ >> (8 * i));
      id.bytes[i + 4] = static_cast<std::uint8_t>(number_ >> (8 * i));
    }
    id.bytes[15] = 9;
    return id;
  }

  TraceId trace_;
  std::uint32_t number_;
  std::uint32_t spans_ = 0, ids_ = 0;
};

}  // namespace codewake::testing
