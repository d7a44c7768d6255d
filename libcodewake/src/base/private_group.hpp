// Groups that are as good as one user.
#pragma once

#include <sys/stat.h>

namespace codewake::internal {

/// Whether the file's group is the private group of the effective user, who owns the file. Many systems make
/// a group for each user and let it write the user's new files. It has the user's name, is the user's primary
/// group, and lists no other member. A user who has the same primary group in the user database without being
/// listed in the group is not noticed: listing all users can take seconds. Always false for root and with
/// AT_SECURE. An access control list may let other users write: see `may_have_acl`. Thread-safe; blocks on
/// the user database.
bool is_private_group(const struct stat& status) noexcept;

/// Whether the file has a POSIX access control list. True where this cannot be determined, as without /proc.
/// `descriptor` may be of O_PATH. Thread-safe.
bool may_have_acl(int descriptor) noexcept;

}  // namespace codewake::internal
