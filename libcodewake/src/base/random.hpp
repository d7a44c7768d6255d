// Random numbers, from the kernel.
#pragma once

#include <cstdint>
#include <span>

namespace codewake::internal {

/// Fills `bytes`, at most 256. Each thread asks the kernel for some at a time, so that one id takes a few
/// nanoseconds; what was asked for before a fork() is not used in the child. Throws Error where the kernel
/// has none. Thread-safe.
void fill_at_random(std::span<std::uint8_t> bytes);

/// The same as a version 4 UUID.
void make_uuid(std::span<std::uint8_t, 16> bytes);

}  // namespace codewake::internal
