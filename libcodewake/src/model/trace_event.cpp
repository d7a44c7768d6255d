#include "codewake/trace_event.hpp"

#include <array>

#include "base/hex.hpp"

namespace codewake {
namespace {

// In the order of their numbers, which begin with 1.
constexpr std::array<std::string_view, kTraceKinds> kKinds = {
    "StateChange",   "FunctionCall",   "FunctionReturn", "AsyncSpawn",  "AsyncAwait",
    "LockAcquire",   "LockRelease",    "MemoryFence",    "HttpRequest", "HttpResponse",
    "DatabaseQuery", "DatabaseResult", "Error",          "Custom"};
constexpr std::array<std::string_view, kAccesses> kAccessNames = {"Read", "Write", "AtomicRead",
                                                                  "AtomicWrite", "AtomicRMW"};

template <class Enum, std::size_t count>
std::string_view name_of(const std::array<std::string_view, count>& names, Enum value) noexcept {
  const auto number = static_cast<std::size_t>(value);
  return number >= 1 && number <= count ? names[number - 1] : std::string_view();
}

template <class Enum, std::size_t count>
std::optional<Enum> parse(const std::array<std::string_view, count>& names, std::string_view name) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    if (names[i] == name) return static_cast<Enum>(i + 1);
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(TraceKind kind) noexcept {
  return name_of(kKinds, kind);
}

std::string_view to_string(Access access) noexcept {
  return name_of(kAccessNames, access);
}

std::optional<TraceKind> parse_trace_kind(std::string_view name) noexcept {
  return parse<TraceKind>(kKinds, name);
}

std::optional<Access> parse_access(std::string_view name) noexcept {
  return parse<Access>(kAccessNames, name);
}

std::string to_uuid(const TraceEventId& id) {
  return internal::format_uuid(id.bytes);
}

std::optional<TraceEventId> parse_trace_event_id(std::string_view uuid) noexcept {
  TraceEventId id;
  return internal::parse_uuid(uuid, id.bytes) ? std::optional(id) : std::nullopt;
}

}  // namespace codewake
