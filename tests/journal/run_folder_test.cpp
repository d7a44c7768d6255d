#include "journal/run_folder.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "journal/places.hpp"
#include "journal/support.hpp"
#include "support/child.hpp"
#include "support/other_user.hpp"
#include "support/skip.hpp"

using namespace codewake;
using namespace codewake::testing;
using internal::RunAbout;
using internal::RunFolder;
namespace fs = std::filesystem;

namespace {

RunAbout about(const std::string& run) {
  return {.run = run,
          .fingerprint = "0123abcd",
          .store = "code_wake_sqlite_store,SqliteStore \"x\"",
          .executable = "/bin/\xC3\xA4",
          .pid = 42,
          .started = Time(std::chrono::seconds(1'700'000'000))};
}

mode_t mode_of(const fs::path& path) {
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

// Several processes at once, each of which does this; the result is the sum of their exit codes.
int in_processes(int count, const std::function<int(int)>& body) {
  std::vector<pid_t> children;
  for (int i = 0; i < count; ++i) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) _exit(body(i));
    children.push_back(child);
  }
  int sum = 0;
  for (const pid_t child : children) {
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    sum += WEXITSTATUS(status);
  }
  return sum;
}

std::optional<RunFolder> take_over(const fs::path& folder) {
  return RunFolder::take_over(opened(folder.parent_path()), folder.filename());
}

std::vector<std::string> runs_below(const fs::path& root) {
  return internal::runs_in(internal::open_roots(root));
}

}  // namespace

TEST_CASE("A run's folder is its user's alone, and so are the folders above it that are made for it") {
  const TemporaryFolder folder;
  const fs::path root = folder / "a/b";
  const RunFolder made = RunFolder::create(root, "run");
  CHECK(made.path() == root / "run");
  made.write_about(about("run"));
  CHECK(mode_of(folder / "a") == 0700);
  CHECK(mode_of(root) == 0700);
  CHECK(mode_of(root / "run") == 0700);
  CHECK(mode_of(root / "run/lock") == 0600);
  CHECK(mode_of(root / "run/run.json") == 0600);
}

TEST_CASE("What a run says about itself is read again as it was written") {
  const TemporaryFolder folder;
  const RunFolder made = RunFolder::create(folder.path(), "run");
  CHECK_FALSE(made.read_about());
  made.write_about(about("run"));
  CHECK(made.read_about() == about("run"));
  CHECK_FALSE(fs::exists(made.path() / "run.json.new"));
}

TEST_CASE("Words about a run that are broken, another's or of another format are none") {
  const TemporaryFolder folder;
  const RunFolder made = RunFolder::create(folder.path(), "run");
  made.write_about(about("run"));
  const std::string good = read_file(made.path() / "run.json");
  const auto read_as = [&](const std::string& text) {
    std::ofstream(made.path() / "run.json", std::ios::binary) << text;
    return made.read_about();
  };
  for (std::size_t size = 0; size + 2 < good.size(); ++size) CHECK_FALSE(read_as(good.substr(0, size)));
  CHECK_FALSE(read_as("[]"));
  CHECK_FALSE(read_as("{\"format\": 1}"));
  std::string newer = good;
  newer.replace(newer.find("\"format\": 1"), 11, "\"format\": 2");
  CHECK_FALSE(read_as(newer));
  std::string other = good;
  other.replace(other.find("\"run\": \"run\""), 12, "\"run\": \"ruN\"");
  CHECK_FALSE(read_as(other));
  CHECK_FALSE(read_as(R"({"format": 1, "run": 7, "fingerprint": [], "pid": "x", "started": {}})"));
  std::string flipped = good;
  flipped[flipped.find("\"fingerprint\": \"") + 16] ^= 1;
  CHECK_FALSE(read_as(flipped));
  CHECK(read_as(good) == about("run"));
}

TEST_CASE("The folder of a run that lives is not taken, and that of one that is gone is") {
  const TemporaryFolder folder;
  const fs::path path = folder / "run";
  {
    const RunFolder alive = RunFolder::create(folder.path(), "run");
    CHECK_FALSE(take_over(path));
    CHECK(in_child([&] { std::exit(take_over(path) ? 1 : 0); }).exit_code == 0);
  }
  auto taken = take_over(path);
  REQUIRE(taken);
  CHECK_FALSE(take_over(path));
  CHECK_FALSE(taken->remove());
  CHECK_FALSE(fs::exists(path));
  CHECK_FALSE(take_over(path));
}

TEST_CASE("The lock of a run goes with its process, whatever ends that") {
  const TemporaryFolder folder;
  const ChildResult killed = in_child([&] {
    const RunFolder made = RunFolder::create(folder.path(), "run");
    raise(SIGKILL);
  });
  CHECK(killed.signal == SIGKILL);
  CHECK(take_over(folder / "run"));
}

TEST_CASE("Folders above a journal need only be searchable, and the journal's writable") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  const TemporaryFolder folder;
  fs::create_directories(folder / "above/theirs");
  if (chown((folder / "above/theirs").c_str(), kOtherUser, kOtherUser) != 0) FAIL("chown");
  chmod(folder.path().c_str(), 0711);
  chmod((folder / "above").c_str(), 0711);
  const auto result = as_other_user([&] {
    RunFolder made = RunFolder::create(folder / "above/theirs/journal", "run");
    made.write_about(about("run"));
    if (made.sync() || made.remove()) std::exit(1);
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

TEST_CASE("A folder that is a mount, as a user can make one, is no folder of the run's owner") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  const auto result = in_own_mounts([] {
    const TemporaryFolder folder;
    fs::create_directory(folder / "run");
    if (mount("tmpfs", (folder / "run").c_str(), "tmpfs", 0, "mode=700") != 0) std::exit(kNoMounts);
    try {
      opened(folder.path())->open_own("run");
    } catch (const std::system_error& error) {
      std::exit(error.code() == std::errc::operation_not_permitted ? 0 : 1);
    }
    std::exit(1);
  });
  if (result.exit_code == kNoMounts) CODEWAKE_SKIP("no file systems may be mounted here");
  CHECK(result.exit_code == 0);
}

TEST_CASE("A run cannot be made twice, and nothing is left of a root that cannot be had") {
  const TemporaryFolder folder;
  const RunFolder first = RunFolder::create(folder.path(), "run");
  CHECK_THROWS_AS(RunFolder::create(folder.path(), "run"), std::system_error);
  CHECK(fs::exists(folder / "run/lock"));
  const fs::path file = folder.write("file", "");
  CHECK_THROWS_AS(RunFolder::create(file, "run"), std::system_error);
}

TEST_CASE("Of many processes that recover a run at once, one does") {
  const TemporaryFolder folder;
  for (int round = 0; round < 30; ++round) {
    {
      const RunFolder dead = RunFolder::create(folder.path(), "run");
      std::ofstream(dead.path() / "front") << "what is to be recovered";
    }
    const int winners = in_processes(4, [&](int) {
      auto taken = take_over(folder / "run");
      if (!taken) return 0;
      const bool has_something = fs::exists(taken->path() / "front");
      return taken->remove() ? 50 : has_something ? 1 : 0;
    });
    CHECK(winners == 1);
    CHECK_FALSE(fs::exists(folder / "run"));
  }
}

TEST_CASE("Runs begin and end beside recoverers that take every folder without a lock for a dead one's") {
  const TemporaryFolder folder;
  const int failed = in_processes(4, [&](int number) {
    int failures = 0;
    for (int i = 0; i < 150; ++i) {
      try {
        if (number < 2) {
          const std::string run = "h-" + std::to_string(getpid()) + "-1-a-b-c-d-" + std::to_string(i);
          RunFolder made = RunFolder::create(folder.path(), run);
          made.write_about(about(run));
          if (made.read_about() != about(run)) ++failures;
          if (made.remove()) ++failures;
        } else {
          for (const std::string& run : runs_below(folder.path())) {
            auto taken = take_over(folder / run);
            if (!taken) continue;
            if (taken->read_about()) ++failures;  // it lives
            if (taken->remove()) ++failures;
          }
        }
      } catch (const std::system_error&) {
        if (number < 2) ++failures;
      }
    }
    return std::min(failures, 60);
  });
  CHECK(failed == 0);
}

TEST_CASE("A lock that was deleted and made again belongs to whoever locks the new one") {
  const TemporaryFolder folder;
  const RunFolder first = RunFolder::create(folder.path(), "run");
  folder.write("run/front", "something");
  fs::remove(folder / "run/lock");
  auto second = take_over(folder / "run");
  REQUIRE(second);
  CHECK_FALSE(take_over(folder / "run"));
}

TEST_CASE("A folder without a lock file is taken if something lies there; an empty one goes") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "run");
  CHECK_FALSE(take_over(folder / "run"));
  CHECK_FALSE(fs::exists(folder / "run"));
  fs::create_directory(folder / "run");
  folder.write("run/front", "something");
  auto taken = take_over(folder / "run");
  REQUIRE(taken);
  CHECK_FALSE(taken->remove());
}

TEST_CASE("A program that closes descriptors which it does not know keeps its run") {
  const TemporaryFolder folder;
  const ChildResult child = in_child([&] {
    RunFolder made = RunFolder::create(folder.path(), "run");
    for (int fd = STDERR_FILENO + 1; fd < 100; ++fd) close(fd);
    const int others = in_processes(1, [&](int) {
      made.close_in_child();
      return take_over(folder / "run") ? 1 : 0;
    });
    if (others != 0 || made.remove()) std::exit(1);
    std::exit(fs::exists(folder / "run") ? 2 : 0);
  });
  CHECK(child.exit_code == 0);
}

TEST_CASE("A child of fork leaves the lock to its parent") {
  const TemporaryFolder folder;
  RunFolder made = RunFolder::create(folder.path(), "run");
  const ChildResult child = in_child([&] {
    made.close_in_child();
    std::exit(take_over(folder / "run") ? 1 : 0);
  });
  CHECK(child.exit_code == 0);
}

TEST_CASE("What a folder holds goes with it, the lock last") {
  const TemporaryFolder folder;
  RunFolder made = RunFolder::create(folder.path(), "run");
  fs::create_directories(made.path() / "sub/folder");
  std::ofstream(made.path() / "sub/folder/file") << "x";
  std::ofstream(made.path() / "front") << "x";
  CHECK_FALSE(made.remove());
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("Runs are told from what lies beside them") {
  const TemporaryFolder folder;
  CHECK(runs_below(folder / "none").empty());
  const std::string run = internal::make_run_name(now());
  fs::create_directory(folder / run);
  fs::create_directory(folder / "dead");
  folder.write("file", "");
  CHECK(runs_below(folder.path()) == std::vector<std::string>{run});
  CHECK(runs_below(folder / "file").empty());
}

TEST_CASE("Names of runs differ, and say whose they are") {
  const Time start{std::chrono::milliseconds(1'700'000'000'900)};
  const std::string run = internal::make_run_name(start);
  CHECK(run != internal::make_run_name(start));
  CHECK(run.find("-" + std::to_string(getpid()) + "-1700000000-") != std::string::npos);
  CHECK(std::count(run.begin(), run.end(), '-') == 7);
}

TEST_CASE("However a journal folder is written, its fronts are in one place, and another's in another") {
  const TemporaryFolder folder;
  const fs::path path = folder / "journal";
  const std::vector<fs::path> roots = internal::front_roots(path);
  REQUIRE(roots.size() == 2);
  CHECK(roots.front().parent_path().filename() == "code_wake");
  CHECK(roots.back().parent_path() == "/dev/shm");
  CHECK(internal::front_roots(path / "") == roots);
  CHECK(internal::front_roots(folder / "x/../journal") == roots);
  CHECK(internal::front_roots(folder / "journal2") != roots);
  fs::create_directory(path);
  CHECK(internal::front_roots(path) == roots);
  CHECK(internal::front_roots(path / "") == roots);
  fs::create_directory_symlink(path, folder / "link");
  CHECK(internal::front_roots(folder / "link") == roots);
}

TEST_CASE("Shared memory that is open to others is not used") {
  const JournalFolder folder;
  const fs::path root = folder.front_root();
  fs::create_directory(root);
  fs::permissions(root, fs::perms::all);
  CHECK_THROWS_AS(internal::make_front_root(folder.path(), 1), std::system_error);
  fs::permissions(root, fs::perms::owner_all);
  CHECK(internal::make_front_root(folder.path(), 1).path() == root);
}
