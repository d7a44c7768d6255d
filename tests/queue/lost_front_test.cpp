// What is left of a run whose shared memory is gone, with its container or with the machine's memory.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/recovery.hpp"
#include "queue/scripted_queue_store.hpp"
#include "support/child.hpp"
#include "support/other_user.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;

const std::string kStorage = "storage of a lost front";

/// Logs into a store that takes the first `stored` events and is away then, and is killed once `may_die`
/// holds.
void log_and_die(const fs::path& journal, int stored, int count, const std::function<bool()>& may_die) {
  const auto script = std::make_shared<Script>();
  Config::Queue options;
  options.journal = journal;
  options.interval = std::chrono::milliseconds(1);
  ScriptedQueueStore store(options, kStorage, script);
  introduce(store);
  for (int i = 0; i < stored; ++i) log(store, "n", i);
  if (!store.flush(kLong)) std::_Exit(1);
  script->before_write([](const Batch&) { throw StoreError(StoreError::Kind::unavailable, "away"); });
  for (int i = stored; i < count; ++i) log(store, "n", i);
  if (!eventually(may_die)) std::_Exit(2);
  kill(getpid(), SIGKILL);
}

/// Whether the run in this folder has noted so many events on disk.
std::function<bool()> notes(const fs::path& journal, std::uint64_t accepted, std::uint64_t settled) {
  return [=] {
    for (const auto& run : fs::directory_iterator(journal)) {
      std::ifstream file(run.path() / "account", std::ios::binary);
      std::uint64_t words[4] = {};  // magic, version and checksum, accepted, settled
      file.read(reinterpret_cast<char*>(words), sizeof words);
      if (file && words[2] == accepted && words[3] == settled) return true;
    }
    return false;
  };
}

std::vector<JournalRun> recover(const fs::path& journal) {
  ScriptedBackend backend(kStorage);
  return recover_journals(backend, {.journal_folder = journal});
}

/// In /var/tmp, which is a disk more often than /tmp is.
class DiskFolder {
 public:
  DiskFolder() {
    std::string pattern = "/var/tmp/codewake-test-XXXXXX";
    if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  DiskFolder(const DiskFolder&) = delete;
  DiskFolder& operator=(const DiskFolder&) = delete;
  ~DiskFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const fs::path& path() const noexcept { return path_; }

 private:
  fs::path path_;
};

constexpr const char* kOnDisk = "shared memory goes with a container here, and the front is on disk";

/// Whether runs of this process have their fronts in shared memory.
bool front_is_in_memory() {
  const QueueFixture fixture;
  const auto store = fixture.make();
  introduce(*store);
  return fs::exists(fixture.journal.front_root());
}

TEST_CASE("A recoverer tells how many events a front held that is gone, once") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  if (!front_is_in_memory()) CODEWAKE_SKIP(kOnDisk);
  const QueueFixture fixture;
  MemoryStore storage({kStorage});
  const fs::path journal = fixture.journal.path();
  const int killed = wait_for(start_child([&] { log_and_die(journal, 100, 150, notes(journal, 150, 100)); }));
  REQUIRE(killed == -SIGKILL);
  fs::remove_all(fixture.journal.front_root());
  const auto found = recover(journal);
  REQUIRE(found.size() == 1);
  INFO(found[0].problem);
  CHECK(found[0].state == JournalRun::State::incomplete);
  CHECK(found[0].lost_events + found[0].stored_events - 1 == 50);  // one tells of it
  CHECK(found[0].lost_events != 0);
  CHECK(found[0].problem.find("its part in memory is gone") != std::string::npos);
  const auto told = storage.get_events_by_data({{"event", "codewake.loss"}});
  REQUIRE(told.size() == 1);
  const Attribute* const lost = told[0].data.find("lost_with_memory");
  REQUIRE(lost != nullptr);
  CHECK(lost->value == std::to_string(found[0].lost_events));
  CHECK(recover(journal).empty());
}

TEST_CASE("A front that is gone with nothing in it is no loss") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  if (!front_is_in_memory()) CODEWAKE_SKIP(kOnDisk);
  const QueueFixture fixture;
  const fs::path journal = fixture.journal.path();
  const int killed = wait_for(start_child([&] { log_and_die(journal, 100, 100, notes(journal, 100, 100)); }));
  REQUIRE(killed == -SIGKILL);
  fs::remove_all(fixture.journal.front_root());
  const auto found = recover(journal);
  REQUIRE(found.size() == 1);
  INFO(found[0].problem);
  CHECK(found[0].state == JournalRun::State::recovered);
  CHECK(found[0].lost_events == 0);
}

TEST_CASE("Where shared memory goes with a container, what was accepted outlives it on disk") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const DiskFolder disk;
  if (disk.path().empty()) CODEWAKE_SKIP("/var/tmp cannot be written to");
  const fs::path journal = disk.path() / "journal";
  const auto result = in_own_mounts([&] { log_and_die(journal, 100, 150, [] { return true; }); });
  if (result.exit_code == kNoMounts) CODEWAKE_SKIP("no file systems may be mounted: " + result.err);
  REQUIRE(result.signal == SIGKILL);
  bool is_front_on_disk = false;
  for (const auto& run : fs::directory_iterator(journal))
    is_front_on_disk = is_front_on_disk || fs::exists(run.path() / "front");
  if (!is_front_on_disk) CODEWAKE_SKIP("/var/tmp is no disk that a front can be on");
  const auto found = recover(journal);
  REQUIRE(found.size() == 1);
  CHECK(found[0].state == JournalRun::State::recovered);
  CHECK(found[0].stored_events >= 50);  // all, where the front does not say what was stored
}

}  // namespace
}  // namespace codewake::testing
