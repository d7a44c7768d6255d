#include "codewake/trusted_path.hpp"

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "support/other_user.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

using codewake::follow_path;
using codewake::Others;
using codewake::why_not_trusted;
using codewake::testing::kOtherUser;
using codewake::testing::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Adds an access control list by which another user may write to the file.
bool let_write(const fs::path& file, std::uint32_t user) {
  struct Entry {
    std::uint16_t tag, permissions;
    std::uint32_t id;
  };
  constexpr std::uint32_t kNone = 0xFFFFFFFF;
  const struct {
    std::uint32_t version = 2;
    Entry entries[5];
  } list = {.entries = {{1, 6, kNone}, {2, 6, user}, {4, 6, kNone}, {0x10, 6, kNone}, {0x20, 0, kNone}}};
  return setxattr(file.c_str(), "system.posix_acl_access", &list, sizeof list, 0) == 0;
}

}  // namespace

TEST_CASE("What belongs to root or oneself alone is trusted, below a folder with the sticky bit too") {
  const TemporaryFolder folder;
  CHECK(why_not_trusted("/etc/passwd") == "");
  CHECK(why_not_trusted(folder.path()) == "");
  CHECK(why_not_trusted(folder.write("file", "")) == "");
}

TEST_CASE("What is not there is judged by the folders that are") {
  const TemporaryFolder folder;
  CHECK(why_not_trusted(folder / "not/there") == "");
  chmod(folder.path().c_str(), 0777);
  CHECK(why_not_trusted(folder / "not/there") == folder.path().string() + " can be written by all users");
}

TEST_CASE("A folder or file that others can write is not trusted") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "a");
  const fs::path file = folder.write("a/file", "");
  chmod(file.c_str(), 0666);
  CHECK(why_not_trusted(file) == file.string() + " can be written by all users");
  chmod(file.c_str(), 0620);
  CHECK(why_not_trusted(file) == file.string() + " can be written by its group");
  chmod(file.c_str(), 0644);
  chmod((folder / "a").c_str(), 0770);
  CHECK(why_not_trusted(file) == (folder / "a").string() + " can be written by its group");
  chmod((folder / "a").c_str(), 01777);
  CHECK(why_not_trusted(file) == "");
}

TEST_CASE("Links are followed, and judged with all that they lead through") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "open");
  const fs::path file = folder.write("open/file", "");
  fs::create_symlink(file, folder / "absolute");
  fs::create_symlink("open/../open/file", folder / "relative");
  CHECK(why_not_trusted(folder / "absolute") == "");
  CHECK(why_not_trusted(folder / "relative") == "");
  chmod((folder / "open").c_str(), 0777);
  CHECK(why_not_trusted(folder / "absolute") == (folder / "open").string() + " can be written by all users");
  CHECK(why_not_trusted(folder / "relative") == (folder / "open").string() + " can be written by all users");
  fs::create_symlink("round", folder / "round");
  CHECK(contains(why_not_trusted(folder / "round"), "cannot be looked at: Too many levels"));
}

TEST_CASE("A file below a file, and an empty path, lead nowhere") {
  const TemporaryFolder folder;
  CHECK(
      contains(why_not_trusted(folder.write("file", "") / "below"), "cannot be looked at: Not a directory"));
  CHECK(why_not_trusted("") == "an empty path leads nowhere");
}

TEST_CASE("A relative path begins at the current folder") {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  CHECK(why_not_trusted("not-there") == "");
  chmod(folder.path().c_str(), 0777);
  CHECK(why_not_trusted("not-there") == folder.path().string() + " can be written by all users");
  fs::current_path(before);
}

TEST_CASE("A file of several names is not trusted where others can make names") {
  const TemporaryFolder folder;
  const fs::path file = folder.write("file", "");
  fs::create_hard_link(file, folder / "second");
  CHECK(why_not_trusted(file) == "");
  chmod(folder.path().c_str(), 01777);
  CHECK(contains(why_not_trusted(file), "has other names"));
}

TEST_CASE("What belongs to another user is not trusted: files, folders and links") {
  if (const std::string reason = codewake::testing::why_no_other_user(); !reason.empty())
    CODEWAKE_SKIP(reason);
  const TemporaryFolder folder;
  chmod(folder.path().c_str(), 01777);
  const auto made = codewake::testing::as_other_user([&] {
    fs::create_directory(folder / "theirs");
    folder.write("file", "");
    fs::create_symlink("/etc/passwd", folder / "link");
  });
  REQUIRE(made.exit_code == 0);
  const std::string belongs = " belongs to the user " + std::to_string(kOtherUser);
  CHECK(why_not_trusted(folder / "theirs") == (folder / "theirs").string() + belongs);
  CHECK(why_not_trusted(folder / "theirs/below") == (folder / "theirs").string() + belongs);
  CHECK(why_not_trusted(folder / "file") == (folder / "file").string() + belongs);
  CHECK(why_not_trusted(folder / "link") == (folder / "link").string() + belongs);
}

