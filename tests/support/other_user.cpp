#include "support/other_user.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace codewake::testing {
namespace {

void check(int result, const char* what) {
  if (result != 0) throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

std::string why_no_other_user() {
  return geteuid() == 0 ? std::string() : "two users are needed, and only root can become another one";
}

void become_other_user() {
  check(setgroups(0, nullptr), "setgroups");
  check(setresgid(kOtherUser, kOtherUser, kOtherUser), "setresgid");
  check(setresuid(kOtherUser, kOtherUser, kOtherUser), "setresuid");
}

ChildResult as_other_user(const std::function<void()>& body) {
  return in_child([&] {
    become_other_user();
    body();
  });
}

std::string enter_own_mounts() {
  if (unshare(CLONE_NEWNS) != 0) return fmt::format("unshare: {}", std::generic_category().message(errno));
  // Fails in a chroot, whose root is no mount of its own: what is mounted there might appear outside.
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return fmt::format("making mounts private: {}", std::generic_category().message(errno));
  for (const char* folder : {"/dev/shm", "/tmp"}) {
    if (mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=256m") != 0)
      return fmt::format("mounting {}: {}", folder, std::generic_category().message(errno));
  }
  return {};
}

ChildResult in_own_mounts(const std::function<void()>& body) {
  return in_child([&] {
    if (const std::string reason = enter_own_mounts(); !reason.empty()) {
      std::fputs(reason.c_str(), stderr);
      std::exit(kNoMounts);
    }
    body();
  });
}

}  // namespace codewake::testing
