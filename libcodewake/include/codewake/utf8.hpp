// Making text fit for every store.
#pragma once

#include <string>
#include <string_view>

#include "codewake/export.hpp"

namespace codewake {

/// Whether `text` is UTF-8 without NUL bytes: what stores take as it is. Fast for ASCII. Thread-safe,
/// allocates nothing.
CODEWAKE_API bool is_storable(std::string_view text) noexcept;

/// The text with each bad sequence (WHATWG: maximal subpart) replaced by U+FFFD and each NUL byte by U+2400.
CODEWAKE_API std::string to_storable(std::string_view text);

}  // namespace codewake
