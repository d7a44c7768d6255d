// The header `raceway-clock`: what the sender knew.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/tracing.hpp"
#include "codewake/vector_clock.hpp"

namespace codewake::internal {

/// A header that is longer says nothing.
inline constexpr std::size_t kMostClockBytes = 16 * 1024;
/// What is sent is not longer: of the components, those that were heard of longest ago are left out.
inline constexpr std::size_t kMostSentClockBytes = 8 * 1024;

/// Who sends.
struct ClockSender {
  TraceId trace_id;
  SpanId span_id;         ///< of the call
  SpanId parent_span_id;  ///< of the execution
  std::string_view service;
  std::string_view instance;
};

/// `v1;` and the base64url of a JSON object.
std::string format_raceway_clock(const ClockSender& sender, const VectorClock& clock);

/// The components, the last ones where there are too many; none where there is not exactly one header, where
/// it is bad in any way, or of another trace. Throws nothing but std::bad_alloc.
std::vector<VectorClock::Component> parse_raceway_clock(std::span<const std::string_view> headers,
                                                        const TraceId& trace_id);

}  // namespace codewake::internal
