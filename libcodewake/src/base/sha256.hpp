// SHA-256, by libcrypto.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace codewake::internal {

/// The SHA-256 sum of the bytes. Thread-safe; keeps a context for each thread. Throws Error where libcrypto
/// fails.
std::array<std::uint8_t, 32> sha256(std::string_view bytes);

}  // namespace codewake::internal
