#include "stacktrace/file_trust.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/auxv.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/private_group.hpp"
#include "codewake/trusted_path.hpp"

namespace codewake::internal {
namespace {

// A server or a process of another user may change what lies on any other.
constexpr std::uint32_t kLocalFileSystems[] = {
    EXT4_SUPER_MAGIC,  XFS_SUPER_MAGIC,      BTRFS_SUPER_MAGIC,      F2FS_SUPER_MAGIC,
    TMPFS_MAGIC,       RAMFS_MAGIC,          OVERLAYFS_SUPER_MAGIC,  SQUASHFS_MAGIC,
    ISOFS_SUPER_MAGIC, 0x2fc12fc1 /* ZFS */, 0xe0f5e1e2 /* EROFS */, 0xca451a4e /* bcachefs */};

// The effective user of a setgid program, or of one with file capabilities, is the user that starts it, and
// may not decide what it reads. That of a setuid program is another user, whose files are meant.
bool is_effective_user(uid_t owner) noexcept {
  return owner == geteuid() && (!is_privileged() || getuid() != geteuid());
}

bool is_regular(const struct stat& status, std::uint64_t max_bytes) {
  return S_ISREG(status.st_mode) && status.st_size >= 0 &&
         static_cast<std::uint64_t>(status.st_size) <= max_bytes;
}

}  // namespace

bool is_privileged() noexcept {
  return getauxval(AT_SECURE) != 0;
}

std::optional<OpenFile> open_regular(const FileDescriptor& looked_at, std::uint64_t max_bytes) {
  struct stat status {};
  if (looked_at.number() < 0 || fstat(looked_at.number(), &status) != 0) return std::nullopt;
  if (!is_regular(status, max_bytes)) return std::nullopt;
  FileDescriptor opened(fmt::format("/proc/self/fd/{}", looked_at.number()).c_str());
  if (opened.number() < 0) return std::nullopt;
  return OpenFile{std::move(opened), status};
}

std::optional<OpenFile> open_regular(const std::string& path, std::uint64_t max_bytes) {
  if (path.empty() || path.find('\0') != std::string::npos) return std::nullopt;
  const FileDescriptor looked_at(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (auto file = open_regular(looked_at, max_bytes)) return file;
  struct stat status {};
  if (access("/proc/self/fd", F_OK) == 0 || looked_at.number() < 0) return std::nullopt;
  if (fstat(looked_at.number(), &status) != 0 || !is_regular(status, max_bytes)) return std::nullopt;
  FileDescriptor opened(path.c_str());
  const auto now = opened.regular_file();
  if (!now || now->st_dev != status.st_dev || now->st_ino != status.st_ino) return std::nullopt;
  return OpenFile{std::move(opened), status};
}

std::filesystem::path stable_path(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) return {};
  FollowedPath followed = follow_path(path, Others::none);
  if (!followed.exists || !followed.why_not_trusted.empty()) return {};
  return std::move(followed.path);
}

std::optional<OpenFile> open_stable(const std::string& path, std::uint64_t max_bytes) {
  return open_regular(stable_path(path).string(), max_bytes);
}

bool is_ours(const OpenFile& file) noexcept {
  const struct stat& status = file.status;
  if (status.st_uid != 0 && !is_effective_user(status.st_uid)) return false;
  if ((status.st_mode & S_IWOTH) != 0) return false;
  if ((status.st_mode & S_IWGRP) == 0) return true;
  return is_private_group(status) && !may_have_acl(file.descriptor.number());
}

bool may_be_mapped(const OpenFile& file) noexcept {
  struct statfs system {};
  if (!is_ours(file) || fstatfs(file.descriptor.number(), &system) != 0) return false;
  const auto type = static_cast<std::uint32_t>(system.f_type);
  return std::find(std::begin(kLocalFileSystems), std::end(kLocalFileSystems), type) !=
         std::end(kLocalFileSystems);
}

FileOwners module_owners(Trust trust) noexcept {
  // The process executes the code of its modules already. Root takes no file of another user apart for a run
  // that has ended: the file may be another one by now.
  switch (trust) {
    case Trust::own_process:
      return {.all = true};
    case Trust::own_run:
      return {.all = geteuid() != 0 && !is_privileged()};
    case Trust::stored:
      break;
  }
  return {};
}

}  // namespace codewake::internal
