// A trace event as the payload of a record, and back.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "codewake/trace_event.hpp"
#include "journal/byte_io.hpp"
#include "journal/format.hpp"

namespace codewake::internal {

/// As encoded_size and encode_event of an ordinary event (event_codec.hpp).
inline std::size_t encoded_size(const TraceEventInput& event) noexcept {
  std::size_t size = sizeof(TraceEventPayload);
  TraceEventTexts<std::string_view>::for_each(event.texts,
                                              [&](std::string_view text) { size += text.size(); });
  return size;
}

__attribute__((always_inline)) inline char* encode_event(const TraceEventInput& event, char* out,
                                                         const char* end) noexcept {
  if (encoded_size(event) > static_cast<std::size_t>(end - out)) [[unlikely]]
    return nullptr;
  TraceEventPayload fixed{.kind = static_cast<std::uint8_t>(event.kind),
                          .access = static_cast<std::uint8_t>(event.access.value_or(Access{})),
                          .shape = event.duration ? kHasDuration : std::uint16_t{0},
                          .line = event.line,
                          .step = event.step,
                          .duration_ns = event.duration ? event.duration->count() : 0,
                          .id = event.id.bytes,
                          .trace_id = event.trace_id.bytes,
                          .parent_id = event.parent_id.bytes,
                          .span_id = event.span_id.bytes,
                          .upstream_span_id = event.upstream_span_id.bytes,
                          .text_bytes = {}};
  std::size_t text_number = 0;
  char* at = out + sizeof fixed;
  TraceEventTexts<std::string_view>::for_each(event.texts, [&](std::string_view text) {
    fixed.text_bytes[text_number++] = static_cast<std::uint32_t>(text.size());
    at = copy_bytes(at, text.data(), text.size());
  });
  put(out, fixed);
  return at;
}

/// The event, borrowing its texts from the payload, as they were written; empty for bytes that are none.
std::optional<TraceEventInput> decode_trace_event(std::span<const char> payload) noexcept;

}  // namespace codewake::internal
