// A second user of the machine, for tests of what one user can do to another.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "support/child.hpp"

namespace codewake::testing {

/// The user `nobody` of most systems; it needs no entry in the list of users.
inline constexpr uid_t kOtherUser = 65534;

/// Why this program cannot become another user; empty where it can: it must be root.
std::string why_no_other_user();

/// Becomes that user for good: all its ids and groups, and not dumpable. For a child process; throws
/// std::system_error.
void become_other_user();

/// Runs `body` as the other user, in a child process, and waits for it.
ChildResult as_other_user(const std::function<void()>& body);

/// Gives the calling process, which should be a child, mounts of its own: /dev/shm and /tmp are new and
/// empty, and all users may write to them. The result says why that is not allowed here; empty after success.
std::string enter_own_mounts();

/// Runs `body` in a child process with mounts of its own, and waits for it. Why that is not allowed here is
/// in `err`, with the exit code kNoMounts.
ChildResult in_own_mounts(const std::function<void()>& body);
inline constexpr int kNoMounts = 77;

}  // namespace codewake::testing
