// A journal that has no room, no folder, or no disk.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/recovery.hpp"
#include "queue/scripted_queue_store.hpp"
#include "support/child.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

using namespace std::chrono_literals;
using Kind = StoreError::Kind;

constexpr int kNoMount = 77;

void be_away(const Batch&) {
  throw StoreError(Kind::unavailable, "away");
}

void mount_memory(const std::filesystem::path& where, const std::string& options) {
  std::filesystem::create_directories(where);
  if (mount("tmpfs", where.c_str(), "tmpfs", 0, options.c_str()) != 0) std::_Exit(kNoMount);
}

/// Runs `body` in a child that sees file systems of its own: four megabytes of shared memory, and a disk of
/// `disk` (of tmpfs, so that the front stays in shared memory) for the journal, empty for one with room. What
/// `require` refuses fails the test.
ChildResult in_small_world(const QueueFixture& fixture, const std::string& disk,
                           const std::function<void()>& body) {
  return in_child([&] {
    alarm(240);  // a hang ends by this signal, and is seen
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      std::_Exit(kNoMount);
    mount_memory("/dev/shm", "size=4m");
    mount_memory(fixture.journal.path(), disk.empty() ? "size=1g" : disk);
    body();
  });
}

/// In a child; doctest's own checks say nothing there.
void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

#define REQUIRE_WORLD(result)                                                               \
  if ((result).exit_code == kNoMount) CODEWAKE_SKIP("no file systems may be mounted here"); \
  INFO((result).err);                                                                       \
  CHECK((result).exit_code == 0)

