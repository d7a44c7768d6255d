// Points in time as the whole library uses them, and their text form.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "codewake/export.hpp"

namespace codewake {

/// A moment of wall clock time (CLOCK_REALTIME), UTC, in nanoseconds since the Unix epoch.
using Time = std::chrono::sys_time<std::chrono::nanoseconds>;

/// Reads the wall clock. Thread-safe; never blocks.
inline Time now() noexcept {
  return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

/// The sum, or the nearest bound where it does not fit. Recorded times may be anything, and overflow is
/// undefined behaviour. Reentrant, as the two that follow.
constexpr std::chrono::nanoseconds saturated_sum(std::chrono::nanoseconds a,
                                                 std::chrono::nanoseconds b) noexcept {
  std::chrono::nanoseconds::rep sum = 0;
  if (!__builtin_add_overflow(a.count(), b.count(), &sum)) return std::chrono::nanoseconds(sum);
  return a.count() < 0 ? std::chrono::nanoseconds::min() : std::chrono::nanoseconds::max();
}

/// The moment `distance` after `time`, or the nearest bound where no `Time` can hold it.
constexpr Time saturated_sum(Time time, std::chrono::nanoseconds distance) noexcept {
  return Time(saturated_sum(time.time_since_epoch(), distance));
}

/// How long after `from` it is `to`; negative where `to` comes first, and the nearest bound where it does not
/// fit.
constexpr std::chrono::nanoseconds saturated_difference(Time to, Time from) noexcept {
  std::chrono::nanoseconds::rep difference = 0;
  const bool overflows =
      __builtin_sub_overflow(to.time_since_epoch().count(), from.time_since_epoch().count(), &difference);
  if (!overflows) return std::chrono::nanoseconds(difference);
  return to < from ? std::chrono::nanoseconds::min() : std::chrono::nanoseconds::max();
}

/// Converts to what the SQL tables hold: Unix seconds as double, cut to whole microseconds, so that a time
/// survives the way through a database: `from_unix_seconds(to_unix_seconds(t))` is `t` without its last three
/// digits.
CODEWAKE_API double to_unix_seconds(Time time) noexcept;

/// Converts Unix seconds as read from a table, rounded to microseconds. What no `Time` can hold (not finite,
/// or further than 292 years from 1970) becomes the nearest bound; not-a-number becomes the epoch.
CODEWAKE_API Time from_unix_seconds(double seconds) noexcept;

/// Writes `2026-11-22T10:00:00.123456Z`: RFC 3339 in UTC, with microseconds.
CODEWAKE_API std::string format_time(Time time);

/// Reads what `format_time` writes, and what people type: a date (`2026-11-22`), with a time
/// (`2026-11-22T10:00`, a blank for the T, seconds, a fraction), a zone (`Z` or `+01:00`; none means UTC),
/// Unix seconds (`@1795311246.5`, or the bare number), or an age before `reference` (`90s`, `15m`, `24h`,
/// `7d`). Empty when it is none of these, or when no `Time` can hold it.
CODEWAKE_API std::optional<Time> parse_time(std::string_view text, Time reference = now());

}  // namespace codewake
