#include "stored_clock.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <system_error>

namespace codewake::analysis {
namespace {

bool take(std::string_view& text, char expected) noexcept {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::span<const StoredComponent> StoredClockReader::read(std::string_view text) {
  components_.clear();
  names_.clear();
  if (!read_plain(text)) {
    components_.clear();
    read_any(text);
  }
  return components_;
}

// The very form that the library writes: no blanks, no escapes.
bool StoredClockReader::read_plain(std::string_view text) {
  if (!take(text, '[')) return false;
  do {
    if (!take(text, '[') || !take(text, '"')) return false;
    const std::size_t end = text.find('"');
    if (end == std::string_view::npos) return false;
    const std::string_view name = text.substr(0, end);
    if (name.find('\\') != std::string_view::npos) return false;
    text.remove_prefix(end + 1);
    if (!take(text, ',')) return false;
    std::uint64_t steps = 0;
    const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), steps);
    if (error != std::errc()) return false;
    text.remove_prefix(static_cast<std::size_t>(stopped - text.data()));
    if (!take(text, ']')) return false;
    components_.push_back({name, steps});
  } while (take(text, ','));
  return text == "]";
}

void StoredClockReader::read_any(std::string_view text) {
  const nlohmann::json clock = nlohmann::json::parse(text, nullptr, false);
  if (!clock.is_array()) return;
  for (const nlohmann::json& component : clock) {
    if (!component.is_array() || component.size() < 2 || !component[0].is_string()) continue;
    if (!component[1].is_number_unsigned()) continue;
    names_.push_back(component[0].get<std::string>());
    components_.push_back({names_.back(), component[1].get<std::uint64_t>()});
  }
}

bool says_the_same_of_others(std::string_view a, std::string_view b) noexcept {
  const auto others = [](std::string_view clock) { return clock.substr(0, clock.rfind(',')); };
  return others(a) == others(b);
}

bool is_shared_component(std::string_view execution) noexcept {
  return std::ranges::count(execution, '#') == 1;
}

std::string_view service_of_component(std::string_view execution) noexcept {
  return execution.substr(0, execution.find('#'));
}

ExecutionKey ExecutionKey::of(const TraceEventRecord& event) noexcept {
  const bool is_shared = is_shared_component(event.texts.execution);
  return {event.texts.execution, is_shared ? event.span_id : SpanId()};
}

}  // namespace codewake::analysis
