// An event as the payload of a record, and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/event.hpp"
#include "codewake/frame.hpp"
#include "journal/byte_io.hpp"
#include "journal/format.hpp"
#include "stacktrace/captured_stack.hpp"

namespace codewake::internal {

/// How long an attribute's key or value is in a payload.
inline std::size_t encoded_size(const Value& value) noexcept {
  switch (value.kind()) {
    case Value::Kind::text:
      return value.borrowed_text().size();
    case Value::Kind::null:
      return 0;
    default:
      return sizeof(std::uint64_t);
  }
}

/// A payload's size; more than kMaxPayloadBytes where no payload can hold the event.
std::size_t encoded_size(const EventInput& event) noexcept;

/// Writes encoded_size(event) bytes, and returns their end; null where there is no room for them and
/// kEncodingSlack bytes more before `end`, which says nothing about what stands there then.
char* encode_event(const EventInput& event, char* out, const char* end) noexcept;
inline constexpr std::size_t kEncodingSlack = 16;

/// See encode_quickly().
inline constexpr std::size_t kQuickBytes = 1024;
inline constexpr std::size_t kLeastQuickBytes = sizeof(std::uint32_t) + sizeof(TraceTie);
static_assert(kQuickBytes <= kMaxShortKey && kQuickBytes <= kMaxShortValue);

std::string encode_process(const ProcessInfo& info);

inline constexpr std::size_t kMaxPayloadBytes = std::size_t{1} << 31;

namespace encoding {

static_assert(sizeof(TraceTie) == 24);

// Behind the rest: what few events have.
std::size_t stack_size(const Stacktrace& stack) noexcept;
std::uint32_t stack_shape(const Stacktrace& stack) noexcept;
char* put_stack(const Stacktrace& stack, char* out) noexcept;

__attribute__((always_inline)) inline std::size_t attribute_size(
    const AttributeArgument& attribute) noexcept {
  const std::size_t key = attribute.key.size();
  const std::size_t value = encoded_size(attribute.value);
  const std::size_t head = key <= kMaxShortKey && value <= kMaxShortValue ? 4 : 12;
  return head + key + value;
}

/// Null where it does not fit before `end`.
__attribute__((always_inline)) inline char* put_attribute(const AttributeArgument& attribute, char* out,
                                                          const char* end) noexcept {
  const std::size_t key = attribute.key.size();
  const std::size_t value = encoded_size(attribute.value);
  const auto kind = static_cast<std::uint32_t>(attribute.value.kind());
  const auto room = static_cast<std::size_t>(end - out);
  if (key <= kMaxShortKey && value <= kMaxShortValue) [[likely]] {
    if (sizeof(std::uint32_t) + key + value > room) [[unlikely]]
      return nullptr;
    out = put(out, kind | static_cast<std::uint32_t>(key) << kKeyShift |
                       static_cast<std::uint32_t>(value) << kValueShift);
  } else {
    if (attribute_size(attribute) > room) return nullptr;
    out = put(out, kind | kLongAttribute);
    out = put(out, static_cast<std::uint32_t>(key));
    out = put(out, static_cast<std::uint32_t>(value));
  }
  out = copy_bytes(out, attribute.key.data(), key);
  if (attribute.value.kind() == Value::Kind::text) [[likely]] {
    return copy_bytes(out, attribute.value.borrowed_text().data(), value);
  }
  return attribute.value.is_null() ? out : put(out, attribute.value.bits());
}

}  // namespace encoding

inline std::size_t encoded_size(const EventInput& event) noexcept {
  std::size_t size = sizeof(std::uint32_t);
  if (event.data) {
    if (event.data->size() > kMaxAttributes) return kMaxPayloadBytes + 1;
    for (const AttributeArgument& attribute : *event.data) size += encoding::attribute_size(attribute);
  }
  if (event.when) size += sizeof(std::int64_t);
  if (event.process_id) size += sizeof(Id);
  if (event.trace != nullptr) size += sizeof(TraceTie);
  if (event.stacktrace != nullptr) size += encoding::stack_size(*event.stacktrace);
  return size;
}

__attribute__((always_inline)) inline char* encode_event(const EventInput& event, char* out,
                                                         const char* end) noexcept {
  std::uint32_t shape = 0;
  std::size_t fixed = sizeof shape + sizeof(std::int64_t) + sizeof(Id);
  if (event.trace != nullptr) fixed += sizeof(TraceTie);
  if (event.stacktrace != nullptr) [[unlikely]] {
    shape = encoding::stack_shape(*event.stacktrace);
    fixed += encoding::stack_size(*event.stacktrace);
  }
  if (fixed > static_cast<std::size_t>(end - out)) [[unlikely]]
    return nullptr;
  char* const shape_at = out;
  out += sizeof shape;
  if (event.when) {
    shape |= kHasWhen;
    out = put(out, static_cast<std::int64_t>(event.when->time_since_epoch().count()));
  }
  if (event.process_id) {
    shape |= kHasProcessId;
    out = put(out, *event.process_id);
  }
  if (event.trace != nullptr) {
    shape |= kHasTrace;
    out = put(out, *event.trace);
  }
  if (event.stacktrace != nullptr) out = encoding::put_stack(*event.stacktrace, out);
  if (event.data) {
    if (event.data->size() > kMaxAttributes) return nullptr;
    shape |= kHasData | static_cast<std::uint32_t>(event.data->size());
    for (const AttributeArgument& attribute : *event.data) {
      out = encoding::put_attribute(attribute, out, end);
      if (out == nullptr) [[unlikely]]
        return nullptr;
    }
  }
  put(shape_at, shape);
  return out;
}

/// The same without a call for an event that has attributes and a tie alone, of kQuickBytes at most: null
/// where they go beyond `end`. At least kLeastQuickBytes lie before that.
__attribute__((always_inline)) inline char* encode_quickly(std::span<const AttributeArgument> data,
                                                           const TraceTie* trace, char* out,
                                                           const char* end) noexcept {
  const std::uint32_t shape = kHasData | static_cast<std::uint32_t>(data.size());
  if (trace == nullptr) [[likely]] {
    out = put(out, shape);
  } else {
    out = put(put(out, shape | kHasTrace), *trace);
  }
  for (const AttributeArgument& attribute : data) {
    const std::size_t key_size = attribute.key.size();
    const auto kind = static_cast<std::uint32_t>(attribute.value.kind());
    std::string_view value = attribute.value.borrowed_text();
    std::uint64_t bits;
    if (attribute.value.kind() != Value::Kind::text) [[unlikely]] {
      bits = attribute.value.bits();
      value = {reinterpret_cast<const char*>(&bits), encoded_size(attribute.value)};
    }
    char* const key_at = out + sizeof(std::uint32_t);
    char* const value_at = key_at + key_size;
    if (value_at + value.size() > end) [[unlikely]]
      return nullptr;
    static_assert(kKeyShift < kValueShift);
    put(out, (static_cast<std::uint32_t>(value.size()) << (kValueShift - kKeyShift) |
              static_cast<std::uint32_t>(key_size))
                     << kKeyShift |
                 kind);
    copy_few_bytes(key_at, attribute.key.data(), key_size);
    copy_few_bytes(value_at, value.data(), value.size());
    out = value_at + value.size();
  }
  return out;
}

/// An event as it was written, borrowing from the payload. Text is as the caller had it.
struct DecodedEvent {
  std::optional<Id> process_id = std::nullopt;
  std::optional<Time> when = std::nullopt;
  bool has_data = false;
  std::vector<AttributeArgument> data = {};
  bool has_stacktrace = false;
  CapturedStack captured = {};
  std::optional<std::vector<Frame>> frames = std::nullopt;
  std::optional<TraceTie> trace = std::nullopt;
};

/// False for bytes that are no event. `event` is overwritten, so that its memory serves again.
bool decode_event(std::span<const char> payload, DecodedEvent& event);

std::optional<ProcessInfo> decode_process(std::span<const char> payload);

}  // namespace codewake::internal
