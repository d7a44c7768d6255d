#include "codewake/time.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdint>

namespace codewake {
namespace {

using namespace std::chrono;

std::int64_t floor_to_microseconds(Time time) {
  return floor<microseconds>(time).time_since_epoch().count();
}

// Reads the text from its beginning, piece by piece.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }

  bool skip(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  // Exactly `count` digits.
  std::optional<int> digits(std::size_t count) {
    if (rest_.size() < count) return std::nullopt;
    int number = 0;
    for (char c : rest_.substr(0, count)) {
      if (c < '0' || c > '9') return std::nullopt;
      number = number * 10 + (c - '0');
    }
    rest_.remove_prefix(count);
    return number;
  }

  // Digits behind a point, as nanoseconds; further digits are cut off.
  std::optional<nanoseconds> fraction() {
    std::int64_t value = 0;
    std::int64_t unit = 100'000'000;
    bool any = false;
    for (; !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; rest_.remove_prefix(1)) {
      value += unit * (rest_.front() - '0');
      unit /= 10;
      any = true;
    }
    if (!any) return std::nullopt;
    return nanoseconds(value);
  }

 private:
  std::string_view rest_;
};

std::optional<nanoseconds> parse_zone(Scanner& in) {
  if (in.done() || in.skip('Z') || in.skip('z')) return nanoseconds(0);
  const bool west = in.skip('-');
  if (!west && !in.skip('+')) return std::nullopt;
  const auto hour = in.digits(2);
  in.skip(':');
  const auto minute = in.digits(2);
  if (!hour || !minute || *hour > 23 || *minute > 59) return std::nullopt;
  const nanoseconds offset = hours(*hour) + minutes(*minute);
  return west ? -offset : offset;
}

std::optional<nanoseconds> parse_clock(Scanner& in) {
  const auto hour = in.digits(2);
  if (!hour || !in.skip(':')) return std::nullopt;
  const auto minute = in.digits(2);
  if (!minute || *hour > 23 || *minute > 59) return std::nullopt;
  nanoseconds clock = hours(*hour) + minutes(*minute);
  if (!in.skip(':')) return clock;
  const auto second = in.digits(2);
  if (!second || *second > 60) return std::nullopt;
  clock += seconds(*second);
  if (!in.skip('.')) return clock;
  const auto fraction = in.fraction();
  if (!fraction) return std::nullopt;
  return clock + *fraction;
}

std::optional<Time> parse_calendar(std::string_view text) {
  Scanner in(text);
  const auto y = in.digits(4);
  if (!y || !in.skip('-')) return std::nullopt;
  const auto m = in.digits(2);
  if (!m || !in.skip('-')) return std::nullopt;
  const auto d = in.digits(2);
  if (!d) return std::nullopt;
  const year_month_day date{year(*y), month(static_cast<unsigned>(*m)), day(static_cast<unsigned>(*d))};
  // Nanoseconds since the epoch reach from 1677 to 2262.
  if (!date.ok() || *y < 1678 || *y > 2261) return std::nullopt;
  nanoseconds clock(0);
  nanoseconds zone(0);
  if (!in.done()) {
    if (!in.skip('T') && !in.skip('t') && !in.skip(' ')) return std::nullopt;
    const auto given_clock = parse_clock(in);
    if (!given_clock) return std::nullopt;
    const auto given_zone = parse_zone(in);
    if (!given_zone || !in.done()) return std::nullopt;
    clock = *given_clock;
    zone = *given_zone;
  }
  return Time(sys_days(date)) + clock - zone;
}

std::optional<double> parse_number(std::string_view text) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

std::optional<Time> parse_age(std::string_view text, Time reference) {
  if (text.size() < 2) return std::nullopt;
  double unit_seconds = 0;
  switch (text.back()) {
    case 's':
      unit_seconds = 1;
      break;
    case 'm':
      unit_seconds = 60;
      break;
    case 'h':
      unit_seconds = 3600;
      break;
    case 'd':
      unit_seconds = 86400;
      break;
    case 'w':
      unit_seconds = 7 * 86400;
      break;
    default:
      return std::nullopt;
  }
  const auto number = parse_number(text.substr(0, text.size() - 1));
  if (!number || *number < 0) return std::nullopt;
  const double age_seconds = *number * unit_seconds;
  if (age_seconds > 200.0 * 366 * 86400) return std::nullopt;
  std::int64_t since_epoch = 0;
  if (__builtin_sub_overflow(reference.time_since_epoch().count(), std::llround(age_seconds * 1e9),
                             &since_epoch))
    return std::nullopt;
  return Time(nanoseconds(since_epoch));
}

}  // namespace

double to_unix_seconds(Time time) noexcept {
  return static_cast<double>(floor_to_microseconds(time)) / 1e6;
}

Time from_unix_seconds(double unix_seconds) noexcept {
  constexpr double kLimit = 9.223372036e15;  // microseconds: what int64 nanoseconds can hold, less a second
  if (std::isnan(unix_seconds)) return Time();
  const double microseconds_since = std::round(unix_seconds * 1e6);
  if (microseconds_since >= kLimit) return Time::max();
  if (microseconds_since <= -kLimit) return Time::min();
  return Time(microseconds(static_cast<std::int64_t>(microseconds_since)));
}

std::string format_time(Time time) {
  // Nanoseconds cannot hold the beginning of the first day that they reach into; microseconds can.
  const sys_time<microseconds> cut(microseconds(floor_to_microseconds(time)));
  const auto day_point = floor<days>(cut);
  const year_month_day date(day_point);
  const hh_mm_ss clock(cut - day_point);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

std::optional<Time> parse_time(std::string_view text, Time reference) {
  if (const auto time = parse_calendar(text)) return time;
  if (const auto time = parse_age(text, reference)) return time;
  if (text.starts_with('@')) text.remove_prefix(1);
  const auto number = parse_number(text);
  if (!number || std::abs(*number) > 9.2e9) return std::nullopt;
  return from_unix_seconds(*number);
}

}  // namespace codewake
