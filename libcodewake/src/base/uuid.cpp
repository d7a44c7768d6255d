#include "base/uuid.hpp"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "codewake/errors.hpp"

namespace codewake::internal {

std::string make_uuid() {
  std::array<std::uint8_t, 16> bytes;
  // 16 bytes come whole or not at all; only a signal before the kernel's pool is ready can interrupt.
  while (getrandom(bytes.data(), bytes.size(), 0) < 0) {
    if (errno != EINTR)
      throw Error(std::string("no random numbers from the kernel: ") + std::strerror(errno));
  }
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0F) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3F) | 0x80);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 0x0F];
  }
  return text;
}

}  // namespace codewake::internal
