// A header that one flipped bit has made invalid is as good as whole: its checksum tells which bit it was.
#pragma once

#include <cstddef>

namespace codewake::internal {

/// Whether `is_good(header)`, perhaps after one of the bits in its first `size_bytes` has been turned back.
/// Otherwise the header is as it was. Takes as many checks as there are bits.
template <class Header, class IsGood>
bool is_good_or_repaired(Header& header, IsGood is_good, std::size_t size_bytes = sizeof(Header)) {
  if (is_good(header)) return true;
  auto* const bytes = reinterpret_cast<unsigned char*>(&header);
  for (std::size_t bit = 0; bit < 8 * size_bytes; ++bit) {
    const auto mask = static_cast<unsigned char>(1u << (bit % 8));
    bytes[bit / 8] ^= mask;
    if (is_good(header)) return true;
    bytes[bit / 8] ^= mask;
  }
  return false;
}

}  // namespace codewake::internal
