// Whether another user of the machine could decide what a path leads to.
#pragma once

#include <filesystem>
#include <string>

#include "codewake/export.hpp"

namespace codewake {

/// Why another user could decide what lies at `path`, such as `/srv/app belongs to the user 1000`; empty
/// where only root and the effective user can. `path` is followed from the root, symbolic links included; a
/// relative one begins at the current folder. Each folder and link on the way, and the file at its end, must
/// belong to root or the effective user, and neither its group nor all others may write to it. There are two
/// exceptions. A folder with the sticky bit, such as /tmp: others can neither remove nor replace what root or
/// the effective user has there. A file in such a folder must have one name only, for others may have linked
/// it there, and what lies in it must not be a mount. The private group of an effective user other than root
/// may write to that user's files: a group of the user's name, the user's primary group, which lists no other
/// member, on a file without an access control list. Users with the same primary group that are not listed in
/// the group are not noticed. A program with AT_SECURE has no private group. Unless it is setuid, it
/// accepts only root as owner, for its effective user is the user that started it.
/// A path that ends early is judged by the folders that exist, and another user may decide what comes to lie
/// there: make the rest and ask again, or use only what follow_path() reports as existing. What cannot be
/// looked at is not trusted, and the result says so. Thread-safe; blocks on the disk; throws std::bad_alloc
/// alone.
CODEWAKE_API std::string why_not_trusted(const std::filesystem::path& path);

/// Which other users may decide what a path leads to.
enum class Others {
  none,  ///< as above
  known  ///< the owners and groups of the folders on the way, as long as not all users can write
};

/// Where a path leads.
struct FollowedPath {
  std::filesystem::path path;  ///< absolute, without links; as far as it was followed, then as it was named
  bool exists = false;         ///< false also where it was not followed to its end
  std::string why_not_trusted{};  ///< as above; empty where it is trusted
};

/// Follows `path` as why_not_trusted() does. With Others::known, folders, links and files of other users, and
/// what a group can write, are trusted; not trusted are folders and files that all users can write, except
/// folders with the sticky bit, and in these what belongs neither to root, nor to the effective user, nor to
/// the owner of the folder. With Others::none, a path that exists and is trusted stays what it is: no other
/// user can change it. With Others::known, those users can. Thread-safe; blocks on the disk; throws
/// std::bad_alloc alone.
CODEWAKE_API FollowedPath follow_path(const std::filesystem::path& path, Others others);

}  // namespace codewake
