// W3C Trace Context, Level 2: which trace a request belongs to, and who asked.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/export.hpp"

namespace codewake {

/// Never all zeros in a valid context.
struct TraceId {
  std::array<std::uint8_t, 16> bytes{};

  /// A new one, random in all of its bits but for being a version 4 UUID, as which older systems read it.
  /// Thread-safe.
  CODEWAKE_API static TraceId make();
  bool empty() const noexcept { return *this == TraceId(); }
  auto operator<=>(const TraceId&) const = default;
};

struct SpanId {
  std::array<std::uint8_t, 8> bytes{};

  CODEWAKE_API static SpanId make();
  bool empty() const noexcept { return *this == SpanId(); }
  auto operator<=>(const SpanId&) const = default;
};

/// 32 and 16 lower-case hexadecimal digits.
CODEWAKE_API std::string to_hex(const TraceId& id);
CODEWAKE_API std::string to_hex(const SpanId& id);
/// The same as a UUID: groups of 8, 4, 4, 4 and 12.
CODEWAKE_API std::string to_uuid(const TraceId& id);

/// 32 hexadecimal digits, or the same as a UUID, in either case. Empty for anything else, and for zeros.
CODEWAKE_API std::optional<TraceId> parse_trace_id(std::string_view text) noexcept;
/// 16 hexadecimal digits.
CODEWAKE_API std::optional<SpanId> parse_span_id(std::string_view text) noexcept;

/// To which trace and span something belongs.
struct TraceTie {
  TraceId trace_id;
  SpanId span_id;

  bool operator==(const TraceTie&) const = default;
};

/// What one service tells the next: the trace, the caller's span, and what systems on the way have added.
struct TraceContext {
  static constexpr std::uint8_t kSampled = 0x01;
  static constexpr std::uint8_t kRandom = 0x02;  ///< the trace's id is random (Level 2)

  TraceId trace_id;
  SpanId span_id;
  std::uint8_t flags = 0;  ///< kSampled and kRandom; others are not passed on
  /// Newest first, keys unique, 32 at most.
  std::vector<std::pair<std::string, std::string>> state = {};

  bool is_sampled() const noexcept { return (flags & kSampled) != 0; }
  bool operator==(const TraceContext&) const = default;
};

/// The context in the values of the headers `traceparent` and `tracestate`, of which there may be any number.
/// Empty where `traceparent` is missing, doubled, or bad in any way: then a new trace begins. A bad
/// `tracestate` is left out, whole. Throws nothing but std::bad_alloc. Thread-safe.
CODEWAKE_API std::optional<TraceContext> parse_trace_context(std::span<const std::string_view> traceparent,
                                                             std::span<const std::string_view> tracestate);

/// The values of the two headers; an empty tracestate is not to be sent. What does not fit into 512
/// characters of tracestate is left out, entries of more than 128 first, then the oldest. Thread-safe.
CODEWAKE_API std::string format_traceparent(const TraceContext& context);
CODEWAKE_API std::string format_tracestate(const TraceContext& context);

}  // namespace codewake
