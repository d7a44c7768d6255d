// Whether a fork() has happened since.
#pragma once

#include <cstdint>

namespace codewake::internal {

/// Another number in each child than in its parent. Async-signal-safe.
std::uint32_t fork_generation() noexcept;

}  // namespace codewake::internal
