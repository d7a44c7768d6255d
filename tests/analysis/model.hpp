// Programs of executions, locks and variables, as a model runs them: it knows the true order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "codewake/trace_context.hpp"
#include "codewake/trace_event.hpp"
#include "codewake/vector_clock.hpp"

namespace codewake::testing {

/// Records trace events as the library does, each with what came before it. A test's program says what the
/// executions do, in the order in which it happens.
class Model {
 public:
  using Execution = std::size_t;

  /// An execution that nothing began, in a trace of its own.
  Execution root(const std::string& service = "shop") {
    TraceId trace;
    trace.bytes[0] = 1;
    trace.bytes[15] = static_cast<std::uint8_t>(++traces_);
    trace.bytes[14] = static_cast<std::uint8_t>(traces_ >> 8);
    return begin(service, trace, {});
  }

  void access(Execution execution, const std::string& variable, Access access, std::uint32_t line,
              const std::string& values = R"({"old_value":1,"new_value":2})") {
    TraceEventRecord& event = record(execution, TraceKind::state_change, variable, line);
    event.access = access;
    event.texts.data = values;
  }
  void read(Execution execution, const std::string& variable, std::uint32_t line) {
    access(execution, variable, Access::read, line);
  }
  void write(Execution execution, const std::string& variable, std::uint32_t line) {
    access(execution, variable, Access::write, line);
  }

  void call(Execution execution, const std::string& function, std::uint32_t line) {
    record(execution, TraceKind::function_call, function, line);
  }
  void leave(Execution execution, const std::string& function) {
    record(execution, TraceKind::function_return, function, 0);
  }

  Execution spawn(Execution parent, const std::string& service = "", std::uint32_t line = 0) {
    const std::string task = std::to_string(events_.size());
    record(parent, TraceKind::async_spawn, "task", line).texts.data = R"({"task_id":")" + task + "\"}";
    const Told told{states_[parent].clock, events_.size() - 1};
    const Execution child =
        begin(service.empty() ? states_[parent].service : service, states_[parent].trace, told);
    states_[child].upstream = span_of(parent);
    states_[child].last_id = events_.back().id;
    return child;
  }
  void join(Execution parent, Execution child) {
    states_[parent].clock.merge(states_[child].clock);
    if (states_[child].last) states_[parent].before.push_back({*states_[child].last, true});
    record(parent, TraceKind::async_await, "task", 0).texts.data = R"({"future_id":"x"})";
  }

