#include "journal/places.hpp"

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "journal/live_journal.hpp"
#include "journal/support.hpp"
#include "support/other_user.hpp"
#include "support/skip.hpp"

using namespace codewake;
using namespace codewake::testing;
using Paths = std::vector<std::filesystem::path>;
namespace fs = std::filesystem;

namespace {

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

/// Runs `body` as the other user, without a home, where /var/tmp is new and `prepare` has been there as root.
ChildResult without_home(const std::function<void()>& prepare, const std::function<void()>& body) {
  return in_own_mounts([&] {
    if (mount("tmpfs", "/var/tmp", "tmpfs", 0, "mode=1777") != 0) std::exit(kNoMounts);
    prepare();
    become_other_user();
    for (const char* name : {"HOME", "XDG_STATE_HOME"}) unsetenv(name);
    body();
  });
}

const fs::path kInVarTmp = "/var/tmp/code_wake-" + std::to_string(kOtherUser);

}  // namespace

#define REQUIRE_TWO_USERS(result)                                                       \
  if (!why_no_other_user().empty()) CODEWAKE_SKIP(why_no_other_user());                 \
  if ((result).exit_code == kNoMounts) CODEWAKE_SKIP("no file systems may be mounted"); \
  INFO((result).err);                                                                   \
  CHECK((result).exit_code == 0)

TEST_CASE("A service without a home has its journal in /var/tmp, in a folder of its own") {
  const auto result = without_home(
      [] {},
      [] {
        require(internal::default_journal_folders() == Paths{kInVarTmp / "journal"}, "another folder");
        const internal::LiveJournal journal(
            {.folder = internal::default_journal_folder(),
             .is_default_folder = true,
             .slot_count = 4,
             .about = {.run = internal::make_run_name(now()), .fingerprint = "f"}});
        require(journal.problem().empty(), journal.problem());
        struct stat status {};
        require(stat(kInVarTmp.c_str(), &status) == 0 && (status.st_mode & 07777) == 0700, "open to others");
      });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE("A folder there that another user has made, or can write to, is not used") {
  for (const bool is_own : {false, true}) {
    const auto result = without_home(
        [&] {
          fs::create_directory(kInVarTmp);
          chmod(kInVarTmp.c_str(), is_own ? 0777 : 0755);
          // Of a third user, neither root nor the one who looks.
          if (chown(kInVarTmp.c_str(), is_own ? kOtherUser : 65533, 65533) != 0) std::exit(kNoMounts);
        },
        [] {
          require(internal::default_journal_folders().empty(), "it is used");
          const internal::LiveJournal journal(
              {.folder = internal::default_journal_folder(),
               .is_default_folder = true,
               .slot_count = 4,
               .about = {.run = internal::make_run_name(now()), .fingerprint = "f"}});
          require(journal.problem().find("shared memory alone") != std::string::npos, journal.problem());
          require(fs::is_empty(kInVarTmp), "something was made there");
        });
    REQUIRE_TWO_USERS(result);
  }
}

TEST_CASE("A home in which others can write is passed over for the next place") {
  const auto result = without_home(
      [] {},
      [] {
        fs::create_directory("/tmp/home");
        setenv("HOME", "/tmp/home", 1);
        const fs::path at_home = "/tmp/home/.local/state/code_wake/journal";
        require(internal::default_journal_folders() == Paths{at_home, kInVarTmp / "journal"}, "not at home");
        chmod("/tmp/home", 0777);
        require(internal::default_journal_folders() == Paths{kInVarTmp / "journal"}, "still at home");
        setenv("XDG_STATE_HOME", "/tmp/state", 1);
        require(internal::default_journal_folder() == "/tmp/state/code_wake/journal", "not where it is said");
      });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE("Journal folders below one that cannot be looked into have fronts of their own") {
  const auto result = without_home(
      [] {
        fs::create_directories("/tmp/closed/below");
        chmod("/tmp/closed", 0700);
      },
      [] {
        require(internal::front_roots("/tmp/closed/below/a") != internal::front_roots("/tmp/closed/below/b"),
                "two folders share their fronts");
        require(
            internal::front_roots("/tmp/closed/below/a") == internal::front_roots("/tmp/closed/x/../below/a"),
            "one folder has two");
      });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE("Memory below /run is used where it has room, and belongs to root alone") {
  if (!why_no_other_user().empty()) CODEWAKE_SKIP(why_no_other_user());
  const auto result = in_own_mounts([] {
    const auto root_with = [](const char* run_options, std::uint64_t size_bytes) {
      if (mount("tmpfs", "/run", "tmpfs", 0, run_options) != 0) std::exit(kNoMounts);
      const fs::path root = internal::make_front_root("/tmp/journal", size_bytes).path();
      umount("/run");
      return root.parent_path();
    };
    require(root_with("mode=755,size=16m", 4u << 20) == "/run/code_wake", "not below /run");
    require(root_with("mode=755,size=15m", 4u << 20) == "/dev/shm", "without room");
    require(root_with("mode=777,size=16m", 4u << 20) == "/dev/shm", "where all can write");
    require(root_with("mode=755,size=16m,uid=65534", 4u << 20) == "/dev/shm", "which is another user's");
  });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE("Shared memory that is another user's mount is not used") {
  if (!why_no_other_user().empty()) CODEWAKE_SKIP(why_no_other_user());
  const auto result = in_own_mounts([] {
    if (mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777,uid=65534") != 0) std::exit(kNoMounts);
    try {
      internal::make_front_root("/tmp/journal", std::uint64_t{1} << 50);
    } catch (const std::system_error& error) {
      require(error.code() == std::errc::operation_not_permitted, error.what());
      require(fs::is_empty("/dev/shm"), "something was made there");
      return;
    }
    throw std::runtime_error("it is used");
  });
  REQUIRE_TWO_USERS(result);
}

TEST_CASE("Names of runs are plain") {
  CHECK(internal::is_run_name(internal::make_run_name(now())));
  CHECK(internal::is_run_name("host.example_1-1-1-a-b-c-d-e"));
  for (const char* name :
       {"dead", "h-1-1-a-b-c-d", "h-1-1-a-b-c-d-e\n", "h-1-1-a-b-c-d-e\x1b[2J", "../-1-1-a-b-c-d-e",
        ".h-1-1-a-b-c-d-e", "h 1-1-1-a-b-c-d-e", "h\xff-1-1-a-b-c-d-e"})
    CHECK_FALSE(internal::is_run_name(name));
  CHECK_FALSE(internal::is_run_name(std::string(190, 'h') + "-1-1-a-b-c-d-e"));
}
