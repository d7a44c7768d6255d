#include "row.hpp"

#include <charconv>
#include <cstddef>

#include "codewake/utf8.hpp"

namespace codewake::internal {
namespace {

template <class Number>
Number parse(std::string_view text) {
  Number number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

std::string_view Row::bytes(int column) const {
  const pqxx::field value = field(column);
  return {value.c_str(), static_cast<std::size_t>(value.size())};
}

std::int64_t Row::integer(int column) const {
  return parse<std::int64_t>(bytes(column));
}

double Row::real(int column) const {
  return parse<double>(bytes(column));
}

std::string Row::text(int column) const {
  const std::string_view raw = bytes(column);
  return is_storable(raw) ? std::string(raw) : to_storable(raw);
}

std::optional<std::string> Row::optional_text(int column) const {
  if (is_null(column)) return std::nullopt;
  return text(column);
}

std::optional<std::int64_t> Row::optional_integer(int column) const {
  if (is_null(column)) return std::nullopt;
  return integer(column);
}

std::optional<Digest> Row::digest(int column) const {
  const std::string_view digits = bytes(column);
  Digest digest;
  if (digits.size() != 2 * digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    std::from_chars(digits.data() + 2 * i, digits.data() + 2 * i + 2, digest[i], 16);
  }
  return digest;
}

}  // namespace codewake::internal