  /// A request that another execution begins with.
  Execution send(Execution sender, const std::string& service, std::uint32_t line = 0) {
    TraceContext sent{.trace_id = states_[sender].trace, .span_id = span_of(events_.size())};
    sent.span_id.bytes[0] = 1;  // it is no execution's
    record(sender, TraceKind::http_request, "GET /", line).texts.data =
        R"({"traceparent":")" + format_traceparent(sent) + "\"}";
    const Told told{states_[sender].clock, events_.size() - 1};
    const Execution receiver = begin(service, states_[sender].trace, told);
    states_[receiver].upstream = sent.span_id;
    return receiver;
  }
  void answer(Execution receiver, Execution sender) {
    record(receiver, TraceKind::http_response, "200", 0).texts.data = "{}";
    const std::size_t given = events_.size() - 1;
    states_[sender].clock.merge(states_[receiver].clock);
    states_[sender].before.push_back({given, true});
    record(sender, TraceKind::http_response, "200", 0).texts.data = "{}";
  }

  bool has_events(Execution execution) const { return states_[execution].last.has_value(); }
  bool is_free(const std::string& lock) const {
    const auto found = locks_.find(lock);
    return found == locks_.end() || !found->second.is_held;
  }
  bool holds(Execution execution, const std::string& lock) const {
    const auto& held = states_[execution].held;
    return std::find(held.begin(), held.end(), lock) != held.end();
  }
  const std::vector<std::string>& held(Execution execution) const { return states_[execution].held; }
  void acquire(Execution execution, const std::string& name, std::uint32_t line = 0) {
    Lock& lock = locks_[name];
    lock.is_held = true;
    if (lock.let_go) {
      states_[execution].clock.merge(lock.clock);
      states_[execution].before.push_back({*lock.let_go, false});
    }
    states_[execution].held.push_back(name);
    record(execution, TraceKind::lock_acquire, name, line).texts.data = R"({"lock_type":"Mutex"})";
  }
  void release(Execution execution, const std::string& name) {
    record(execution, TraceKind::lock_release, name, 0).texts.data = R"({"lock_type":"Mutex"})";
    Lock& lock = locks_[name];
    lock.is_held = false;
    lock.let_go = events_.size() - 1;
    lock.clock = states_[execution].clock;
    auto& held = states_[execution].held;
    held.erase(std::find(held.begin(), held.end(), name));
  }

  const std::vector<TraceEventRecord>& events() const noexcept { return events_; }

  /// What comes directly before each event, and whether that is firm.
  const std::vector<std::vector<std::pair<std::size_t, bool>>>& before() const noexcept { return before_; }

 private:
  struct State {
    std::string service, name;
    TraceId trace;
    VectorClock clock;
    std::vector<std::string> held;
    std::optional<std::size_t> last;
    TraceEventId last_id;
    SpanId upstream;
    std::vector<std::pair<std::size_t, bool>> before;
  };
  struct Lock {
    bool is_held = false;
    std::optional<std::size_t> let_go;
    VectorClock clock;
  };
  struct Told {
    VectorClock clock;
    std::optional<std::size_t> event = std::nullopt;
  };

  static SpanId span_of(Execution execution) {
    SpanId span;
    span.bytes[6] = static_cast<std::uint8_t>((execution + 1) >> 8);
    span.bytes[7] = static_cast<std::uint8_t>(execution + 1);
    return span;
  }

  Execution begin(std::string service, TraceId trace, const Told& told) {
    State& state = states_.emplace_back();
    state.service = std::move(service);
    state.name = state.service + "#1#" + to_hex(span_of(states_.size() - 1));
    state.trace = trace;
    state.clock = VectorClock(state.name);
    if (told.event) {
      state.clock.merge(told.clock);
      state.before.push_back({*told.event, true});
    }
    return states_.size() - 1;
  }

  TraceEventRecord& record(Execution execution, TraceKind kind, const std::string& name, std::uint32_t line) {
    State& state = states_[execution];
    TraceEventRecord& event = events_.emplace_back();
    const std::size_t number = events_.size();
    event.row = static_cast<Id>(number);
    event.process_id = 1;
    event.kind = kind;
    for (std::size_t i = 0; i < 8; ++i) event.id.bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
    event.id.bytes[15] = 1;
    event.trace_id = state.trace;
    event.span_id = span_of(execution);
    event.upstream_span_id = state.upstream;
    event.parent_id = std::exchange(state.last_id, event.id);
    event.step = state.clock.tick();
    event.when = Time(std::chrono::microseconds(1'000'000 + 10 * number));
    event.line = line;
    event.texts.service = state.service;
    event.texts.instance = "1";
    event.texts.execution = state.name;
    event.texts.thread = "thread " + std::to_string(execution);
    event.texts.name = name;
    event.texts.file = "model.cpp";
    event.texts.clock = "[";
    for (const auto& other : state.clock.others())
      event.texts.clock += "[\"" + other.execution + "\"," + std::to_string(other.steps) + "],";
    event.texts.clock += "[\"" + state.name + "\"," + std::to_string(event.step) + "]]";
    event.texts.locks = "[";
    for (const std::string& lock : state.held)
      event.texts.locks += (event.texts.locks.size() > 1 ? ",\"" : "\"") + lock + "\"";
    event.texts.locks += "]";
    before_.push_back(std::exchange(state.before, {}));
    if (state.last) before_.back().push_back({*state.last, true});
    state.last = events_.size() - 1;
    return event;
  }

  std::size_t traces_ = 0;
  std::vector<State> states_;
  std::map<std::string, Lock> locks_;
  std::vector<TraceEventRecord> events_;
  std::vector<std::vector<std::pair<std::size_t, bool>>> before_;
};

}  // namespace codewake::testing
