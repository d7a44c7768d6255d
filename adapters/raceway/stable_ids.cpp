#include "stable_ids.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "codewake/digest.hpp"
#include "codewake/stacktrace.hpp"

namespace codewake::internal {
namespace {

Digest sum(std::initializer_list<AttributeView> of) {
  return digest_of(std::span<const AttributeView>(of.begin(), of.size()));
}

template <class Bytes>
Id number_of(const Bytes& bytes) noexcept {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 8; ++i) number = number << 8 | bytes[i];
  return std::max<Id>(static_cast<Id>(number >> 1), 1);
}

/// RFC 9562, version 8: its bits are the maker's own, but for version and variant.
std::array<std::uint8_t, 16> uuid_of(const Digest& digest) {
  std::array<std::uint8_t, 16> bytes{};
  std::copy_n(digest.begin(), bytes.size(), bytes.begin());
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0F) | 0x80);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3F) | 0x80);
  return bytes;
}

std::optional<std::string_view> view(const std::optional<std::string>& text) {
  return text ? std::optional<std::string_view>(*text) : std::nullopt;
}

}  // namespace

Id process_id_of(const ProcessInfo& info) {
  const std::string run_ts = fmt::format("{}", info.run_ts.time_since_epoch().count());
  const std::string pid = info.pid ? fmt::format("{}", *info.pid) : "";
  return number_of(sum({{"what", "process"},
                        {"run_ts", run_ts},
                        {"pid", pid},
                        {"app", info.app_name},
                        {"vsn", view(info.app_vsn)},
                        {"environment", view(info.env_name)},
                        {"user", view(info.username)},
                        {"host", view(info.fqdn)},
                        {"executable", view(info.exe_path)}}));
}

Id name_id_of(std::string_view what, std::string_view name) {
  return number_of(sum({{"what", what}, {"name", name}}));
}

std::string origin_of(const Batch& batch, Id process) {
  if (batch.positions.empty()) return fmt::format("process {}", process);
  const std::string_view segment = batch.positions.front().segment;
  return fmt::format("run {}", segment.substr(0, segment.find('/')));
}

TraceEventId event_id_of(std::string_view origin, const BatchEvent& event) {
  // Who recovers a journal may know its times less exactly, and its stacks better.
  if (event.journal_place != 0) {
    const std::string place = fmt::format("{}", event.journal_place);
    return {uuid_of(sum({{"what", "event"}, {"origin", origin}, {"place", place}}))};
  }
  const std::string when = fmt::format("{}", event.when.time_since_epoch().count());
  std::string data, frames, tie;
  if (event.has_data) data = to_hex(digest_of(event.data));
  if (event.stacktrace != nullptr) frames = to_hex(digest_of(event.stacktrace->frames()));
  if (event.trace) tie = to_hex(event.trace->trace_id) + to_hex(event.trace->span_id);
  return {uuid_of(sum({{"what", "event"},
                       {"origin", origin},
                       {"when", when},
                       {"data", data},
                       {"frames", frames},
                       {"trace", tie}}))};
}

Id row_id_of(const TraceEventId& id) noexcept {
  return number_of(id.bytes);
}

TraceId trace_id_of(std::string_view origin) {
  return {uuid_of(sum({{"what", "trace"}, {"origin", origin}}))};
}

}  // namespace codewake::internal
