// Which source files may be read.
#include "stacktrace/source_access.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

#include "support/child.hpp"
#include "support/other_user.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;
using internal::open_own_source;
using internal::SourceFolders;

void give_to(const fs::path& file, uid_t user) {
  if (lchown(file.c_str(), user, user) != 0)
    throw std::system_error(errno, std::generic_category(), file.string());
}

/// A tree of sources, and beside it what must not be read.
struct Tree {
  Tree() {
    fs::create_directories(folder / "tree/inner");
    fs::create_directories(folder / "tree-beside");
    source = folder.write("tree/inner/a.cpp", "source");
    secret = folder.write("secret", "secret");
    folder.write("tree-beside/b.cpp", "beside");
  }

  bool opens(const std::string& path) const {
    return folders.open((folder / path).string(), 1000).has_value();
  }

  TemporaryFolder folder;
  fs::path source;
  fs::path secret;
  SourceFolders folders{{(folder / "tree").string()}};
};

}  // namespace

TEST_CASE("A file below a source folder is found by an absolute path and by one from the build folder") {
  const Tree tree;
  CHECK(tree.folders.locate(tree.source.string()) == tree.source);
  CHECK(tree.folders.locate((tree.folder / "tree/./other/../inner/a.cpp").string()) == tree.source);
  CHECK(tree.folders.locate("inner/a.cpp") == tree.source);
  CHECK(tree.folders.locate("../../inner/a.cpp") == tree.source);
  CHECK(tree.folders.locate("a.cpp") == "");
  CHECK(tree.folders.locate("") == "");
  CHECK(tree.folders.locate("..") == "");
  CHECK(tree.folders.locate(tree.secret.string()) == "");
  CHECK(tree.folders.locate("../secret") == "");
  CHECK(SourceFolders({}).locate(tree.source.string()) == "");
  CHECK(SourceFolders({"", "relative", (tree.folder / "tree/").string()}).locate("inner/a.cpp") ==
        tree.source);
}

TEST_CASE("No path and no link leads out of a source folder") {
  const Tree tree;
  CHECK(tree.opens("tree/inner/a.cpp"));
  CHECK_FALSE(tree.opens("secret"));
  CHECK_FALSE(tree.opens("tree/../secret"));
  CHECK_FALSE(tree.opens("tree-beside/b.cpp"));
  CHECK_FALSE(tree.opens("tree"));
  CHECK_FALSE(tree.opens("tree/inner"));
  fs::create_symlink(tree.secret, tree.folder / "tree/absolute");
  fs::create_symlink("../secret", tree.folder / "tree/relative");
  fs::create_directory_symlink("..", tree.folder / "tree/up");
  fs::create_symlink("inner/a.cpp", tree.folder / "tree/within");
  CHECK_FALSE(tree.opens("tree/absolute"));
  CHECK_FALSE(tree.opens("tree/relative"));
  CHECK_FALSE(tree.opens("tree/up/secret"));
  CHECK_FALSE(tree.folders.open((tree.folder / "tree").string() + "/up/tree/../../secret", 1000));
  // One that stays within is followed where the kernel can tell; else it is refused, too.
  if (tree.opens("tree/within")) CHECK(tree.folders.locate("within") == tree.folder / "tree/within");
}

TEST_CASE("What is no regular file, or is too large, is not opened as a source") {
  const Tree tree;
  REQUIRE(mkfifo((tree.folder / "tree/pipe").c_str(), 0600) == 0);
  CHECK_FALSE(tree.opens("tree/pipe"));
  CHECK_FALSE(open_own_source((tree.folder / "tree/pipe").string(), 1000));
  CHECK_FALSE(open_own_source("/dev/zero", 1000));
  CHECK_FALSE(open_own_source("", 1000));
  CHECK_FALSE(open_own_source(std::string("/etc/passwd\0.cpp", 16), 1000));
  tree.folder.write("tree/a", std::string(1000, 'x'));
  tree.folder.write("tree/b", std::string(1001, 'x'));
  CHECK(tree.opens("tree/a"));
  CHECK_FALSE(tree.opens("tree/b"));
  CHECK(open_own_source((tree.folder / "tree/a").string(), 1000));
  CHECK_FALSE(open_own_source((tree.folder / "tree/b").string(), 1000));
}

TEST_CASE("Another name of a secret file in a source folder that another user can write is not opened") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  const Tree tree;
  fs::create_hard_link(tree.secret, tree.folder / "tree/inner/link.cpp");
  CHECK(tree.opens("tree/inner/link.cpp"));
  give_to(tree.folder / "tree/inner", kOtherUser);
  CHECK_FALSE(tree.opens("tree/inner/link.cpp"));
  CHECK(tree.opens("tree/inner/a.cpp"));
}

TEST_CASE("A folder that another user renames away and back shows root no file that its links lead to") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  constexpr int kRounds = 20'000;
  const Tree tree;
  const fs::path theirs = tree.folder / "theirs";
  const fs::path away = tree.folder / "away";
  fs::permissions(tree.folder.path(), fs::perms(01777));
  fs::create_directory(theirs);
  fs::create_symlink(tree.secret, theirs / "link.cpp");
  fs::create_hard_link(tree.secret, theirs / "other-name.cpp");
  give_to(theirs, kOtherUser);
  const pid_t child = start_child([&] {
    become_other_user();
    alarm(60);  // it has no end
    for (;;) {
      fs::rename(theirs, away);
      fs::rename(away, theirs);
    }
  });
  const SourceFolders folders({tree.folder.path().string()});
  int shown = 0;
  for (int round = 0; round < kRounds; ++round) {
    if (open_own_source((theirs / "link.cpp").string(), 1000)) ++shown;
    if (folders.open((theirs / "other-name.cpp").string(), 1000)) ++shown;
  }
  kill(child, SIGKILL);
  CHECK(wait_for(child) == -SIGKILL);
  CHECK(shown == 0);
}

TEST_CASE("A user's own sources are read, also where the group may write, but not by another user's link") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  const Tree tree;
  const std::string source = tree.source.string();
  const fs::path link = tree.folder / "tree/link.cpp";
  fs::permissions(tree.folder.path(), fs::perms(0755));
  for (const char* part : {"tree", "tree/inner", "tree/inner/a.cpp", "secret"})
    give_to(tree.folder / part, kOtherUser);
  fs::permissions(tree.folder / "tree/inner", fs::perms(0775));
  fs::create_symlink(tree.secret, link);  // root's, as another user's would be
  fs::permissions(tree.folder / "tree", fs::perms(0775));
  CHECK_FALSE(open_own_source(source, 1000));  // not for root
  const ChildResult result = as_other_user([&] {
    if (!open_own_source(source, 1000)) throw std::runtime_error("the user's own source is not read");
    if (open_own_source(link.string(), 1000)) throw std::runtime_error("a link is followed");
  });
  CHECK(result.err == "");
  CHECK(result.exit_code == 0);
}

}  // namespace codewake::testing
