// Ages as people type them.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace codewake::cli {

/// Reads a number from 1 with its unit: `m` (minutes), `h`, `d` or `w`. Empty when it is anything else, or
/// more than a hundred years.
std::optional<std::chrono::nanoseconds> parse_age(std::string_view text);

}  // namespace codewake::cli
