#include "base/private_group.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/auxv.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

namespace codewake::internal {

bool is_private_group(const struct stat& status) noexcept {
  const uid_t user = geteuid();
  if (user == 0 || status.st_uid != user || getauxval(AT_SECURE) != 0) return false;
  std::array<char, 16384> memory{}, more{};
  passwd entry{}, *self = nullptr;
  if (getpwuid_r(user, &entry, memory.data(), memory.size(), &self) != 0 || self == nullptr) return false;
  group group_entry{}, *own = nullptr;
  if (self->pw_gid != status.st_gid ||
      getgrgid_r(status.st_gid, &group_entry, more.data(), more.size(), &own) != 0 || own == nullptr)
    return false;
  const std::string_view name = self->pw_name;
  for (char** member = own->gr_mem; *member != nullptr; ++member) {
    if (*member != name) return false;
  }
  return own->gr_name == name;
}

bool may_have_acl(int descriptor) noexcept {
  std::array<char, 40> path{};
  *fmt::format_to_n(path.data(), path.size() - 1, "/proc/self/fd/{}", descriptor).out = '\0';
  const bool has_none = getxattr(path.data(), "system.posix_acl_access", nullptr, 0) < 0 &&
                        (errno == ENODATA || errno == ENOTSUP);
  return !has_none;
}

}  // namespace codewake::internal
