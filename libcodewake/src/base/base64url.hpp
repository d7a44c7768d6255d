// Base64 with the alphabet that URLs and headers can carry (RFC 4648, section 5).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace codewake::internal {

/// Appends it, without padding.
void append_base64url(std::string& text, std::string_view bytes);

/// The same as text of its own.
inline std::string encode_base64url(std::string_view bytes) {
  std::string text;
  append_base64url(text, bytes);
  return text;
}

/// With or without padding; empty where the text is not base64url. Bits that are left over must be 0.
std::optional<std::string> decode_base64url(std::string_view text);

}  // namespace codewake::internal
