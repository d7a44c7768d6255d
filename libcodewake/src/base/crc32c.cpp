#include "base/crc32c.hpp"

#include <array>

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace codewake::internal {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78u;  // Castagnoli, bit-reversed

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
    table[byte] = value;
  }
  return table;
}

constexpr std::array<std::uint32_t, 256> kTable = make_table();

std::uint32_t add_byte(std::uint32_t state, unsigned char byte) noexcept {
  return (state >> 8) ^ kTable[(state ^ byte) & 0xFF];
}

}  // namespace

std::uint32_t SoftwareCrc::add(std::uint32_t state, std::uint64_t word) noexcept {
  for (int i = 0; i < 8; ++i, word >>= 8) state = add_byte(state, static_cast<unsigned char>(word));
  return state;
}

bool has_hardware_crc() noexcept {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("sse4.2") != 0;
  return has;
#elif defined(__aarch64__)
  static const bool has = (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
  return has;
#else
  return false;
#endif
}

std::uint32_t crc32c_words(std::uint32_t state, const void* data, std::size_t words) noexcept {
  return has_hardware_crc() ? add_words<HardwareCrc>(state, data, words)
                            : add_words<SoftwareCrc>(state, data, words);
}

std::uint32_t crc32c(const void* data, std::size_t size_bytes) noexcept {
  const auto* at = static_cast<const unsigned char*>(data);
  std::uint32_t state = crc32c_words(~0u, at, size_bytes / 8);
  for (std::size_t i = size_bytes / 8 * 8; i < size_bytes; ++i) state = add_byte(state, at[i]);
  return ~state;
}

}  // namespace codewake::internal