TEST_CASE("A path that is followed leads where its links do, as far as it exists") {
  const TemporaryFolder folder;
  const fs::path real = fs::canonical(folder.path());
  fs::create_directories(folder / "real/inner");
  fs::create_directory_symlink("real", folder / "link");
  const auto inner = follow_path(folder / "link/inner/../inner", Others::none);
  CHECK(inner.path == real / "real/inner");
  CHECK(inner.exists);
  CHECK(inner.why_not_trusted == "");
  const auto missing = follow_path(folder / "link/not/there", Others::none);
  CHECK(missing.path == real / "real/not/there");
  CHECK_FALSE(missing.exists);
  CHECK(missing.why_not_trusted == "");
  chmod((folder / "real").c_str(), 0777);
  CHECK_FALSE(follow_path(folder / "link/inner", Others::known).exists);
  CHECK(contains(follow_path(folder / "link/inner", Others::known).why_not_trusted, "written by all users"));
}

TEST_CASE("Known users are trusted in their own folders, not where all users can write") {
  if (const std::string reason = codewake::testing::why_no_other_user(); !reason.empty())
    CODEWAKE_SKIP(reason);
  const TemporaryFolder folder;
  fs::create_directory(folder / "theirs");
  const fs::path file = folder.write("theirs/file", "");
  for (const fs::path& path : {file, folder / "theirs"}) REQUIRE(chown(path.c_str(), kOtherUser, 65000) == 0);
  chmod((folder / "theirs").c_str(), 0770);
  CHECK(follow_path(file, Others::known).why_not_trusted == "");
  CHECK_FALSE(follow_path(file, Others::none).why_not_trusted == "");
  chmod(folder.path().c_str(), 01777);
  CHECK(contains(follow_path(file, Others::known).why_not_trusted, "theirs belongs to the user 65534"));
  chmod(folder.path().c_str(), 0755);
  chmod((folder / "theirs").c_str(), 01777);
  CHECK(follow_path(file, Others::known).why_not_trusted == "");
  REQUIRE(chown(file.c_str(), 65533, 65000) == 0);
  CHECK(contains(follow_path(file, Others::known).why_not_trusted, "file belongs to the user 65533"));
}

TEST_CASE("A user's private group may write, one with other members or of another name may not") {
  if (const std::string reason = codewake::testing::why_no_other_user(); !reason.empty())
    CODEWAKE_SKIP(reason);
  const auto result = codewake::testing::in_own_mounts([] {
    constexpr uid_t kUser = 61234;
    const TemporaryFolder folder;
    chmod(folder.path().c_str(), 0755);
    const fs::path users = folder.write("passwd", "root:x:0:0::/:/bin/sh\nown:x:61234:61234::/:/bin/sh\n");
    const fs::path groups = folder.write("group", "own:x:61234:\n");
    const auto put = [](const fs::path& file, const char* place) {
      if (mount(file.c_str(), place, nullptr, MS_BIND, nullptr) != 0) std::exit(codewake::testing::kNoMounts);
    };
    put(users, "/etc/passwd");
    put(groups, "/etc/group");
    const fs::path file = folder.write("file", "");
    const auto trusts = [&](mode_t mode, uid_t as) {
      return codewake::testing::wait_for(codewake::testing::start_child([&] {
               if (chown(file.c_str(), as, kUser) != 0 || chmod(file.c_str(), mode) != 0) std::_Exit(2);
               if (setresgid(as, as, as) != 0 || setresuid(as, as, as) != 0) std::_Exit(2);
               std::_Exit(why_not_trusted(file).empty() ? 0 : 1);
             })) == 0;
    };
    const auto require = [](bool holds, int line) {
      if (!holds) throw std::runtime_error("line " + std::to_string(line));
    };
    require(trusts(0660, kUser), __LINE__);
    require(!trusts(0666, kUser), __LINE__);
    require(!trusts(0660, 0), __LINE__);  // root has no such exception
    folder.write("group", "own:x:61234:own,other\n");
    require(!trusts(0660, kUser), __LINE__);
    folder.write("group", "own:x:61234:own\n");
    require(trusts(0660, kUser), __LINE__);
    folder.write("group", "staff:x:61234:\n");
    require(!trusts(0660, kUser), __LINE__);
    folder.write("group", "own:x:61234:\n");
    require(trusts(0660, kUser), __LINE__);
    if (!let_write(file, 65533)) std::exit(codewake::testing::kNoMounts);
    require(!trusts(0660, kUser), __LINE__);
    require(trusts(0640, kUser), __LINE__);  // the mode is the list's mask
  });
  if (result.exit_code == codewake::testing::kNoMounts)
    CODEWAKE_SKIP("no file systems may be mounted here, or they have no access control lists");
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

TEST_CASE("A mount in a folder in which all users can make names is not trusted, whoever owns its files") {
  const auto result = codewake::testing::in_own_mounts([] {
    const auto put = [](const char* place) {
      fs::create_directories(place);
      if (mount("tmpfs", place, "tmpfs", 0, "mode=755") != 0) std::exit(codewake::testing::kNoMounts);
    };
    const auto require = [](bool holds, int line) {
      if (!holds) throw std::runtime_error("line " + std::to_string(line));
    };
    put("/tmp/shared");
    put("/tmp/own/private");
    const std::string reason = "/tmp/shared is a mount in a folder in which all users can make names";
    for (const Others others : {Others::none, Others::known})
      require(follow_path("/tmp/shared/file", others).why_not_trusted == reason, __LINE__);
    require(why_not_trusted("/tmp/own/private").empty(), __LINE__);
    require(why_not_trusted("/tmp/../etc/passwd").empty(), __LINE__);
  });
  if (result.exit_code == codewake::testing::kNoMounts) CODEWAKE_SKIP("no file systems may be mounted here");
  INFO(result.err);
  CHECK(result.exit_code == 0);
}
