// For any run: stored, reported as lost, and left in the journal are together what was logged. And no call
// waits for long where it may drop.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sched.h>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/recovery.hpp"
#include "queue/scripted_queue_store.hpp"
#include "support/child.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int kNoMount = 77;

void be_away(const Batch&) {
  throw StoreError(StoreError::Kind::unavailable, "away");
}

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

/// In a child whose shared memory is this large.
ChildResult with_shared_memory(const std::string& size, const std::function<void()>& body) {
  return in_child([&] {
    alarm(240);  // a hang ends by this signal, and is seen
    // The journal folder is in memory, too: on a disk, it would have the front.
    const std::string temporary = std::filesystem::temp_directory_path().string();
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", "/run", "tmpfs", 0, "size=64k") != 0 ||
        mount("tmpfs", temporary.c_str(), "tmpfs", 0, "mode=1777") != 0 ||
        mount("tmpfs", "/dev/shm", "tmpfs", 0, ("size=" + size).c_str()) != 0)
      std::_Exit(kNoMount);
    body();
  });
}

#define REQUIRE_WORLD(result)                                                               \
  if ((result).exit_code == kNoMount) CODEWAKE_SKIP("no file systems may be mounted here"); \
  INFO((result).err);                                                                       \
  CHECK((result).exit_code == 0)

std::uint64_t told(MemoryStore& storage) {
  std::uint64_t sum = 0;
  for (const EventRecord& report : storage.get_events_by_data({{"event", "codewake.loss"}}))
    sum += std::stoull(report.data.find("lost")->value.value());
  return sum;
}

/// The same number of events from each of so many threads.
void log_in_threads(Store& store, int threads, int each, std::chrono::microseconds pause,
                    std::size_t padding_bytes = 300) {
  const std::string padding(padding_bytes, 'x');
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t) {
    all.emplace_back([&] {
      for (int i = 0; i < each; ++i) {
        const std::vector<AttributeArgument> data = {{"n", i}, {"padding", padding}};
        store.insert_event({.data = data});
        if (pause != 0us) std::this_thread::sleep_for(pause);
      }
    });
  }
  for (std::thread& thread : all) thread.join();
}

void require_nothing_lost(const QueueFixture& fixture, Store& store, std::uint64_t logged) {
  require(store.flush(kLong), "not stored: " + store.stats().problem);
  const StoreStats stats = store.stats();
  require(stats.stored == logged && stats.lost_full == 0 && stats.lost_error == 0,
          fmt::format("of {}: {} stored, {} and {} lost; {}", logged, stats.stored, stats.lost_full,
                      stats.lost_error, stats.problem));
  require(store.shutdown(kLong), "no shutdown");
  require(!std::filesystem::exists(fixture.journal.path() / "dead"), "some were refused");
}

}  // namespace

TEST_CASE("Where shared memory is short, threads share it, however many there are") {
  struct World {
    const char* memory;
    int threads, each;
    std::chrono::microseconds pause;
  };
  for (const World& world : {World{"64m", 300, 60, 3ms}, World{"8m", 300, 60, 3ms}, World{"1m", 40, 100, 1ms},
                             World{"64m", 1500, 20, 10ms}}) {
    CAPTURE(world.memory);
    CAPTURE(world.threads);
    QueueFixture fixture;
    const ChildResult result = with_shared_memory(world.memory, [&] {
      const auto store = fixture.make();
      introduce(*store);
      log_in_threads(*store, world.threads, world.each, world.pause);
      require_nothing_lost(
          fixture, *store,
          static_cast<std::uint64_t>(world.threads) * static_cast<std::uint64_t>(world.each));
    });
    REQUIRE_WORLD(result);
  }
}

TEST_CASE("A queue that blocks goes on wherever the disk does, with more threads than there are slots") {
  QueueFixture fixture;
  const ChildResult result = with_shared_memory("8m", [&] {
    Config::Queue options = fixture.options();
    options.when_full = WhenFull::block;
    const auto store = fixture.make(options);
    introduce(*store);
    log_in_threads(*store, 200, 300, 0us);
    require_nothing_lost(fixture, *store, 200 * 300);
  });
  REQUIRE_WORLD(result);
}

