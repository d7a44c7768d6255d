#include "codewake/secret_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string_view>
#include <system_error>

#include "base/file_descriptor.hpp"
#include "codewake/errors.hpp"

namespace codewake {
namespace {

constexpr std::size_t kLongestLine = 64 * 1024;

std::string reason(int error) {
  return std::generic_category().message(error);
}

/// Why the open file may not hold a secret; empty where it may.
std::string why_no_secret(const struct stat& status) {
  if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode)) return "is no file; name a file";
  if (status.st_uid != 0 && status.st_uid != geteuid())
    return fmt::format("belongs to the user {}; it must belong to this one, or to root", status.st_uid);
  constexpr mode_t kOthers = S_IRWXG | S_IRWXO;
  if (S_ISREG(status.st_mode) && (status.st_mode & kOthers) != 0)
    return fmt::format("is open to other users (mode {:04o}); make it private with chmod 600",
                       status.st_mode & 07777);
  return {};
}

}  // namespace

std::string read_secret_file(const std::filesystem::path& path) {
  const auto fail = [&path](std::string_view message) { throw ConfigError({path.string()}, message); };
  const internal::FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (file.number() < 0 && errno == ENOENT) fail("there is no such file");
  if (file.number() < 0) fail(fmt::format("cannot be read: {}", reason(errno)));
  struct stat status {};
  if (fstat(file.number(), &status) != 0) fail(fmt::format("cannot be looked at: {}", reason(errno)));
  if (const std::string problem = why_no_secret(status); !problem.empty()) fail(problem);

  std::string line(kLongestLine + 1, '\0');
  std::size_t length = 0;
  while (length < line.size() && line.find('\n') >= length) {
    const ssize_t count = read(file.number(), line.data() + length, line.size() - length);
    if (count == 0) break;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(fmt::format("cannot be read: {}", reason(errno)));
    length += static_cast<std::size_t>(count);
  }
  line.resize(length);
  line.resize(std::min(line.find('\n'), line.size()));
  if (line.ends_with('\r')) line.pop_back();
  if (line.size() > kLongestLine) fail("has a first line of more than 64 KiB; is it the right file?");
  if (line.empty()) fail("has an empty first line; write the secret there");
  return line;
}

}  // namespace codewake
