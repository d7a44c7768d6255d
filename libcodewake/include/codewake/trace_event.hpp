// Trace events: what an execution did inside a trace, and what it knew of the others by then.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/export.hpp"
#include "codewake/records.hpp"
#include "codewake/time.hpp"
#include "codewake/trace_context.hpp"

namespace codewake {

/// What a trace event tells of, by the names of a Raceway server: `StateChange`, `FunctionCall`, …
enum class TraceKind : std::uint8_t {
  state_change = 1,
  function_call = 2,
  function_return = 3,
  async_spawn = 4,
  async_await = 5,
  lock_acquire = 6,
  lock_release = 7,
  memory_fence = 8,
  http_request = 9,
  http_response = 10,
  database_query = 11,
  database_result = 12,
  error = 13,
  custom = 14
};
inline constexpr std::size_t kTraceKinds = 14;

/// How a variable was accessed: `Read`, `Write`, `AtomicRead`, `AtomicWrite`, `AtomicRMW`.
enum class Access : std::uint8_t { read = 1, write = 2, atomic_read = 3, atomic_write = 4, atomic_rmw = 5 };
inline constexpr std::size_t kAccesses = 5;

/// The name, and what has that name; empty where nothing has. Thread-safe.
CODEWAKE_API std::string_view to_string(TraceKind kind) noexcept;
CODEWAKE_API std::string_view to_string(Access access) noexcept;
CODEWAKE_API std::optional<TraceKind> parse_trace_kind(std::string_view name) noexcept;
CODEWAKE_API std::optional<Access> parse_access(std::string_view name) noexcept;

/// Names a trace event in all the world; a version 4 UUID.
struct TraceEventId {
  std::array<std::uint8_t, 16> bytes{};

  bool empty() const noexcept { return *this == TraceEventId(); }
  auto operator<=>(const TraceEventId&) const = default;
};

/// Groups of 8, 4, 4, 4 and 12 hexadecimal digits.
CODEWAKE_API std::string to_uuid(const TraceEventId& id);
CODEWAKE_API std::optional<TraceEventId> parse_trace_event_id(std::string_view uuid) noexcept;
/// Of what a trace event consists, but for its texts.
struct TraceEventHead {
  TraceKind kind = TraceKind::custom;
  std::optional<Access> access = std::nullopt;  ///< of a state change
  TraceEventId id = {};
  TraceId trace_id = {};
  SpanId span_id = {};           ///< of the execution
  SpanId upstream_span_id = {};  ///< of whoever began it; empty: nobody
  TraceEventId parent_id = {};   ///< the execution's event before it, or that which began it; empty: none
  std::uint64_t step = 0;        ///< the execution's own, from 1
  std::optional<std::chrono::nanoseconds> duration = std::nullopt;
  std::uint32_t line = 0;

  bool operator==(const TraceEventHead&) const = default;
};

/// The texts of a trace event, in the order in which journals and stores have them. `Text` owns or borrows.
template <class Text>
struct TraceEventTexts {
  Text service = {};      ///< the service's name
  Text instance = {};     ///< which of its instances
  Text environment = {};  ///< such as `production`
  Text execution = {};    ///< the component of the clock: `service#instance#execution`
  Text thread = {};       ///< the thread that it happened on
  /// What it is about: the variable, function, task, lock, method and URL, status, database, exception type,
  /// or the name of a custom event.
  Text name = {};
  Text file = {};   ///< of the source; empty: not known
  Text data = {};   ///< a JSON object: what else the kind has (see the table of fields in tracing.hpp)
  Text clock = {};  ///< a JSON array of `[execution, steps]`, the own one last
  Text locks = {};  ///< a JSON array of the names of the locks that the execution held

  /// Calls `visit` with each of them.
  template <class Self, class Visit>
  static void for_each(Self& self, Visit visit) {
    for (auto* text : {&self.service, &self.instance, &self.environment, &self.execution, &self.thread,
                       &self.name, &self.file, &self.data, &self.clock, &self.locks}) {
      visit(*text);
    }
  }

  bool operator==(const TraceEventTexts&) const = default;
};
inline constexpr std::size_t kTraceEventTexts = 10;

/// A trace event on its way to a store. Borrows its texts for the call.
struct TraceEventInput : TraceEventHead {
  TraceEventTexts<std::string_view> texts = {};
};

/// A trace event of a batch. Text is UTF-8 without NUL bytes.
struct BatchTraceEvent : TraceEventHead {
  std::uint32_t process = 0;  ///< index into Batch::processes
  Time when = {};
  TraceEventTexts<std::string_view> texts = {};
};

/// A trace event as a store gives it back.
struct TraceEventRecord : TraceEventHead {
  Id row = 0;  ///< its number in the store
  Id process_id = 0;
  Time when = {};
  TraceEventTexts<std::string> texts = {};

  bool operator==(const TraceEventRecord&) const = default;
};

/// Which trace events: every field that is given must match.
struct TraceEventQuery {
  std::optional<TraceId> trace_id = std::nullopt;
  std::optional<std::string> variable = std::nullopt;  ///< state changes of it
  std::optional<Time> from = std::nullopt;             ///< from ≤ when
  std::optional<Time> to = std::nullopt;               ///< when < to
  /// At most so many events a page; at least 1.
  std::size_t limit = 1000;
  /// Empty for the first page, then TraceEventPage::next.
  std::string cursor = {};
};

/// Trace events, oldest first (by time, then by row), and where to go on.
struct TraceEventPage {
  std::vector<TraceEventRecord> events;
  /// The cursor of the next page; empty where there is none. Opaque; stays valid while events come and go.
  std::string next;
};

/// Which traces: those with an event in the time.
struct TraceQuery {
  std::optional<Time> from = std::nullopt;  ///< from ≤ when
  std::optional<Time> to = std::nullopt;    ///< when < to
  std::size_t limit = 100;
};

/// A trace at a glance.
struct TraceSummary {
  TraceId trace_id;
  Time first;  ///< of all its events
  Time last;
  std::uint64_t events = 0;
  std::uint64_t errors = 0;           ///< events of kind Error
  std::uint64_t executions = 0;       ///< that are told apart by their events
  std::vector<std::string> services;  ///< in alphabetical order
  std::string root;                   ///< what its first event is about

  bool operator==(const TraceSummary&) const = default;
};

}  // namespace codewake
