#include "tracing/raceway_clock.hpp"

#include <charconv>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "base/base64url.hpp"
#include "base/hex.hpp"
#include "base/json_text.hpp"
#include "base/plain_text.hpp"

namespace codewake::internal {
namespace {

constexpr std::string_view kVersion = "v1;";
constexpr std::size_t kMostNameBytes = 512;

using Components = std::vector<VectorClock::Component>;

void append_component(std::string& json, const VectorClock::Component& component) {
  json += '[';
  append_json_string(json, component.execution);
  json += ',';
  char digits[20];
  json.append(digits, std::to_chars(digits, std::end(digits), component.steps).ptr);
  json += ']';
}

std::optional<VectorClock::Component> component_of(const nlohmann::json& json) {
  if (!json.is_array() || json.size() != 2 || !json[0].is_string() || !json[1].is_number_unsigned()) {
    return std::nullopt;
  }
  const auto& name = json[0].get_ref<const std::string&>();
  if (name.empty() || name.size() > kMostNameBytes) return std::nullopt;
  return VectorClock::Component{name, json[1].get<std::uint64_t>()};
}

/// Reads JSON of the very form that is written here, and in the SDK for Python: a tenth of the time that a
/// parser for all of JSON takes.
class UsualForm {
 public:
  explicit UsualForm(std::string_view json) : rest_(json) {}

  /// Empty where it is of another form.
  std::optional<Components> read(const TraceId& trace_id) {
    TraceId said;
    std::string_view id;
    const bool has_head = take("{\"trace_id\":\"") && text(id) && parse_uuid(id, said.bytes) &&
                          said == trace_id && take(",\"span_id\":\"") && text(id) &&
                          take(",\"parent_span_id\":\"") && text(id) && take(",\"service\":\"") && text(id) &&
                          take(",\"instance\":\"") && text(id) && take(",\"clock\":[");
    if (!has_head) return std::nullopt;
    Components components;
    components.reserve(8);
    do {
      std::string_view name;
      if (!take("[\"") || !text(name) || name.empty() || name.size() > kMostNameBytes || !take(","))
        return std::nullopt;
      std::uint64_t steps = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), steps);
      if (error != std::errc() || (rest_.front() == '0' && end != rest_.data() + 1)) return std::nullopt;
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      if (!take("]")) return std::nullopt;
      components.push_back({std::string(name), steps});
    } while (take(","));
    return rest_ == "]}" ? std::optional(std::move(components)) : std::nullopt;
  }

 private:
  template <std::size_t kSize>
  bool take(const char (&expected)[kSize]) {
    constexpr std::size_t kLength = kSize - 1;
    if (rest_.size() < kLength || std::memcmp(rest_.data(), expected, kLength) != 0) return false;
    rest_.remove_prefix(kLength);
    return true;
  }

  /// Up to the quotation mark that ends it; nothing in it may be escaped, or have to be.
  bool text(std::string_view& found) {
    const std::size_t size = plain_length(rest_);
    if (size == rest_.size() || rest_[size] != '"') return false;
    found = rest_.substr(0, size);
    rest_.remove_prefix(size + 1);
    return true;
  }

  std::string_view rest_;
};

Components newest(Components components) {
  constexpr std::size_t kMost = VectorClock::kMaxOthers;
  if (components.size() > kMost) components.erase(components.begin(), components.end() - kMost);
  return components;
}

}  // namespace

std::string format_raceway_clock(const ClockSender& sender, const VectorClock& clock) {
  constexpr std::size_t kMostBytes = (kMostSentClockBytes - kVersion.size()) / 4 * 3;
  std::string json;
  json.reserve(1024);
  json += "{\"trace_id\":\"";
  append_uuid(json, sender.trace_id.bytes);
  json += "\",\"span_id\":\"";
  append_hex(json, sender.span_id.bytes);
  json += "\",\"parent_span_id\":\"";
  append_hex(json, sender.parent_span_id.bytes);
  json += "\",\"service\":";
  append_json_string(json, sender.service);
  json += ",\"instance\":";
  append_json_string(json, sender.instance);
  json += ",\"clock\":[";
  const std::size_t head = json.size();
  for (auto first = clock.others().begin();; ++first) {
    json.resize(head);
    for (auto other = first; other != clock.others().end(); ++other) {
      append_component(json, *other);
      json += ',';
    }
    append_component(json, clock.own());
    json += "]}";
    if (json.size() <= kMostBytes || first == clock.others().end()) break;
  }
  std::string header;
  header.reserve(kVersion.size() + (json.size() * 4 + 2) / 3);
  header += kVersion;
  append_base64url(header, json);
  return header;
}

std::vector<VectorClock::Component> parse_raceway_clock(std::span<const std::string_view> headers,
                                                        const TraceId& trace_id) {
  if (headers.size() != 1) return {};
  std::string_view text = headers.front();
  if (text.size() > kMostClockBytes || !text.starts_with(kVersion)) return {};
  const std::optional<std::string> bytes = decode_base64url(text.substr(kVersion.size()));
  if (!bytes) return {};
  if (std::optional<Components> usual = UsualForm(*bytes).read(trace_id)) return newest(*std::move(usual));
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
  return newest(std::move(components));
}

}  // namespace codewake::internal
