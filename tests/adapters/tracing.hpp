// What the tests of every SQL store share: trace events, many at once.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/store.hpp"
#include "codewake/time.hpp"
#include "codewake/trace_context.hpp"
#include "codewake/trace_event.hpp"

namespace codewake::testing {

inline Time trace_time(std::int64_t microseconds) {
  return Time(std::chrono::seconds(1'700'000'000)) + std::chrono::microseconds(microseconds);
}

/// Ids that differ in their last bytes.
template <class AnyId>
AnyId numbered_id(std::uint64_t number) {
  AnyId id;
  id.bytes.fill(0xAB);
  for (std::size_t i = 0; i < 4; ++i)
    id.bytes[id.bytes.size() - 1 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  return id;
}

/// Of a new process, so many state changes a microsecond apart: `per_trace` in each trace, of ten variables
/// `variable 0` to `variable 9`. Beside each first one of a trace an ordinary event that is tied to it.
inline BatchResult write_traces(Store& store, std::size_t count, std::size_t per_trace,
                                std::uint64_t first_trace = 0) {
  const ProcessInfo info{.run_ts = trace_time(0), .app_name = "traced"};
  const BatchProcess process{.info = &info};
  std::vector<std::string> variables;
  for (int i = 0; i < 10; ++i) variables.push_back("variable " + std::to_string(i));
  std::vector<BatchTraceEvent> events;
  std::vector<BatchEvent> tied;
  for (std::size_t i = 0; i < count; ++i) {
    BatchTraceEvent event;
    event.kind = TraceKind::state_change;
    event.access = Access::write;
    event.trace_id = numbered_id<TraceId>(first_trace + i / per_trace);
    event.span_id = numbered_id<SpanId>(first_trace + i / per_trace);
    event.id = numbered_id<TraceEventId>(i);
    event.step = i;
    event.when = trace_time(static_cast<std::int64_t>(i));
    event.texts.name = variables[i % variables.size()];
    event.texts.service = "shop";
    event.texts.execution = "shop#1#main";
    event.texts.clock = R"([["shop#1#main",1]])";
    if (i % per_trace == 0) {
      tied.push_back({.when = event.when, .trace = TraceTie{event.trace_id, event.span_id}});
    }
    events.push_back(event);
  }
  return store.write({.processes = {&process, 1}, .events = tied, .trace_events = events});
}

/// A trace event that has everything, one that has nothing that may be left out, and a tied event; the first
/// two as rows of `kRowExamples`.
inline void write_row_examples(Store& store) {
  const ProcessInfo info{.app_name = "app"};
  const BatchProcess process{.info = &info};
  BatchTraceEvent full;
  full.kind = TraceKind::state_change;
  full.access = Access::atomic_rmw;
  full.id = *parse_trace_event_id("6BA7B810-9DAD-41D1-80B4-00C04FD430C8");
  full.trace_id = *parse_trace_id("0AF7651916CD43DD8448EB211C80319C");
  full.span_id = *parse_span_id("B7AD6B7169203331");
  full.upstream_span_id = *parse_span_id("00F067AA0BA902B7");
  full.parent_id = *parse_trace_event_id("6BA7B811-9DAD-41D1-80B4-00C04FD430C8");
  full.step = 7;
  full.duration = std::chrono::milliseconds(1'500);
  full.line = 22;
  full.when = Time(std::chrono::seconds(1'700'000'000)) + std::chrono::nanoseconds(500'000'999);
  full.texts = {.service = "shop",
                .instance = "1",
                .environment = "test",
                .execution = "shop#1#main",
                .thread = "main",
                .name = "cart",
                .file = "cart.cpp",
                .data = "{\"new_value\":2}",
                .clock = "[[\"shop#1#main\",7]]",
                .locks = "[\"cart mutex\"]"};
  BatchTraceEvent empty;
  empty.kind = TraceKind::custom;
  empty.trace_id = full.trace_id;
  empty.when = full.when + std::chrono::seconds(1);
  const BatchTraceEvent events[] = {full, empty};
  const BatchEvent tied{.when = full.when, .trace = TraceTie{full.trace_id, full.span_id}};
  store.write({.processes = {&process, 1}, .events = {&tied, 1}, .trace_events = events});
}

inline constexpr char kRowExamples[] =
    "SELECT id, event_id, trace_id, span_id, upstream_span_id, parent_id, process_id, when_ts, duration, "
    "kind, "
    "access, name, file, line, service, instance, environment, execution, thread, step, data, clock, locks "
    "FROM trace_events ORDER BY when_ts";

inline std::vector<std::vector<std::string>> row_examples() {
  return {{"1",
           "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
           "0af7651916cd43dd8448eb211c80319c",
           "b7ad6b7169203331",
           "00f067aa0ba902b7",
           "6ba7b811-9dad-41d1-80b4-00c04fd430c8",
           "1",
           "1700000000.5",
           "1.5",
           "StateChange",
           "AtomicRMW",
           "cart",
           "cart.cpp",
           "22",
           "shop",
           "1",
           "test",
           "shop#1#main",
           "main",
           "7",
           "{\"new_value\":2}",
           "[[\"shop#1#main\",7]]",
           "[\"cart mutex\"]"},
          {"2",
           "00000000-0000-0000-0000-000000000000",
           "0af7651916cd43dd8448eb211c80319c",
           "0000000000000000",
           "NULL",
           "NULL",
           "1",
           "1700000001.5",
           "NULL",
           "Custom",
           "NULL",
           "",
           "NULL",
           "NULL",
           "",
           "",
           "",
           "",
           "",
           "0",
           "NULL",
           "NULL",
           "NULL"}};
}

}  // namespace codewake::testing
