// The table trace_events, as every SQL store has it: its columns, and a trace event made of a row.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>

#include "codewake/time.hpp"
#include "codewake/trace_event.hpp"

namespace codewake::internal {

/// The columns but for the id, which stands first. A macro, so that it can become part of a literal.
#define CODEWAKE_TRACE_COLUMNS                                                                              \
  "event_id, trace_id, span_id, upstream_span_id, parent_id, process_id, when_ts, duration, kind, access, " \
  "name, file, line, service, instance, environment, execution, thread, step, data, clock, locks"
inline constexpr std::string_view kTraceColumns = CODEWAKE_TRACE_COLUMNS;

/// The column duration: seconds, to the nanosecond up to 26 days.
inline double to_seconds(std::chrono::nanoseconds duration) noexcept {
  return std::chrono::duration<double>(duration).count();
}

/// What no duration can hold becomes the nearest bound; not-a-number becomes zero.
inline std::chrono::nanoseconds to_duration(double seconds) noexcept {
  constexpr long double kMost = std::numeric_limits<std::int64_t>::max();
  const long double nanoseconds = static_cast<long double>(seconds) * 1e9L;
  if (std::isnan(nanoseconds)) return {};
  if (nanoseconds >= kMost) return std::chrono::nanoseconds::max();
  if (nanoseconds <= -kMost) return std::chrono::nanoseconds::min();
  return std::chrono::nanoseconds(std::llround(nanoseconds));
}

/// The trace event of a row of kTraceColumns with the id behind them. What is of a newer version, or none of
/// ours, becomes what says nothing: kind Custom, empty ids.
template <class Row>
TraceEventRecord to_trace_event(const Row& row) {
  constexpr std::int64_t kLastLine = std::numeric_limits<std::uint32_t>::max();
  TraceEventRecord event;
  event.id = parse_trace_event_id(row.bytes(0)).value_or(TraceEventId());
  event.trace_id = parse_trace_id(row.bytes(1)).value_or(TraceId());
  event.span_id = parse_span_id(row.bytes(2)).value_or(SpanId());
  event.upstream_span_id = parse_span_id(row.bytes(3)).value_or(SpanId());
  event.parent_id = parse_trace_event_id(row.bytes(4)).value_or(TraceEventId());
  event.process_id = row.integer(5);
  event.when = from_unix_seconds(row.real(6));
  if (!row.is_null(7)) event.duration = to_duration(row.real(7));
  event.kind = parse_trace_kind(row.bytes(8)).value_or(TraceKind::custom);
  event.access = parse_access(row.bytes(9));
  event.line = static_cast<std::uint32_t>(std::clamp<std::int64_t>(row.integer(12), 0, kLastLine));
  event.step = static_cast<std::uint64_t>(row.integer(18));
  event.texts = {.service = row.text(13),
                 .instance = row.text(14),
                 .environment = row.text(15),
                 .execution = row.text(16),
                 .thread = row.text(17),
                 .name = row.text(10),
                 .file = row.text(11),
                 .data = row.text(19),
                 .clock = row.text(20),
                 .locks = row.text(21)};
  event.row = row.integer(22);
  return event;
}

}  // namespace codewake::internal
