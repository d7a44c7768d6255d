#include "codewake/trusted_path.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <deque>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/file_descriptor.hpp"
#include "base/private_group.hpp"

// Each step is taken from the descriptor of the folder before it, so that what was judged is what is entered.

namespace codewake {
namespace {

namespace fs = std::filesystem;
using internal::FileDescriptor;

constexpr int kMostLinks = 40;  // as many as the kernel follows

constexpr mode_t writers(Others others) noexcept {
  return others == Others::none ? S_IWGRP | S_IWOTH : S_IWOTH;
}

// The effective user of a setgid program, or of one with capabilities, is the user that starts it, and may
// not decide what it reads. That of a setuid program is another one, which is meant.
bool is_effective_user(uid_t owner) {
  if (owner != geteuid()) return false;
  return getauxval(AT_SECURE) == 0 || getuid() != geteuid();
}

bool is_trusted_owner(uid_t owner, const struct stat& folder, Others others) {
  if (owner == 0 || is_effective_user(owner)) return true;
  return others == Others::known && ((folder.st_mode & S_IWOTH) == 0 || owner == folder.st_uid);
}

// In a folder such as /tmp a user can mount a file system that says that root owns its files, as by FUSE.
bool is_mount_in_shared_folder(const struct stat& status, const struct stat& folder) {
  return (folder.st_mode & S_ISVTX) != 0 && (folder.st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
         status.st_dev != folder.st_dev;
}

std::string reason_of(int descriptor, const struct stat& status, const struct stat& folder, Others others) {
  if (!is_trusted_owner(status.st_uid, folder, others))
    return fmt::format("belongs to the user {}", status.st_uid);
  if (is_mount_in_shared_folder(status, folder))
    return "is a mount in a folder in which all users can make names";
  if (S_ISLNK(status.st_mode)) return {};
  const bool is_sticky_folder = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
  const mode_t written = is_sticky_folder ? 0 : status.st_mode & writers(others);
  if ((written & S_IWOTH) != 0) return "can be written by all users";
  if (written != 0 && (!internal::is_private_group(status) || internal::may_have_acl(descriptor)))
    return "can be written by its group";
  if (!S_ISDIR(status.st_mode) && status.st_nlink > 1 && (folder.st_mode & writers(others)) != 0)
    return "has other names, and lies in a folder in which all users can make some";
  return {};
}

std::string reason_of(int error) {
  return "cannot be looked at: " + std::generic_category().message(error);
}

class Walk {
 public:
  Walk(const fs::path& path, Others others) : others_(others) { put_first(path); }

  FollowedPath follow() {
    step_to_root();
    while (reason_.empty() && !is_at_end_ && !left_.empty()) {
      std::string name = std::move(left_.front());
      left_.pop_front();
      step(name);
    }
    FollowedPath followed{.path = at_, .exists = reason_.empty() && !is_at_end_};
    for (const std::string& name : left_) followed.path /= name;
    if (!reason_.empty()) followed.why_not_trusted = fmt::format("{} {}", at_.string(), reason_);
    return followed;
  }

 private:
  void put_first(const fs::path& path) {
    std::deque<std::string> parts;
    for (const fs::path& part : path.relative_path()) {
      if (!part.empty() && part != ".") parts.push_back(part.string());
    }
    left_.insert(left_.begin(), parts.begin(), parts.end());
  }

  void step_to_root() {
    at_ = "/";
    folder_status_ = {};
    enter(FileDescriptor(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)));
  }

  void step(const std::string& name) {
    FileDescriptor next(openat(folder_.number(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (next.number() < 0 && errno == ENOENT) {
      is_at_end_ = true;
      left_.push_front(name);
      return;
    }
    at_ = name == ".." ? at_.parent_path() : at_ / name;
    if (name == "..") folder_status_ = {};  // it does not lie in the folder it is entered from
    enter(std::move(next));
  }

  void enter(FileDescriptor next) {
    struct stat status {};
    if (next.number() < 0 || fstat(next.number(), &status) != 0) {
      reason_ = reason_of(errno);
      return;
    }
    reason_ = reason_of(next.number(), status, folder_status_, others_);
    if (!reason_.empty()) return;
    if (S_ISLNK(status.st_mode)) return follow_link(next.number());
    if (!S_ISDIR(status.st_mode) && !left_.empty()) reason_ = reason_of(ENOTDIR);
    folder_status_ = status;
    folder_ = std::move(next);
  }

  void follow_link(int link) {
    std::array<char, PATH_MAX> target{};
    const ssize_t size = readlinkat(link, "", target.data(), target.size());
    if (size < 0 || static_cast<std::size_t>(size) == target.size() || ++links_ > kMostLinks) {
      reason_ = reason_of(size < 0 ? errno : ELOOP);
      return;
    }
    const fs::path to(std::string_view(target.data(), static_cast<std::size_t>(size)));
    put_first(to);
    if (to.is_absolute()) return step_to_root();
    at_ = at_.parent_path();
  }

  const Others others_;
  fs::path at_;
  FileDescriptor folder_{-1};
  std::deque<std::string> left_;
  struct stat folder_status_ {};  // of the folder it stands in
  bool is_at_end_ = false;        // nothing is there to go on from
  int links_ = 0;
  std::string reason_;
};

}  // namespace

FollowedPath follow_path(const fs::path& path, Others others) {
  if (path.empty()) return {.path = path, .why_not_trusted = "an empty path leads nowhere"};
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  if (error) return {.path = path, .why_not_trusted = "the current folder " + reason_of(error.value())};
  return Walk(absolute, others).follow();
}

std::string why_not_trusted(const fs::path& path) {
  return follow_path(path, Others::none).why_not_trusted;
}

}  // namespace codewake
