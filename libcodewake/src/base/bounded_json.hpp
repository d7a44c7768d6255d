// JSON that another program has written, read without trust in its size.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

namespace codewake::internal {

/// Discarded (see nlohmann::json::is_discarded) where the text is no JSON, or lists and objects stand in each
/// other deeper than `most_depth`. The time is linear in the text's length.
inline nlohmann::json parse_bounded_json(std::string_view text, int most_depth) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') ++i;
    if (c == '"') in_string = !in_string;
    if (in_string) continue;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (depth > most_depth) return nlohmann::json(nlohmann::json::value_t::discarded);
  }
  return nlohmann::json::parse(text, nullptr, false);
}

}  // namespace codewake::internal
