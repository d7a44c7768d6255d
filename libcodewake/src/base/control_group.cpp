#include "base/control_group.hpp"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "base/file_descriptor.hpp"

namespace codewake::internal {
namespace {

namespace fs = std::filesystem;

// A file of the kernel's, without a stream's cost: this runs at the start of programs.
std::string read_small(const char* path) {
  const FileDescriptor file(path);
  std::string content(4096, '\0');
  const ssize_t size = file.number() < 0 ? 0 : read(file.number(), content.data(), content.size());
  content.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return content;
}

std::uint64_t limit_in(const fs::path& file) {
  const std::string text = read_small(file.c_str());
  std::uint64_t limit = UINT64_MAX;
  std::from_chars(text.data(), text.data() + text.size(), limit);  // `max` is no number, and no limit
  return limit;
}

// Of a group and of those above it. In a container the path may be one of the host's, which is not there:
// then the groups above count that are.
std::uint64_t least_limit(const fs::path& mount, const std::string& group, const char* file) {
  std::uint64_t least = UINT64_MAX;
  const fs::path relative = fs::path(group).relative_path().lexically_normal();
  if (!relative.empty() && *relative.begin() == "..") return least;
  for (fs::path at = relative;; at = at.parent_path()) {
    least = std::min(least, limit_in(mount / at / file));
    if (at.empty() || at == ".") return least;
  }
}

bool has_memory(const std::string& controllers) {
  return ("," + controllers + ",").find(",memory,") != std::string::npos;
}

}  // namespace

std::uint64_t control_group_memory(const std::string& membership, const fs::path& mount) {
  std::uint64_t least = std::min(least_limit(mount, "", "memory.max"),
                                 least_limit(mount / "memory", "", "memory.limit_in_bytes"));
  std::istringstream lines(membership);
  for (std::string line; std::getline(lines, line);) {  // NUMBER:CONTROLLERS:PATH
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) least = std::min(least, least_limit(mount, group, "memory.max"));
    if (has_memory(controllers))
      least = std::min(least, least_limit(mount / "memory", group, "memory.limit_in_bytes"));
  }
  return least;
}

std::uint64_t control_group_memory() noexcept {
  try {
    return control_group_memory(read_small("/proc/self/cgroup"), "/sys/fs/cgroup");
  } catch (...) {
    return UINT64_MAX;  // the machine's own memory is a bound too
  }
}

}  // namespace codewake::internal