TEST_CASE("The slots of quiet threads are there for others") {
  QueueFixture fixture;
  const ChildResult result = with_shared_memory("8m", [&] {
    const auto store = fixture.make();
    introduce(*store);
    std::atomic<bool> done{false};
    std::vector<std::thread> quiet;
    for (int t = 0; t < 40; ++t) {
      quiet.emplace_back([&] {
        log(*store, "n", "once");
        while (!done) std::this_thread::sleep_for(10ms);
      });
    }
    log_in_threads(*store, 4, 4000, 200us);
    done = true;
    for (std::thread& thread : quiet) thread.join();
    require_nothing_lost(fixture, *store, 40 + 16'000);
  });
  REQUIRE_WORLD(result);
}

TEST_CASE("A fork() beside threads that wait for room does not wait for them") {
  QueueFixture fixture;
  const ChildResult result = with_shared_memory("8m", [&] {
    fixture.script->before_write(be_away);
    Config::Queue options = fixture.options();
    options.when_full = WhenFull::block;
    options.limit_bytes = 1 << 20;
    const auto store = fixture.make(options);
    introduce(*store);
    std::vector<std::thread> threads;
    for (int t = 0; t < 60; ++t) {
      threads.emplace_back([&] {
        try {
          log_in_threads(*store, 1, 400, 0us, 2000);
        } catch (const StoreError&) {
          // It was shut down while it waited.
        }
      });
    }
    require(eventually([&] {
              const auto before = store->stats().accepted;
              std::this_thread::sleep_for(200ms);
              return store->stats().accepted == before;
            }),
            "never full");
    const auto begin = Clock::now();
    const pid_t child = fork();
    if (child == 0) std::_Exit(0);
    require(wait_for(child) == 0, "the child");
    require(Clock::now() - begin < 5s, "fork() waited");
    fixture.script->be_well();
    for (std::thread& thread : threads) thread.join();
    require_nothing_lost(fixture, *store, 60 * 400);
  });
  REQUIRE_WORLD(result);
}

TEST_CASE("Who may drop waits for a short while, and not once for each thread or each slot that is freed") {
  if (kSanitized) CODEWAKE_SKIP("a sanitizer takes its time");
  QueueFixture fixture;
  const ChildResult result = with_shared_memory("8m", [&] {
    // A slow store frees a slot now and then; the disk has no room.
    fixture.script->before_write([](const Batch&) { std::this_thread::sleep_for(30ms); });
    Config::Queue options = fixture.options();
    options.limit_bytes = 1 << 20;
    options.batch = 100;
    const auto store = fixture.make(options);
    introduce(*store);
    std::atomic<std::int64_t> longest_ns{0};
    std::vector<std::thread> threads;
    const auto end = Clock::now() + 3s;
    for (int t = 0; t < 60; ++t) {
      threads.emplace_back([&] {
        const std::string padding(2000, 'x');
        const std::vector<AttributeArgument> data = {{"padding", padding}};
        while (Clock::now() < end) {
          const auto begin = Clock::now();
          store->insert_event({.data = data});
          const std::int64_t took = (Clock::now() - begin).count();
          for (auto most = longest_ns.load(); took > most && !longest_ns.compare_exchange_weak(most, took);) {
          }
          std::this_thread::sleep_for(1ms);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    require(store->stats().lost_full > 0, "nothing was dropped");
    // In the order of what a busy machine adds by itself, and not of 100 ms for each thread or slot.
    require(longest_ns < std::chrono::nanoseconds(3s).count(),
            fmt::format("a call took {} ms", longest_ns.load() / 1'000'000));
    fixture.script->be_well();
    require(store->shutdown(kLong), "no shutdown");
    require(told(fixture.storage()) == store->stats().lost_full, "not all are told");
  });
  REQUIRE_WORLD(result);
}

TEST_CASE("What is lost behind the last event is told at the end") {
  QueueFixture fixture;
  const ChildResult result = with_shared_memory("8m", [&] {
    Config::Queue options = fixture.options();
    options.limit_bytes = 1 << 20;
    Gate gate;
    const auto store = fixture.make(options);
    introduce(*store);
    log(*store, "n", "first");
    require(store->flush(kLong), "not stored");
    // The last batch is under way while events are dropped.
    fixture.script->before_write([&](const Batch&) { gate.pass(); });
    log(*store, "n", "last");
    require(gate.wait_until_reached(), "no batch");
    const std::string large(3 << 20, 'x');  // more than the journal may take
    for (int i = 0; i < 5; ++i) {
      try {
        log(*store, "large", large);
      } catch (const StoreError&) {
        // It says so.
      }
    }
    fixture.script->be_well();
    gate.open();
    require(store->shutdown(kLong), "no shutdown");
    const StoreStats stats = store->stats();
    require(stats.lost_full + stats.lost_error == 5, "five were lost");
    require(told(fixture.storage()) == 5, fmt::format("told of {}", told(fixture.storage())));
  });
  REQUIRE_WORLD(result);
}

TEST_CASE("An event of losses whose answer was lost is there once") {
  QueueFixture fixture;
  const ChildResult result = in_child([&] {
    Config::Queue options = fixture.options();
    options.limit_bytes = 1 << 20;
    const auto store = fixture.make(options);
    introduce(*store);
    require(store->flush(kLong), "not stored");
    try {
      log(*store, "large", std::string(3 << 20, 'x'));
    } catch (const StoreError&) {
      // It says so.
    }
    int failures = 3;
    fixture.script->after_write([&](const Batch&) {
      if (failures-- > 0) throw StoreError(StoreError::Kind::in_doubt, "the answer was lost");
    });
    log(*store, "n", "a");
    require(store->shutdown(kLong), "no shutdown");
    require(fixture.values() == std::vector<std::string>{"a"} && told(fixture.storage()) == 1, "not once");
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

TEST_CASE("An event that comes too late is counted, and said once") {
  QueueFixture fixture;
  const ChildResult result = in_child([&] {
    const auto store = fixture.make();
    introduce(*store);
    log(*store, "n", "a");
    require(store->shutdown(kLong), "no shutdown");
    for (int i = 0; i < 3; ++i) {
      try {
        log(*store, "n", "late");
      } catch (const StoreError&) {
        // As every store that was shut down.
      }
    }
    require(store->stats().lost_closed == 3, "not counted");
  });
  CHECK(result.exit_code == 0);
  const std::size_t said = result.err.find("came after the store was shut down");
  CHECK(said != std::string::npos);
  CHECK(result.err.find("came after", said + 1) == std::string::npos);
}

TEST_CASE("A store that is away is said to be once, and once that it is back") {
  QueueFixture fixture;
  const ChildResult result = in_child([&] {
    const auto store = fixture.make();
    introduce(*store);
    for (const char* n : {"a", "b"}) {
      int failures = 4;
      fixture.script->before_write([&](const Batch& batch) {
        if (failures-- > 0) be_away(batch);
      });
      log(*store, "n", n);
      require(eventually([&] { return fixture.values().size() == (n[0] == 'a' ? 1u : 2u); }), "not stored");
      require(store->flush(kLong), "not stored");
    }
    require(store->shutdown(kLong), "no shutdown");
  });
  CHECK(result.exit_code == 0);
  std::vector<std::string> lines;
  for (std::size_t at = 0, end = 0; (end = result.err.find('\n', at)) != std::string::npos; at = end + 1)
    lines.push_back(result.err.substr(at, end - at));
  CHECK(lines.size() == 4);
  for (std::size_t i = 0; i < lines.size(); ++i)
    CHECK(lines[i].find(i % 2 == 0 ? "away" : "back") != std::string::npos);
}

TEST_CASE("A folder of the journal that is deleted under a running program is said to be, and made anew") {
  QueueFixture fixture;
  const ChildResult result = in_child([&] {
    fixture.script->before_write(be_away);
    const auto store = fixture.make();
    introduce(*store);
    const std::string padding(1000, 'x');
    const auto log_some = [&](int from) {
      for (int i = from; i < from + 2000; ++i) {
        const std::vector<AttributeArgument> data = {{"n", i}, {"padding", padding}};
        store->insert_event({.data = data});
      }
    };
    log_some(0);
    std::this_thread::sleep_for(2500ms);  // what is old goes to the disk
    std::filesystem::remove_all(fixture.journal.path());
    log_some(2000);
    require(eventually([&] { return store->stats().problem.find("deleted") != std::string::npos; }),
            "no problem");
    std::this_thread::sleep_for(1500ms);
    log_some(4000);
    fixture.script->be_well();
    require(store->flush(kLong), "not stored");
    const StoreStats stats = store->stats();
    require(stats.stored + stats.lost_error == 6000 && stats.queued == 0,
            fmt::format("{} stored, {} lost", stats.stored, stats.lost_error));
    log(*store, "n", "last");
    require(store->shutdown(kLong), "no shutdown");
    require(told(fixture.storage()) == stats.lost_error, "not told");
    require(fixture.values().size() == stats.stored + 1, "not those that are stored");
    require(std::filesystem::is_empty(fixture.journal.path()), "something stays");
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

TEST_CASE("A relative journal folder is that of the folder in which the queue was made") {
  QueueFixture fixture;
  const ChildResult result = in_child([&] {
    std::filesystem::create_directories(fixture.journal.path());
    require(chdir(fixture.journal.path().c_str()) == 0, "chdir");
    Config::Queue options = fixture.options();
    options.journal = "relative";
    const auto store = fixture.make(options);
    require(chdir("/") == 0, "chdir");
    introduce(*store);
    log(*store, "n", "a");
    require(std::filesystem::exists(fixture.journal.path() / "relative"), "not there");
    require(store->shutdown(kLong), "no shutdown");
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

TEST_CASE("A backlog costs two descriptors, however large it is") {
  QueueFixture fixture;
  const ChildResult result = in_child([&] {
    const auto descriptors = [] {
      return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                           std::filesystem::directory_iterator());
    };
    fixture.script->before_write(be_away);
    const auto store = fixture.make();
    introduce(*store);
    log(*store, "n", "first");
    const auto before = descriptors();
    log_in_threads(*store, 2, 3000, 100us, 20'000);  // seven files
    std::this_thread::sleep_for(2500ms);
    require(descriptors() <= before + 3, fmt::format("{} descriptors", descriptors() - before));
    fixture.script->be_well();
    require_nothing_lost(fixture, *store, 6001);
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

}  // namespace codewake::testing
