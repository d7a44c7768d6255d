#include "journal/front.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

#include "journal/live_journal.hpp"
#include "journal/support.hpp"
#include "support/other_user.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

using namespace codewake;
using namespace codewake::testing;
using namespace codewake::internal;
namespace fs = std::filesystem;

#define REQUIRE_OWN_MOUNTS(result)                                                                       \
  if ((result).exit_code == kNoMounts) CODEWAKE_SKIP("no file systems may be mounted: " + (result).err); \
  INFO((result).err);                                                                                    \
  CHECK((result).exit_code == 0)

namespace {

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

void limit(__rlimit_resource resource, rlim_t most) {
  const rlimit bound{.rlim_cur = most, .rlim_max = most};
  require(setrlimit(resource, &bound) == 0, "setrlimit");
}

/// In a child with a /dev/shm of its own, of this size.
ChildResult with_shared_memory(const char* options, const std::function<void()>& body) {
  return in_own_mounts([&] {
    if (mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) std::exit(kNoMounts);
    body();
  });
}

JournalOptions options_of(const fs::path& folder) {
  return {.folder = folder, .slot_count = 64, .about = {.run = make_run_name(now()), .fingerprint = "f"}};
}

bool has_front(const fs::path& root) {
  if (!fs::exists(root)) return false;
  for (const auto& run : fs::directory_iterator(root)) {
    if (fs::exists(run.path() / Front::kFile)) return true;
  }
  return false;
}

std::size_t address_space() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * 4096;
}

/// Writes into all slots that there can be; the result is how many.
std::uint32_t fill(Front& front) {
  std::uint32_t slots = 0;
  while (slots < front.slot_count() && front.reserve(slots) == 0) *front.slot(slots++) = 'x';
  return slots;
}

}  // namespace

TEST_CASE("Shared memory without room for eight slots holds no front: the disk does") {
  for (const char* size : {"mode=1777,size=64k", "mode=1777,size=1m", "mode=1777,size=2m"}) {
    CAPTURE(size);
    const auto result = with_shared_memory(size, [] {
      LiveJournal journal(options_of("/tmp/journal"));
      require(has_front("/tmp/journal"), "no front on disk");
      require(fs::is_empty("/dev/shm"), "something is left in shared memory");
      require(journal.problem().find("no room for the front") != std::string::npos, journal.problem());
      journal.remove_files();
    });
    REQUIRE_OWN_MOUNTS(result);
  }
}

TEST_CASE("A front keeps eight slots, whatever fills shared memory later") {
  const auto result = with_shared_memory("mode=1777,size=4m", [] {
    LiveJournal journal(options_of("/tmp/journal"));
    require(journal.problem().empty(), journal.problem());
    require(!has_front("/tmp/journal"), "the front is on disk");
    std::ofstream fill_up("/dev/shm/fill");
    const std::string piece(1 << 16, 'x');
    while (fill_up << piece << std::flush) {
    }
    // What a lane and the lane for all others can have, without the disk.
    Lane& lane = *journal.acquire_lane();
    std::size_t written = 0;
    const std::string text(1000, 't');
    while (write(journal, lane, text) == Accepted::yes) ++written;
    require(written >= 7 * (kSlotBytes - 2048) / 1100, std::to_string(written) + " events");
    journal.remove_files();
  });
  REQUIRE_OWN_MOUNTS(result);
}

TEST_CASE("A limit of files makes a smaller front, and no signal") {
  const TemporaryFolder folder;
  const auto result = in_child([&] {
    limit(RLIMIT_FSIZE, 4u << 20);
    const Folder opened = Folder::open(folder.path());
    {
      Front front(&opened, 64, TickSource::realtime);
      require(front.slot_count() < 16 && front.slot_count() >= kLeastSlots, "another number of slots");
      require(fill(front) == front.slot_count(), "not all slots can be had");
    }
    fs::remove(folder / Front::kFile);
    for (const rlim_t less : {rlim_t{1} << 20, rlim_t{8192}, rlim_t{0}}) {
      limit(RLIMIT_FSIZE, less);
      CHECK_THROWS_AS(Front(&opened, 64, TickSource::realtime), std::system_error);
      require(!fs::exists(folder / Front::kFile), "a file is left");
      Front memory(nullptr, 64, TickSource::realtime);
      require(memory.slot_count() == 64 && fill(memory) == 64, "memory is no file");
    }
  });
  INFO(result.err);
  CHECK(result.signal == 0);
  CHECK(result.exit_code == 0);
}

TEST_CASE("A limit of the address space makes a smaller front") {
  if (kSanitized) CODEWAKE_SKIP("sanitizers take all of the address space");
  const TemporaryFolder folder;
  const auto result = in_child([&] {
    limit(RLIMIT_AS, address_space() + (20u << 20));
    const Folder opened = Folder::open(folder.path());
    Front front(&opened, 1024, TickSource::realtime);
    require(front.slot_count() >= kLeastSlots && front.slot_count() <= 20,
            std::to_string(front.slot_count()) + " slots");
    require(fill(front) == front.slot_count(), "not all slots can be had");
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

TEST_CASE("Without descriptors there is private memory, which takes none") {
  const auto result = in_child([] {
    limit(RLIMIT_NOFILE, 3);
    Front front(nullptr, 16, TickSource::realtime);
    require(fill(front) == 16, "not all slots can be had");
    front.give_back(15);
    require(*front.slot(15) == 0, "memory is not given back");
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

TEST_CASE("A program that locks its memory gets a front that takes no memory in advance") {
  if (kSanitized) CODEWAKE_SKIP("a sanitizer's own memory would be locked, too");
  if (!why_no_other_user().empty()) CODEWAKE_SKIP(why_no_other_user());
  const auto result = as_other_user([] {
    limit(RLIMIT_MEMLOCK, 8u << 20);
    require(mlockall(MCL_FUTURE) == 0, "mlockall");
    Front front(nullptr, 1024, TickSource::realtime);
    require(front.slot_count() >= kLeastSlots && front.slot_count() < 32, "another number of slots");
    unsigned char is_there = 1;
    require(mincore(front.slot(0), 4096, &is_there) == 0 && (is_there & 1) == 0, "memory is taken");
    require(fill(front) == front.slot_count(), "not all slots can be had");
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}
