// Text on its way to people: made harmless for a terminal, and measured in its columns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace codewake::cli {

/// The text with everything a terminal would act on made visible: control characters (`\n`, `\x1b`), the
/// invisible ones that change the direction of text (`\u202e`), and bytes that are not UTF-8 (`\xff`). Other
/// text as it is.
std::string visible(std::string_view text);

/// One value of `key=value`: as it is where it can stand without quotes, else in double quotes, visible, with
/// `\"` and
/// `\\`. Quoted are: empty text, blanks, `"`, `=` where `is_key`, what visible() changes, and the word NULL.
std::string quoted_where_needed(std::string_view text, bool is_key = false);

/// How many columns visible text takes on a terminal.
std::size_t display_width(std::string_view text);

/// The beginning of visible text that fits into `width` columns; never cuts a character.
std::string_view fitting_prefix(std::string_view text, std::size_t width);

}  // namespace codewake::cli
