// Text that others wrote, made harmless for a terminal or a log.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "codewake/export.hpp"

namespace codewake {

/// Whether a terminal only shows the character: it is no control character, and none of the invisible ones
/// that change the direction of the text around them or hide text. Thread-safe.
CODEWAKE_API bool is_visible(char32_t code_point) noexcept;

/// The text on one line, with all that a terminal would act on replaced by an escape: control characters
/// (`\n`, `\x1b`), invisible characters (`\u202e`, `\U000e0041`), and bytes that are not UTF-8 (`\xff`).
/// Other text stays the same. Thread-safe; throws std::bad_alloc alone.
CODEWAKE_API std::string visible(std::string_view text);

/// Writes `codewake: `, the parts of the message one after the other, and a line break to stderr. Each part
/// becomes visible, as by visible(); line breaks at the end are left out. The line is written by one write(2)
/// and is at most 4,096 bytes long (PIPE_BUF), so that lines of several processes do not mix in a pipe; a
/// longer message is cut, and ends with `…`. What stderr does not accept is lost. Thread-safe; allocates
/// nothing, leaves errno unchanged, and blocks as long as stderr does.
CODEWAKE_API void say_on_stderr(std::initializer_list<std::string_view> parts) noexcept;
CODEWAKE_API void say_on_stderr(std::string_view message) noexcept;

}  // namespace codewake
