#include "event_text.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace codewake::analysis {
namespace {

bool is_same_key(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

std::size_t head_of_clock(std::string_view json, std::string_view execution) noexcept {
  const std::size_t own = json.rfind("[\"");
  if (own == json.npos || !json.ends_with("]]")) return 0;
  const std::string_view name = json.substr(own + 2);
  if (!name.starts_with(execution) || !name.substr(execution.size()).starts_with("\",")) return 0;
  return own + 2 + execution.size() + 2;
}

std::vector<std::string> parse_names(std::string_view json) {
  std::vector<std::string> names;
  if (json == "[]") return names;
  const nlohmann::json array = nlohmann::json::parse(json, nullptr, false);
  if (!array.is_array()) return names;
  for (const nlohmann::json& entry : array) {
    if (entry.is_string()) names.push_back(entry.get<std::string>());
  }
  return names;
}

std::optional<std::string> find_text(std::string_view json, std::string_view key) {
  // Only what ends the search is kept of the document.
  std::optional<std::string> found;
  bool is_next = false;
  const auto look = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (event == nlohmann::json::parse_event_t::key) {
      is_next = !found && is_same_key(parsed.get_ref<const std::string&>(), key);
    } else if (event == nlohmann::json::parse_event_t::value) {
      if (is_next && parsed.is_string()) found = parsed.get<std::string>();
      is_next = false;
    }
    return true;
  };
  [[maybe_unused]] const nlohmann::json document = nlohmann::json::parse(json, look, false);
  return found;
}

std::pair<std::string, std::string> find_values(std::string_view data) {
  const nlohmann::json values = nlohmann::json::parse(data, nullptr, false);
  const auto text_of = [&](const char* key) {
    return values.is_object() && values.contains(key)
               ? values[key].dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
               : std::string();
  };
  return {text_of("old_value"), text_of("new_value")};
}

}  // namespace codewake::analysis
