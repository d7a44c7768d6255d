#include "journal/trace_codec.hpp"

namespace codewake::internal {

static_assert(std::tuple_size_v<decltype(TraceEventPayload::text_bytes)> == kTraceEventTexts);

std::optional<TraceEventInput> decode_trace_event(std::span<const char> payload) noexcept {
  ByteReader in(payload);
  const auto fixed = in.get<TraceEventPayload>();
  if (!fixed || (fixed->shape & ~kKnownTraceShape) != 0) return std::nullopt;
  if (fixed->kind == 0 || fixed->kind > kTraceKinds || fixed->access > kAccesses) return std::nullopt;
  TraceEventInput event;
  event.kind = static_cast<TraceKind>(fixed->kind);
  if (fixed->access != 0) event.access = static_cast<Access>(fixed->access);
  if ((fixed->shape & kHasDuration) != 0) event.duration = std::chrono::nanoseconds(fixed->duration_ns);
  event.line = fixed->line;
  event.step = fixed->step;
  event.id.bytes = fixed->id;
  event.trace_id.bytes = fixed->trace_id;
  event.parent_id.bytes = fixed->parent_id;
  event.span_id.bytes = fixed->span_id;
  event.upstream_span_id.bytes = fixed->upstream_span_id;
  std::size_t text_number = 0;
  bool is_whole = true;
  TraceEventTexts<std::string_view>::for_each(event.texts, [&](std::string_view& text) {
    const auto read = in.text(fixed->text_bytes[text_number++]);
    if (read) text = *read;
    is_whole = is_whole && read.has_value();
  });
  return is_whole ? std::optional(event) : std::nullopt;
}

}  // namespace codewake::internal
