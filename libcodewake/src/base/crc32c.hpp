// CRC32C (Castagnoli), the checksum of journal records. Inline, since the hot path computes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace codewake::internal {

/// How the checksum of 8 bytes is computed: by an instruction where the processor has one.
struct SoftwareCrc {
  using State = std::uint32_t;
  static std::uint32_t add(std::uint32_t state, std::uint64_t word) noexcept;
};

#if defined(__x86_64__)
struct HardwareCrc {
  using State = std::uint64_t;  ///< as the instruction has it, the upper half 0
  __attribute__((always_inline)) static inline State add(State state, std::uint64_t word) noexcept {
    asm("crc32q %1, %0" : "+r"(state) : "rm"(word));
    return state;
  }
};
#elif defined(__aarch64__)
struct HardwareCrc {
  using State = std::uint32_t;
  __attribute__((always_inline)) static inline State add(State state, std::uint64_t word) noexcept {
    asm(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(state) : "r"(word));
    return state;
  }
};
#else
using HardwareCrc = SoftwareCrc;
#endif

/// Whether this processor may run HardwareCrc.
bool has_hardware_crc() noexcept;

/// Adds whole words; `data` has 8 times `words` bytes. The checksum of words a and b is
/// `~add_words(add_words(~0u, a), b)`: initial value and result are inverted.
template <class Crc>
inline std::uint32_t add_words(typename Crc::State state, const void* data, std::size_t words) noexcept {
  const auto* at = static_cast<const char*>(data);
  for (; words != 0; --words, at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    state = Crc::add(state, word);
  }
  return static_cast<std::uint32_t>(state);
}

/// The checksum of any bytes, by whatever this processor has.
std::uint32_t crc32c(const void* data, std::size_t size_bytes) noexcept;

/// The same for a number of whole words behind a first one: what journal records use.
std::uint32_t crc32c_words(std::uint32_t state, const void* data, std::size_t words) noexcept;

}  // namespace codewake::internal
