#include "rows.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "codewake/utf8.hpp"
#include "wire.hpp"

namespace codewake::internal {

std::string_view Row::bytes(int column) const {
  return {PQgetvalue(result_, row_, column), static_cast<std::size_t>(PQgetlength(result_, row_, column))};
}

std::int64_t Row::integer(int column) const {
  const std::string_view raw = bytes(column);
  const std::uint64_t bits = read_big_endian(raw);
  switch (raw.size()) {
    case 2:
      return static_cast<std::int16_t>(bits);
    case 4:
      return static_cast<std::int32_t>(bits);
    default:
      return static_cast<std::int64_t>(bits);
  }
}

// Dimensions, whether there are NULLs, the type, and for the one dimension its size and first index; then
// each element's length and bytes.
std::vector<std::int64_t> Row::integers(int column) const {
  constexpr std::size_t kHeader = 20, kElement = 12, kLength = 4;
  std::vector<std::int64_t> integers;
  const std::string_view raw = bytes(column);
  for (std::size_t at = kHeader; at + kElement <= raw.size(); at += kElement) {
    integers.push_back(
        static_cast<std::int64_t>(read_big_endian(raw.substr(at + kLength, kElement - kLength))));
  }
  return integers;
}

double Row::real(int column) const {
  const std::string_view raw = bytes(column);
  const std::uint64_t bits = read_big_endian(raw);
  if (raw.size() == 4) return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
  return std::bit_cast<double>(bits);
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
  const std::string_view raw = bytes(column);
  Digest digest;
  if (raw.size() != digest.size()) return std::nullopt;
  std::copy(raw.begin(), raw.end(), reinterpret_cast<char*>(digest.data()));
  return digest;
}

}  // namespace codewake::internal
