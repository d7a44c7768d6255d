// How a queue ends: flush, shutdown, the destructor, and what comes after.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/recovery.hpp"
#include "queue/scripted_queue_store.hpp"

namespace codewake::testing {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Kind = StoreError::Kind;

void log_numbers(Store& store, int from, int count) {
  for (int i = from; i < from + count; ++i) log(store, "n", i);
}

void be_away(const Batch&) {
  throw StoreError(Kind::unavailable, "away");
}

TEST_CASE("A flush of nothing is true at once") {
  QueueFixture fixture;
  const auto store = fixture.make();
  CHECK(store->flush(0ns));
  introduce(*store);
  CHECK(store->flush(kLong));
  CHECK(store->flush(0ns));
}

TEST_CASE("A flush covers what every thread logged before, and says no when its time is over") {
  QueueFixture fixture;
  const auto store = fixture.make();
  introduce(*store);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([&] { log_numbers(*store, 0, 100); });
  for (std::thread& thread : threads) thread.join();
  CHECK(store->flush(kLong));
  CHECK(fixture.values().size() == 400);

  fixture.script->before_write(be_away);
  log(*store, "n", 1);
  const auto start = Clock::now();
  CHECK_FALSE(store->flush(50ms));
  CHECK(Clock::now() - start >= 50ms);
  fixture.script->be_well();
  CHECK(store->flush(kLong));
}

TEST_CASE("What a thread remembers of a queue that is gone is not used for another") {
  const AttributeArgument data("n", "1");
  {
    QueueFixture gone;
    const auto store = gone.make();
    introduce(*store);
    log(*store, "n", 1);
    CHECK(store->flush(kLong));
  }
  QueueFixture fixture;
  const Id id = fixture.storage().insert_process({.app_name = "queue"}, true)->id;
  {
    const auto store = fixture.make();
    store->insert_event({.process_id = id, .data = std::span(&data, 1)}, false);  // no process was introduced
    CHECK(store->flush(kLong));
  }
  const auto store = fixture.make();
  introduce(*store);
  log(*store, "n", 2);
  CHECK(store->flush(kLong));
  CHECK(fixture.values() == std::vector<std::string>{"1", "2"});
}

TEST_CASE("A shutdown stores everything, and leaves no file") {
  QueueFixture fixture;
  const auto store = fixture.make();
  introduce(*store);
  log_numbers(*store, 0, 5000);
  CHECK_FALSE(fixture.journal.runs().empty());
  CHECK(store->shutdown(kLong));
  CHECK(fixture.values() == numbers(0, 5000));
  CHECK(fixture.journal.runs().empty());
  CHECK(fixture.storage().get_positions("").empty());
  CHECK(store->shutdown(kLong));
}

TEST_CASE("The destructor stores everything") {
  QueueFixture fixture;
  {
    const auto store = fixture.make();
    introduce(*store);
    log_numbers(*store, 0, 5000);
  }
  CHECK(fixture.values() == numbers(0, 5000));
  CHECK(fixture.journal.runs().empty());
}

TEST_CASE("What comes after the shutdown is refused and counted") {
  QueueFixture fixture;
  const auto store = fixture.make();
  introduce(*store);
  log(*store, "n", 1);
  CHECK(store->shutdown(kLong));
  CHECK_THROWS_AS(log(*store, "n", 2), StoreError);
  CHECK_THROWS_AS(log(*store, "n", 3, true), StoreError);
  std::thread([&] { CHECK_THROWS_AS(log(*store, "n", 4), StoreError); }).join();
  CHECK_THROWS_AS(introduce(*store), StoreError);
  CHECK(store->stats().lost_closed == 4);
  CHECK(fixture.values() == numbers(1, 1));
}

TEST_CASE("A shutdown while the store is away takes its time and no longer, and what is left is recovered") {
  QueueFixture fixture;
  fixture.script->before_write(be_away);
  {
    const auto store = fixture.make();
    introduce(*store);
    log_numbers(*store, 0, 1000);
    REQUIRE(eventually([&] { return fixture.script->writes > 0; }));
    log_numbers(*store, 1000, 1000);
    const auto start = Clock::now();
    CHECK_FALSE(store->shutdown(200ms));
    CHECK(Clock::now() - start < 20s);
    CHECK(store->stats().queued == 2000);
  }
  CHECK(fixture.values().empty());
  CHECK_FALSE(fixture.journal.runs().empty());
  fixture.script->be_well();
  const auto next = fixture.make();
  introduce(*next);
  constexpr std::size_t kOwnFolders = 2;  // on the disk, and in shared memory
  REQUIRE(eventually([&] { return fixture.journal.runs().size() == kOwnFolders; }));
  CHECK(next->shutdown(kLong));
  CHECK(fixture.values() == numbers(0, 2000));
  CHECK(fixture.journal.runs().empty());
}

TEST_CASE("What is too much at once for the store is recovered in smaller batches, by whoever recovers it") {
  for (const bool by_next_run : {false, true}) {
    QueueFixture fixture;
    fixture.script->before_write(be_away);
    {
      const auto store = fixture.make();
      introduce(*store);
      log_numbers(*store, 0, 500);
      CHECK_FALSE(store->shutdown(10ms));
    }
    fixture.script->before_write([](const Batch& batch) {
      if (batch.events.size() > 100) throw StoreError(Kind::unavailable, "too much");
    });
    if (by_next_run) {
      const auto next = fixture.make();
      introduce(*next);
      REQUIRE(eventually([&] { return fixture.values().size() == 500; }));
      CHECK(next->shutdown(kLong));
    } else {
      ScriptedBackend backend(fixture.name(), fixture.script);
      const auto runs = recover_journals(backend, {.journal_folder = fixture.journal.path()});
      REQUIRE(runs.size() == 1);
      CHECK(runs[0].state == JournalRun::State::recovered);
      CHECK(runs[0].stored_events == 500);
      CHECK(runs[0].problem == "");
    }
    CHECK(fixture.values() == numbers(0, 500));
    CHECK(fixture.journal.runs().empty());
  }
}

TEST_CASE(
    "Who recovers while the store is away tries it with all and with one event, and leaves the journal") {
  QueueFixture fixture;
  fixture.script->before_write(be_away);
  {
    const auto store = fixture.make();
    introduce(*store);
    log_numbers(*store, 0, 500);
    CHECK_FALSE(store->shutdown(0ns));
  }
  fixture.script->writes = 0;
  ScriptedBackend backend(fixture.name(), fixture.script);
  const auto runs = recover_journals(backend, {.journal_folder = fixture.journal.path()});
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].state == JournalRun::State::failed);
  CHECK(fixture.script->writes == 2);
  CHECK(fixture.values().empty());
}

