// Programs that die in a container, or under limits.
#include <doctest/doctest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "crashes/dying.hpp"
#include "support/other_user.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

/// Gives the calling child shared memory that goes with it.
void enter_container() {
  const bool is_entered = unshare(CLONE_NEWNS) == 0 &&
                          mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                          mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777,size=64m") == 0 &&
                          mount("tmpfs", "/run", "tmpfs", 0, "mode=755,size=16m") == 0;
  if (!is_entered) std::_Exit(kNoMounts);
}

ChildResult run_limited(const Deathbed& bed, rlim_t file_bytes, const std::vector<std::string>& words) {
  return in_child([&] {
    const rlimit limit{.rlim_cur = file_bytes, .rlim_max = file_bytes};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) std::_Exit(73);
    bed.become(words);
  });
}

TEST_CASE("A crash in a container outlives its shared memory") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  for (const char* store : {"SqliteQueueStore", "SqliteStore"}) {
    CAPTURE(store);
    const Deathbed bed(store);
    const ChildResult result = in_child([&] {
      enter_container();
      bed.become({program(variants()[0]), "write"});
    });
    if (result.exit_code == kNoMounts) CODEWAKE_SKIP("no file systems may be mounted");
    CAPTURE(result.err);
    CHECK(result.signal == SIGSEGV);
    for (const JournalRun& run : bed.recover()) {
      CAPTURE(run.problem);
      CHECK(run.state == JournalRun::State::recovered);
    }
    CHECK(bed.crashes().size() == 1);
  }
}

TEST_CASE("Under a limit of files, a program ends as it would, also under codewake run") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  const std::string tool = std::getenv("CODEWAKE_TEST_TOOL");
  for (const rlim_t limit : {rlim_t{8} << 20, rlim_t{1} << 20, rlim_t{64} << 10, rlim_t{8192}, rlim_t{100}}) {
    CAPTURE(limit);
    const Deathbed bed;
    const ChildResult well = run_limited(bed, limit, {tool, "run", "--", program("unchanged"), "exit"});
    CAPTURE(well.err);
    CHECK(well.exit_code == 42);
    const ChildResult dying = run_limited(bed, limit, {program(variants()[0]), "write"});
    CAPTURE(dying.err);
    CHECK(dying.signal == SIGSEGV);
    if (limit >= rlim_t{64} << 10) {
      bed.recover();
      CHECK(bed.crashes().size() == 1);
    }
  }
}

}  // namespace
}  // namespace codewake::testing
