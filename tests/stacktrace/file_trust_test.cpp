// Which files are read to resolve a stack.
#include "stacktrace/file_trust.hpp"

#include <doctest/doctest.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

#include "support/child.hpp"
#include "support/other_user.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;

constexpr gid_t kSharedGroup = 54321;

void give_to(const fs::path& file, uid_t user, gid_t group, mode_t mode) {
  if (lchown(file.c_str(), user, group) != 0 || chmod(file.c_str(), mode) != 0)
    throw std::system_error(errno, std::generic_category(), file.string());
}

bool is_ours(const fs::path& file) {
  const auto opened = internal::open_regular(file.string(), 1000);
  return opened && internal::is_ours(*opened);
}

/// What the program prints of the file when the other user starts it.
std::string report_of(const fs::path& program, const fs::path& file) {
  return as_other_user([&] {
           execl(program.c_str(), program.c_str(), file.c_str(), nullptr);
           throw std::system_error(errno, std::generic_category(), program.string());
         })
      .out;
}

}  // namespace

TEST_CASE(
    "A file that a group of several users can write is not ours, whether it is the effective group or not") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  const TemporaryFolder folder;
  const fs::path file = folder.write("file", "");
  fs::permissions(folder.path(), fs::perms(0755));
  for (const mode_t mode : {mode_t{0664}, mode_t{0644}}) {
    CAPTURE(mode);
    give_to(file, kOtherUser, kSharedGroup, mode);
    const ChildResult result = in_child([&] {
      if (setgroups(0, nullptr) != 0 || setgid(kSharedGroup) != 0 || setuid(kOtherUser) != 0)
        throw std::system_error(errno, std::generic_category());
      if (is_ours(file) != (mode == 0644)) throw std::runtime_error("the group is not judged");
    });
    CHECK(result.err == "");
    CHECK(result.exit_code == 0);
  }
}

TEST_CASE(
    "A setgid program trusts no file of the user who starts it, a setuid one those of its effective user") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  if (codewake::testing::kSanitized) CODEWAKE_SKIP("sanitizers end a program with raised privileges");
  const TemporaryFolder folder;
  const fs::path program = folder / "program";
  const fs::path theirs = folder.write("theirs", "");
  const fs::path roots = folder.write("roots", "");
  fs::permissions(folder.path(), fs::perms(0755));
  fs::copy_file(fs::path(std::getenv("CODEWAKE_TEST_PROGRAMS")) / "trust_report", program);
  give_to(theirs, kOtherUser, kOtherUser, 0644);
  give_to(roots, 0, 0, 0644);

  give_to(program, 0, 0, 0755);
  CHECK(report_of(program, theirs) == "privileged 0, ours 1, source 1, all modules 1\n");
  give_to(program, 0, kSharedGroup, 02755);
  const std::string setgid = report_of(program, theirs);
  if (setgid.starts_with("privileged 0")) CODEWAKE_SKIP("setgid means nothing on this file system (nosuid)");
  CHECK(setgid.starts_with("privileged 1, ours 0, "));
  CHECK(setgid.ends_with(", all modules 0\n"));
  CHECK(report_of(program, roots) == "privileged 1, ours 1, source 1, all modules 0\n");
  constexpr uid_t kService = 54322;
  give_to(program, kService, 0, 04755);
  give_to(theirs, kService, 0, 0644);
  CHECK(report_of(program, theirs) == "privileged 1, ours 1, source 1, all modules 0\n");
}

}  // namespace codewake::testing
