#include "codewake/trace_context.hpp"

#include <algorithm>
#include <cstddef>

#include "base/hex.hpp"
#include "base/random.hpp"

namespace codewake {
namespace {

constexpr std::size_t kTraceparentLength = 55;
constexpr std::size_t kMostEntries = 32;
constexpr std::size_t kMostKeyBytes = 256;
constexpr std::size_t kMostValueBytes = 256;
constexpr std::size_t kSentStateBytes = 512;
constexpr std::size_t kLongEntryBytes = 128;

constexpr auto parse_lower =
    internal::parse_hex<internal::kLowerDigits>;  // upper case is an error: some compare ids as text

std::string_view trimmed(std::string_view text) noexcept {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// version "-" trace-id "-" parent-id "-" flags; later versions may go on behind another dash.
std::optional<TraceContext> parse_traceparent(std::string_view text) noexcept {
  if (text.size() < kTraceparentLength) return std::nullopt;
  std::uint8_t version = 0;
  std::uint8_t flags = 0;
  TraceContext context;
  const bool is_shaped =
      text[2] == '-' && text[35] == '-' && text[52] == '-' && parse_lower(text.substr(0, 2), {&version, 1}) &&
      parse_lower(text.substr(3, 32), context.trace_id.bytes) &&
      parse_lower(text.substr(36, 16), context.span_id.bytes) && parse_lower(text.substr(53, 2), {&flags, 1});
  if (!is_shaped || version == 0xFF || context.trace_id.empty() || context.span_id.empty())
    return std::nullopt;
  const bool goes_on = text.size() > kTraceparentLength;
  if (goes_on && (version == 0 || text[kTraceparentLength] != '-')) return std::nullopt;
  context.flags = flags & (TraceContext::kSampled | TraceContext::kRandom);
  return context;
}

bool is_key(std::string_view key) noexcept {
  const auto is_begin = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (key.empty() || key.size() > kMostKeyBytes || !is_begin(key.front())) return false;
  return std::all_of(key.begin(), key.end(), [&](char c) {
    return is_begin(c) || c == '_' || c == '-' || c == '*' || c == '/' || c == '@';
  });
}

bool is_value(std::string_view value) noexcept {
  if (value.empty() || value.size() > kMostValueBytes || value.back() == ' ') return false;
  return std::all_of(value.begin(), value.end(),
                     [](char c) { return c >= 0x20 && c <= 0x7E && c != ',' && c != '='; });
}

// Whether the header is good; its entries are added.
bool parse_tracestate(std::string_view text, std::vector<std::pair<std::string, std::string>>& state) {
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view entry = trimmed(text.substr(0, comma));
    if (!entry.empty()) {
      const std::size_t equals = entry.find('=');
      if (equals == entry.npos || state.size() == kMostEntries) return false;
      const std::string_view key = entry.substr(0, equals);
      const std::string_view value = entry.substr(equals + 1);
      if (!is_key(key) || !is_value(value)) return false;
      const bool is_known =
          std::any_of(state.begin(), state.end(), [&](const auto& known) { return known.first == key; });
      if (is_known) return false;
      state.emplace_back(key, value);
    }
    if (comma == text.npos) return true;
    text.remove_prefix(comma + 1);
  }
}

std::size_t size_of(const std::pair<std::string, std::string>& entry) noexcept {
  return entry.first.size() + 1 + entry.second.size();
}

}  // namespace

TraceId TraceId::make() {
  TraceId id;
  internal::make_uuid(id.bytes);
  return id;
}

SpanId SpanId::make() {
  SpanId id;
  do {
    internal::fill_at_random(id.bytes);
  } while (id.empty());
  return id;
}

std::string to_hex(const TraceId& id) {
  std::string text;
  internal::append_hex(text, id.bytes);
  return text;
}

std::string to_hex(const SpanId& id) {
  std::string text;
  internal::append_hex(text, id.bytes);
  return text;
}

std::string to_uuid(const TraceId& id) {
  return internal::format_uuid(id.bytes);
}

std::optional<TraceId> parse_trace_id(std::string_view text) noexcept {
  TraceId id;
  if (!internal::parse_hex(text, id.bytes) && !internal::parse_uuid(text, id.bytes)) return std::nullopt;
  return id.empty() ? std::nullopt : std::optional(id);
}

std::optional<SpanId> parse_span_id(std::string_view text) noexcept {
  SpanId id;
  return internal::parse_hex(text, id.bytes) && !id.empty() ? std::optional(id) : std::nullopt;
}

std::optional<TraceContext> parse_trace_context(std::span<const std::string_view> traceparent,
                                                std::span<const std::string_view> tracestate) {
  if (traceparent.size() != 1) return std::nullopt;
  std::optional<TraceContext> context = parse_traceparent(trimmed(traceparent.front()));
  if (!context) return std::nullopt;
  for (const std::string_view header : tracestate) {
    if (parse_tracestate(header, context->state)) continue;
    context->state.clear();
    break;
  }
  return context;
}

std::string format_traceparent(const TraceContext& context) {
  std::string text(kTraceparentLength, '-');
  text[0] = text[1] = '0';
  internal::write_hex(text.data() + 3, context.trace_id.bytes);
  internal::write_hex(text.data() + 36, context.span_id.bytes);
  internal::write_hex(text.data() + 53, {&context.flags, 1});
  return text;
}

std::string format_tracestate(const TraceContext& context) {
  std::size_t total = 0;
  for (const auto& entry : context.state) total += size_of(entry) + 1;
  std::string text;
  for (const auto& entry : context.state) {
    const bool is_too_much = total > kSentStateBytes + 1;
    if (is_too_much && size_of(entry) > kLongEntryBytes) {
      total -= size_of(entry) + 1;
      continue;
    }
    if (text.size() + (text.empty() ? 0 : 1) + size_of(entry) > kSentStateBytes) break;
    if (!text.empty()) text += ',';
    text += entry.first + '=' + entry.second;
  }
  return text;
}

}  // namespace codewake
