// What the control groups of this process allow it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace codewake::internal {

/// The least of the memory limits of the process's control group and of those above it, of version 1 or 2;
/// UINT64_MAX where none is known. Reads /proc and /sys.
std::uint64_t control_group_memory() noexcept;

/// The same from the content of a `/proc/<pid>/cgroup`, for groups that are mounted at `mount`.
std::uint64_t control_group_memory(const std::string& membership, const std::filesystem::path& mount);

}  // namespace codewake::internal
