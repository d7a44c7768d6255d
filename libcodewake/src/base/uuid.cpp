#include "base/uuid.hpp"

#include <array>
#include <cstdint>

#include "base/hex.hpp"
#include "base/random.hpp"

namespace codewake::internal {

std::string make_uuid() {
  std::array<std::uint8_t, 16> bytes;
  make_uuid(bytes);
  return format_uuid(bytes);
}

}  // namespace codewake::internal
