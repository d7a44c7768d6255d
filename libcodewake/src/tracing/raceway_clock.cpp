#include "tracing/raceway_clock.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/base64url.hpp"
#include "base/json_text.hpp"

namespace codewake::internal {
namespace {

constexpr std::string_view kVersion = "v1;";
constexpr std::size_t kMostNameBytes = 512;

std::string text_of(const VectorClock::Component& component) {
  std::string text = "[";
  append_json_string(text, component.execution);
  return text + "," + std::to_string(component.steps) + "]";
}

std::optional<VectorClock::Component> component_of(const nlohmann::json& json) {
  if (!json.is_array() || json.size() != 2 || !json[0].is_string() || !json[1].is_number_unsigned()) {
    return std::nullopt;
  }
  const auto& name = json[0].get_ref<const std::string&>();
  if (name.empty() || name.size() > kMostNameBytes) return std::nullopt;
  return VectorClock::Component{name, json[1].get<std::uint64_t>()};
}

}  // namespace

std::string format_raceway_clock(const ClockSender& sender, const VectorClock& clock) {
  std::string json = "{\"trace_id\":\"" + to_uuid(sender.trace_id) + "\",\"span_id\":\"" +
                     to_hex(sender.span_id) + "\",\"parent_span_id\":\"" + to_hex(sender.parent_span_id) +
                     "\",\"service\":";
  append_json_string(json, sender.service);
  json += ",\"instance\":";
  append_json_string(json, sender.instance);
  json += ",\"clock\":[";
  const std::string own = text_of(clock.own()) + "]}";
  const std::size_t room = kMostSentClockBytes / 4 * 3 - kVersion.size();
  std::size_t left = json.size() + own.size() < room ? room - json.size() - own.size() : 0;
  auto first = clock.others().end();
  std::vector<std::string> others;
  while (first != clock.others().begin()) {
    std::string text = text_of(*std::prev(first)) + ",";
    if (text.size() > left) break;
    left -= text.size();
    others.push_back(std::move(text));
    --first;
  }
  std::for_each(others.rbegin(), others.rend(), [&](const std::string& text) { json += text; });
  return std::string(kVersion) + encode_base64url(json + own);
}

std::vector<VectorClock::Component> parse_raceway_clock(std::span<const std::string_view> headers,
                                                        const TraceId& trace_id) {
  if (headers.size() != 1) return {};
  std::string_view text = headers.front();
  if (text.size() > kMostClockBytes || !text.starts_with(kVersion)) return {};
  const std::optional<std::string> bytes = decode_base64url(text.substr(kVersion.size()));
  if (!bytes) return {};
  const nlohmann::json json = nlohmann::json::parse(*bytes, nullptr, false);
  if (!json.is_object() || !json.contains("clock") || !json.contains("trace_id")) return {};
  const nlohmann::json& id = json["trace_id"];
  if (!id.is_string() || parse_trace_id(id.get_ref<const std::string&>()) != trace_id) return {};
  const nlohmann::json& clock = json["clock"];
  if (!clock.is_array()) return {};
  std::vector<VectorClock::Component> components;
  for (const nlohmann::json& entry : clock) {
    const auto component = component_of(entry);
    if (!component) return {};
    components.push_back(*component);
  }
  constexpr std::size_t kMost = VectorClock::kMaxOthers;
  if (components.size() > kMost) components.erase(components.begin(), components.end() - kMost);
  return components;
}

}  // namespace codewake::internal
