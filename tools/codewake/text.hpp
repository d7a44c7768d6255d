// Text for people, quoted and measured in columns of a terminal. What others wrote becomes harmless by
// codewake/visible.hpp.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace codewake::cli {

/// One value of `key=value`: as it is where it can stand without quotes, else in double quotes, visible, with
/// `\"` and
/// `\\`. Quoted are: empty text, blanks, `"`, `=` where `is_key`, what visible() changes, and the word NULL.
std::string quoted_where_needed(std::string_view text, bool is_key = false);

/// How many columns visible text takes on a terminal.
std::size_t display_width(std::string_view text);

/// The beginning of visible text that fits into `width` columns; never cuts a character.
std::string_view fitting_prefix(std::string_view text, std::size_t width);

}  // namespace codewake::cli
