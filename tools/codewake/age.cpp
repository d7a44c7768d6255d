#include "age.hpp"

#include <charconv>
#include <cstdint>
#include <system_error>

namespace codewake::cli {
namespace {

constexpr std::chrono::minutes kLongest = std::chrono::days(36'524);

std::optional<std::chrono::minutes> unit_of(std::string_view text) {
  if (text == "m") return std::chrono::minutes(1);
  if (text == "h") return std::chrono::hours(1);
  if (text == "d") return std::chrono::days(1);
  if (text == "w") return std::chrono::weeks(1);
  return std::nullopt;
}

}  // namespace

std::optional<std::chrono::nanoseconds> parse_age(std::string_view text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || number < 1) return std::nullopt;
  const auto unit = unit_of(std::string_view(stopped, static_cast<std::size_t>(end - stopped)));
  if (!unit || number > kLongest / *unit) return std::nullopt;
  return *unit * number;
}

}  // namespace codewake::cli
