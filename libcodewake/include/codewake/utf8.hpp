// Making text fit for every store.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "codewake/export.hpp"

namespace codewake {

/// Whether `text` is UTF-8 without NUL bytes: what stores take as it is. Fast for ASCII. Thread-safe,
/// allocates nothing.
CODEWAKE_API bool is_storable(std::string_view text) noexcept;

/// The text with each bad sequence (WHATWG: maximal subpart) replaced by U+FFFD and each NUL byte by U+2400.
CODEWAKE_API std::string to_storable(std::string_view text);

/// The first character of a text.
struct Utf8Character {
  char32_t code_point;     ///< of bytes that are not UTF-8, the first one's value
  std::size_t size_bytes;  ///< 1 to 4; 1 where it is not UTF-8
  bool is_valid;           ///< whether it is UTF-8
};

/// Decodes the first character of `text`, which must not be empty. Thread-safe, allocates nothing.
CODEWAKE_API Utf8Character decode_utf8(std::string_view text) noexcept;

}  // namespace codewake