// Until the journal has dropped some; how many were accepted.
int log_until_lost(Store& store, int most) {
  const std::string padding(10'000, 'x');
  for (int i = 0; i < most; ++i) {
    const std::vector<AttributeArgument> data = {{"n", i}, {"padding", padding}};
    store.insert_event({.data = data});
    if (store.stats().lost_full != 0) return i;
  }
  throw std::runtime_error("nothing was lost");
}

TEST_CASE("A full journal drops the newest, counts them, and an event tells of them when the store is back") {
  QueueFixture fixture;
  const ChildResult result = in_small_world(fixture, "", [&] {
    fixture.script->before_write(be_away);
    Config::Queue options = fixture.options();
    options.limit_bytes = 1 << 20;
    const auto store = fixture.make(options);
    introduce(*store);
    const int accepted = log_until_lost(*store, 5000);
    log(*store, "n", "there may be room for a small one");
    const StoreStats full = store->stats();
    require(accepted > 200, fmt::format("only {} were taken", accepted));
    require(full.lost_full >= 1 && full.lost_error == 0, "lost are counted");
    fixture.script->be_well();
    require(store->flush(kLong), "not stored");
    const auto values = fixture.values();
    require(values.size() == full.accepted, "not as many stored as accepted");
    require(std::vector(values.begin(), values.begin() + accepted) == numbers(0, accepted), "not in order");
    const auto reports = fixture.storage().get_events_by_data({{"event", "codewake.loss"}});
    require(!reports.empty(), "no report of the loss");
    std::uint64_t told = 0;
    for (const EventRecord& report : reports) told += std::stoull(report.data.find("lost")->value.value());
    require(told == full.lost_full, fmt::format("{} were lost, told of {}", full.lost_full, told));
    log(*store, "n", "room again");
    require(store->flush(kLong) && fixture.values().back() == "room again", "no room afterwards");
    require(store->shutdown(kLong), "no shutdown");
  });
  REQUIRE_WORLD(result);
}

TEST_CASE("Losses that no event of the run could tell of are told of by whoever recovers it") {
  QueueFixture fixture;
  const ChildResult result = in_small_world(fixture, "", [&] {
    fixture.script->before_write(be_away);
    Config::Queue options = fixture.options();
    options.limit_bytes = 1 << 20;
    int accepted = 0;
    {
      const auto store = fixture.make(options);
      introduce(*store);
      accepted = log_until_lost(*store, 5000);
      store->shutdown(1ms);
    }
    ScriptedBackend backend(fixture.name());
    const auto runs = recover_journals(backend, {.journal_folder = fixture.journal.path()});
    require(runs.size() == 1 && runs[0].state == JournalRun::State::recovered, "not recovered");
    require(fixture.values() == numbers(0, accepted), "not what was accepted");
    const auto reports = fixture.storage().get_events_by_data({{"event", "codewake.loss"}});
    require(reports.size() == 1 && reports[0].data.find("lost")->value == "1", "no report");
  });
  REQUIRE_WORLD(result);
}

TEST_CASE("Where a full journal blocks, writers go on when there is room, and nothing is lost") {
  QueueFixture fixture;
  const ChildResult result = in_small_world(fixture, "", [&] {
    fixture.script->before_write(be_away);
    Config::Queue options = fixture.options();
    options.limit_bytes = 1 << 20;
    options.when_full = WhenFull::block;
    const auto store = fixture.make(options);
    introduce(*store);
    constexpr int kEvents = 1500;
    std::atomic<int> logged{0};
    std::thread writer([&] {
      const std::string padding(10'000, 'x');
      for (int i = 0; i < kEvents; ++i, ++logged) {
        const std::vector<AttributeArgument> data = {{"n", i}, {"padding", padding}};
        store->insert_event({.data = data});
      }
    });
    int before = -1;
    const auto stands_still = [&] {
      std::this_thread::sleep_for(300ms);  // the longest patience is a third of that
      return std::exchange(before, logged.load()) == logged.load();
    };
    require(eventually(stands_still) && logged < kEvents, "it is not blocked");
    fixture.script->be_well();
    writer.join();
    require(store->flush(kLong), "not stored");
    require(fixture.values() == numbers(0, kEvents), "not what was logged");
    require(store->stats().lost_full == 0, "lost");
  });
  REQUIRE_WORLD(result);
}

TEST_CASE("Whoever is blocked, with an event or a process, goes on, refused, when the queue is shut down") {
  QueueFixture fixture;
  const ChildResult result = in_small_world(fixture, "", [&] {
    fixture.script->before_write(be_away);
    Config::Queue options = fixture.options();
    options.limit_bytes = 1 << 20;
    options.when_full = WhenFull::block;
    int logged = 0;
    {
      const auto store = fixture.make(options);
      introduce(*store);
      std::atomic<bool> refused{false};
      std::thread writer([&] {
        const std::string padding(10'000, 'x');
        try {
          for (;; ++logged) {
            const std::vector<AttributeArgument> data = {{"n", logged}, {"padding", padding}};
            store->insert_event({.data = data});
          }
        } catch (const StoreError&) {
          refused = true;
        }
      });
      std::thread introducer([&] {
        try {
          while (true) introduce(*store);
        } catch (const StoreError&) {
        }
      });
      require(eventually([&] { return store->stats().accepted > 200; }), "nothing accepted");
      std::uint64_t before = 0;
      const auto stands_still = [&] {
        std::this_thread::sleep_for(300ms);
        const std::uint64_t accepted = store->stats().accepted;
        return std::exchange(before, accepted) == accepted;
      };
      require(eventually(stands_still), "it is not blocked");
      require(!store->shutdown(100ms), "stored by a store that is away");
      writer.join();
      introducer.join();
      require(refused && store->stats().lost_closed == 1, "not refused");
    }
    ScriptedBackend backend(fixture.name());
    recover_journals(backend, {.journal_folder = fixture.journal.path()});
    require(fixture.values() == numbers(0, logged), "not what was accepted");
  });
  REQUIRE_WORLD(result);
}

TEST_CASE("A full disk leaves the queue its shared memory, and it says so") {
  QueueFixture fixture;
  const ChildResult result = in_small_world(fixture, "size=128k", [&] {
    fixture.script->before_write(be_away);
    const auto store = fixture.make();
    introduce(*store);
    const int accepted = log_until_lost(*store, 5000);
    require(accepted > 200, "shared memory is not used");
    require(eventually([&] { return store->stats().problem.find("disk") != std::string::npos; }),
            "no problem told: " + store->stats().problem);
    fixture.script->be_well();
    require(store->flush(kLong), "not stored");
    require(std::size(fixture.values()) == static_cast<std::size_t>(accepted), "lost");
    require(store->shutdown(kLong), "no shutdown");
  });
  REQUIRE_WORLD(result);
  CHECK(result.err.find("the journal on disk cannot be written") != std::string::npos);
}

TEST_CASE("A journal folder that can only be read leaves the queue its shared memory, and it says so") {
  QueueFixture fixture;
  const ChildResult result = in_small_world(fixture, "ro", [&] {
    const auto store = fixture.make();
    introduce(*store);
    log(*store, "n", 1);
    require(store->flush(kLong), "not stored");
    require(store->stats().problem.find("cannot be used") != std::string::npos, "no problem told");
    require(fixture.values() == numbers(1, 1), "not stored");
    require(store->shutdown(kLong), "no shutdown");
  });
  REQUIRE_WORLD(result);
  CHECK(result.err.find("cannot be used, so that the queue has shared memory alone") != std::string::npos);
}

TEST_CASE(
    "A journal folder that cannot be made leaves the queue its shared memory, and what died is recovered") {
  const JournalFolder journal("file/journal");
  journal.parent().write("file", "in the way");
  QueueFixture fixture;
  fixture.script->before_write(be_away);
  Config::Queue options = fixture.options();
  options.journal = journal.path();
  {
    const auto store = fixture.make(options);
    introduce(*store);
    log(*store, "n", 1);
    CHECK(store->stats().problem.find("cannot be used") != std::string::npos);
    CHECK_FALSE(store->shutdown(1ms));
  }
  fixture.script->be_well();
  const auto next = fixture.make(options);
  introduce(*next);
  log(*next, "n", 2);
  CHECK(eventually([&] { return fixture.values().size() == 2; }));
  CHECK(next->shutdown(kLong));
  CHECK(journal.runs().empty());
}

TEST_CASE("A journal in memory makes no files, and everything else is as usual") {
  QueueFixture fixture;
  Config::Queue options = fixture.options();
  options.journal = "memory";
  const auto store = fixture.make(options);
  introduce(*store);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1000; ++i) log(*store, "n" + std::to_string(t), i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  log(*store, "large", std::string(1 << 20, 'x'));
  CHECK(log(*store, "k", "v", true).has_value());
  CHECK(fixture.journal.runs().empty());
  CHECK_FALSE(std::filesystem::exists(fixture.journal.path()));
  CHECK(store->flush(kLong));
  for (int t = 0; t < 4; ++t) CHECK(fixture.values("n" + std::to_string(t)) == numbers(0, 1000));
  CHECK(fixture.values("large").at(0).size() == 1 << 20);
  CHECK(store->stats().problem == "");
  CHECK(store->shutdown(kLong));
}

TEST_CASE("With durability of the machine who waits is on the disk before the store is asked") {
  QueueFixture fixture;
  Gate gate;
  fixture.script->before_write([&](const Batch& batch) {
    if (!batch.events.empty()) gate.pass();
  });
  Config::Queue options = fixture.options();
  options.durability = Durability::machine;
  options.interval = 1h;  // so that it is not the interval that brings it there
  const auto store = fixture.make(options);
  introduce(*store);
  std::thread waits([&] { CHECK(log(*store, "k", "on the disk by now", true).has_value()); });
  CHECK(gate.wait_until_reached());
  bool found = false;
  for (const auto& file : fixture.journal.files()) {
    found = found || (file.filename().string().starts_with("spill-") &&
                      read_file(file).find("on the disk by now") != std::string::npos);
  }
  CHECK(found);
  gate.open();
  waits.join();
  CHECK(store->shutdown(kLong));
}

TEST_CASE("With durability of the machine events are on the disk after the interval, and stored once") {
  QueueFixture fixture;
  fixture.script->before_write(be_away);
  Config::Queue options = fixture.options();
  options.durability = Durability::machine;
  const auto store = fixture.make(options);
  introduce(*store);
  for (int i = 0; i < 100; ++i) log(*store, "n", i);
  const auto is_on_disk = [&] {
    for (const auto& file : fixture.journal.files()) {
      if (!file.filename().string().starts_with("spill-")) continue;
      if (read_file(file).size() > 100 * 24) return true;
    }
    return false;
  };
  CHECK(eventually(is_on_disk));
  for (int i = 100; i < 200; ++i) log(*store, "n", i);
  fixture.script->be_well();
  CHECK(store->shutdown(kLong));
  CHECK(fixture.values() == numbers(0, 200));
  CHECK(fixture.journal.runs().empty());
}

}  // namespace
}  // namespace codewake::testing
