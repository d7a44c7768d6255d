#include "base/address_space.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/file_descriptor.hpp"

namespace codewake::internal {

std::uint64_t address_space_left() noexcept {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
  const FileDescriptor file("/proc/self/statm");  // lint: the system's path
  std::array<char, 128> text{};
  const ssize_t size = file.number() < 0 ? 0 : read(file.number(), text.data(), text.size());
  std::uint64_t pages = 0;
  std::from_chars(text.data(), text.data() + std::max<ssize_t>(size, 0), pages);
  const std::uint64_t used = pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return limit.rlim_cur - std::min<std::uint64_t>(limit.rlim_cur, used);
}

}  // namespace codewake::internal
