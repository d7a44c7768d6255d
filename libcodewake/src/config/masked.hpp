// Keeping secrets and unprintable text out of what is shown; `masked` itself is public.
#pragma once

#include <string>
#include <string_view>

namespace codewake::internal {

/// Stands for a secret wherever a value is shown.
inline constexpr std::string_view kMask = "***";

/// Whether a parameter of this name holds a secret: it ends with `password`, `api_key`, `token` or the like,
/// in upper or lower case. Reentrant.
bool is_secret_name(std::string_view name);

/// The text for a message: its secrets masked, on one line, cut where it is long, in single quotes.
/// Reentrant.
std::string shown(std::string_view text);

/// The same without masking and quotes, for names.
std::string on_one_line(std::string_view text);

}  // namespace codewake::internal
