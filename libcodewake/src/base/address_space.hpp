// How much a process may still map.
#pragma once

#include <cstdint>

namespace codewake::internal {

/// What RLIMIT_AS leaves the process now; UINT64_MAX without a limit. Reads /proc where there is one.
std::uint64_t address_space_left() noexcept;

}  // namespace codewake::internal
