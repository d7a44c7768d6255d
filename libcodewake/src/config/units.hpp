// Sizes and durations as people write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace codewake::internal {

/// A whole number: decimal digits alone. What does not fit becomes the largest number; empty where it is
/// none. Reentrant, as the others here.
std::optional<std::uint64_t> parse_count(std::string_view text);

/// Bytes: a whole number, then nothing, `B`, `KiB`, `MiB`, `GiB`, `TiB`, `PiB`, `EiB` (1024) or `kB`, `KB`,
/// `MB`, `GB`, `TB` (1000). What does not fit becomes the largest number; empty where it is no size.
std::optional<std::uint64_t> parse_size(std::string_view text);

/// A number, whole or with decimals, then `ns`, `us`, `ms`, `s`, `m`, `h`, or nothing for seconds. Parts of a
/// nanosecond are cut off; what does not fit becomes the longest duration; empty where it is no duration.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// In the largest unit that takes no decimals: `1GiB`, `1000`, `100ms`. parse_size and parse_duration read it
/// back.
std::string format_size(std::uint64_t bytes);
std::string format_duration(std::chrono::nanoseconds duration);

}  // namespace codewake::internal
