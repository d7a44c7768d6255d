#include "config/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <limits>
#include <span>
#include <system_error>

namespace codewake::internal {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first within each kind: that is the order in which they are tried for showing.
constexpr std::array kBinarySizes = {Unit{"EiB", 1ull << 60}, Unit{"PiB", 1ull << 50},
                                     Unit{"TiB", 1ull << 40}, Unit{"GiB", 1ull << 30},
                                     Unit{"MiB", 1ull << 20}, Unit{"KiB", 1ull << 10}};
constexpr std::array kOtherSizes = {Unit{"TB", 1'000'000'000'000},
                                    Unit{"GB", 1'000'000'000},
                                    Unit{"MB", 1'000'000},
                                    Unit{"KB", 1'000},
                                    Unit{"kB", 1'000},
                                    Unit{"B", 1},
                                    Unit{"", 1}};
constexpr std::array kDurations = {
    Unit{"h", 3'600'000'000'000}, Unit{"m", 60'000'000'000}, Unit{"s", 1'000'000'000},
    Unit{"ms", 1'000'000},        Unit{"us", 1'000},         Unit{"ns", 1}};
constexpr std::uint64_t kSecond = 1'000'000'000;

const Unit* find_unit(std::span<const Unit> units, std::string_view name) {
  const auto found = std::ranges::find(units, name, &Unit::name);
  return found == units.end() ? nullptr : &*found;
}

std::uint64_t multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? std::numeric_limits<std::uint64_t>::max() : product;
}

// Cuts the digits off the front of `text`.
std::string_view take_digits(std::string_view& text) {
  const std::size_t length = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string_view digits = text.substr(0, length);
  text.remove_prefix(length);
  return digits;
}

std::string format_in(std::span<const Unit> units, std::uint64_t number) {
  for (const Unit& unit : units) {
    if (number >= unit.factor && number % unit.factor == 0)
      return fmt::format("{}{}", number / unit.factor, unit.name);
  }
  return fmt::format("{}", number);
}

}  // namespace

std::optional<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t number = 0;
  std::string_view rest = text;
  if (take_digits(rest).empty() || !rest.empty()) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc::result_out_of_range ? std::numeric_limits<std::uint64_t>::max() : number;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const std::optional<std::uint64_t> number = parse_count(take_digits(text));
  const Unit* unit = find_unit(kBinarySizes, text);
  if (unit == nullptr) unit = find_unit(kOtherSizes, text);
  if (!number || unit == nullptr) return std::nullopt;
  return multiply(*number, unit->factor);
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const std::optional<std::uint64_t> whole = parse_count(take_digits(text));
  std::string_view decimals;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    decimals = take_digits(text);
    if (decimals.empty()) return std::nullopt;
  }
  const Unit* unit = find_unit(kDurations, text);
  if (!whole || (unit == nullptr && !text.empty())) return std::nullopt;

  std::uint64_t step = unit == nullptr ? kSecond : unit->factor;
  constexpr std::uint64_t longest = std::numeric_limits<std::int64_t>::max();
  std::uint64_t total = std::min(multiply(*whole, step), longest);
  for (const char digit : decimals) {
    step /= 10;  // exact while it is more than nothing: the units have tens enough
    total += step * static_cast<std::uint64_t>(digit - '0');
  }
  return std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(total, longest)));
}

std::string format_size(std::uint64_t bytes) {
  return format_in(kBinarySizes, bytes);
}

std::string format_duration(std::chrono::nanoseconds duration) {
  if (duration.count() <= 0) return "0s";
  return format_in(kDurations, static_cast<std::uint64_t>(duration.count()));
}

}  // namespace codewake::internal