TEST_CASE("A shutdown without any time leaves all that is not stored to be recovered") {
  for (int round = 0; round < 20; ++round) {
    QueueFixture fixture;
    {
      const auto store = fixture.make();
      introduce(*store);
      log_numbers(*store, 0, 300);
      store->shutdown(0ns);
    }
    ScriptedBackend backend(fixture.name());
    recover_journals(backend, {.journal_folder = fixture.journal.path()});
    CHECK(fixture.values() == numbers(0, 300));
    CHECK(fixture.journal.runs().empty());
  }
}

TEST_CASE("A shutdown while the store is stuck returns in time, and the rest is recovered") {
  QueueFixture fixture;
  Gate gate;
  fixture.script->before_write([&](const Batch&) { gate.pass(); });
  {
    const auto store = fixture.make();
    introduce(*store);
    log_numbers(*store, 0, 100);
    REQUIRE(gate.wait_until_reached());
    log_numbers(*store, 100, 100);
    const auto start = Clock::now();
    CHECK_FALSE(store->shutdown(100ms));
    CHECK(Clock::now() - start < 20s);
    CHECK_THROWS_AS(log(*store, "n", 200), StoreError);
    gate.open();  // else the destructor would wait for it
  }
  ScriptedBackend backend(fixture.name());
  recover_journals(backend, {.journal_folder = fixture.journal.path()});
  CHECK(fixture.values() == numbers(0, 200));
  CHECK(fixture.journal.runs().empty());
}

TEST_CASE("Who waits while the queue is shut down is told that the event stays in the journal") {
  QueueFixture fixture;
  Gate gate;
  fixture.script->before_write([&](const Batch&) {
    gate.pass();
    throw StoreError(Kind::unavailable, "away");
  });
  const auto store = fixture.make();
  introduce(*store);
  log(*store, "n", 0);
  REQUIRE(gate.wait_until_reached());
  std::optional<Kind> kind;
  std::thread waits([&] {
    try {
      log(*store, "n", 1, true);
    } catch (const StoreError& error) {
      kind = error.kind();
    }
  });
  REQUIRE(eventually([&] { return store->stats().accepted == 2; }));
  CHECK_FALSE(store->shutdown(10ms));
  gate.open();
  waits.join();
  CHECK(kind == Kind::unavailable);
  fixture.script->be_well();
}

TEST_CASE("Threads that log while the queue is shut down lose nothing that was taken") {
  for (int round = 0; round < 10; ++round) {
    QueueFixture fixture;
    std::atomic<std::size_t> taken{0}, refused{0};
    {
      const auto store = fixture.make();
      introduce(*store);
      std::vector<std::thread> threads;
      for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&] {
          for (int i = 0; refused == 0; ++i) {
            try {
              log(*store, "n", i);
              if (++taken % 64 == 0) std::this_thread::yield();
            } catch (const StoreError&) {
              ++refused;
            }
          }
        });
      }
      REQUIRE(eventually([&] { return taken > 100; }));
      CHECK(store->shutdown(kLong));
      for (std::thread& thread : threads) thread.join();
      CHECK(store->stats().lost_closed == refused);
    }
    CHECK(fixture.values().size() == taken);
    CHECK(fixture.journal.runs().empty());
  }
}

}  // namespace
}  // namespace codewake::testing
