// Pieces of JSON, written one behind the other.
#pragma once

#include <string>
#include <string_view>

namespace codewake::internal {

/// Appends the text as a JSON string; what is not UTF-8 becomes U+FFFD.
void append_json_string(std::string& json, std::string_view text);

}  // namespace codewake::internal
