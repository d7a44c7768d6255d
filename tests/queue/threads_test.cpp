// Threads that come and go, log at the very end of their lives, and log all at once.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "adapters/sqlite/support.hpp"
#include "codewake/process.hpp"
#include "codewake/sqlite_store.hpp"
#include "queue/scripted_queue_store.hpp"
#include "support/child.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

/// Logs when it is destroyed.
struct Farewell {
  Store* store = nullptr;
  int number = 0;
  ~Farewell() {
    if (store != nullptr) log(*store, "n", number);
  }
};

void log_at_thread_end(Store& store, int number) {
  thread_local Farewell farewell;
  farewell.store = &store;
  farewell.number = number;
}

std::vector<std::string> sorted(std::vector<std::string> values) {
  std::sort(values.begin(), values.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  return values;
}

TEST_CASE("A thousand short threads, one after the other, leave a few lanes and files") {
  QueueFixture fixture;
  const auto store = fixture.make();
  introduce(*store);
  for (int t = 0; t < 1000; ++t) {
    std::thread([&] {
      log(*store, "n", 2 * t);
      log(*store, "n", 2 * t + 1);
    }).join();
  }
  CHECK(fixture.journal.files().size() < 12);
  REQUIRE(store->flush(kLong));
  CHECK(fixture.values() == numbers(0, 2000));
  CHECK(fixture.storage().get_positions("").size() < 5);
}

TEST_CASE("Short threads that come in crowds share the lanes of a crowd") {
  QueueFixture fixture;
  const auto store = fixture.make();
  introduce(*store);
  for (int crowd = 0; crowd < 50; ++crowd) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 20; ++t) threads.emplace_back([&, t] { log(*store, "n", crowd * 20 + t); });
    for (std::thread& thread : threads) thread.join();
  }
  REQUIRE(store->flush(kLong));
  CHECK(sorted(fixture.values()) == numbers(0, 1000));
  CHECK(fixture.storage().get_positions("").size() <= 20 + 2);
}

TEST_CASE("Destructors of thread_local objects may log, whether or not the thread logged before") {
  QueueFixture fixture;
  const auto store = fixture.make();
  introduce(*store);
  for (int t = 0; t < 100; ++t) {
    std::thread([&] {
      if (t % 4 == 1) log(*store, "other", t);
      log_at_thread_end(*store, t);
      if (t % 4 == 2) log(*store, "other", t);
    }).join();
  }
  REQUIRE(store->flush(kLong));
  CHECK(fixture.values() == numbers(0, 100));
  CHECK(fixture.values("other").size() == 50);
  CHECK(fixture.storage().get_positions("").size() < 5);
}

TEST_CASE("Destructors of pthread keys may log, in whatever order they run") {
  QueueFixture fixture;
  const auto store = fixture.make();
  introduce(*store);
  const auto say = [](void* pointer) {
    const std::unique_ptr<Farewell> farewell(static_cast<Farewell*>(pointer));
  };
  pthread_key_t before{}, after{};
  REQUIRE(pthread_key_create(&before, say) == 0);
  std::thread([&] { log(*store, "other", 0); }).join();  // the queue has its own key now
  REQUIRE(pthread_key_create(&after, say) == 0);
  for (int t = 0; t < 100; ++t) {
    std::thread([&] {
      if (t % 3 == 0) log(*store, "other", t);
      pthread_setspecific(before, new Farewell{store.get(), 2 * t});
      pthread_setspecific(after, new Farewell{store.get(), 2 * t + 1});
    }).join();
  }
  pthread_key_delete(before);
  pthread_key_delete(after);
  REQUIRE(store->flush(kLong));
  CHECK(sorted(fixture.values()) == numbers(0, 200));
  CHECK(fixture.storage().get_positions("").size() < 6);
}

struct LogsAtExit {
  std::string name;
  ~LogsAtExit() { Process::instance().log({{"static", name}}); }
};

TEST_CASE(
    "Destructors of static objects may log: those that run after the shutdown are counted, not crashed") {
  const TemporaryFolder folder;
  const JournalFolder journal;
  const auto file = folder / "events.sqlite";
  const ChildResult child = in_child([&] {
    static const LogsAtExit early{"made before the process"};
    Config::Queue options;
    options.journal = journal.path();
    Process::instance({.store = std::make_shared<SqliteQueueStore>(options, dsn_of(file))});
    static const LogsAtExit late{"made after the process"};
    std::thread([] { Process::instance().log({{"thread", 1}}); }).join();
  });
  CHECK(child.exit_code == 0);
  CHECK(child.err.find("came after the process was shut down") != std::string::npos);
  CHECK(std::count(child.err.begin(), child.err.end(), '\n') == 1);
  SqliteStore store(dsn_of(file));
  const auto events = store.get_events_by_data({});
  REQUIRE(events.size() == 2);
  CHECK(events[0].data == Attributes{{"thread", "1"}});
  CHECK(events[1].data == Attributes{{"static", "made after the process"}});
  CHECK(journal.runs().empty());
}

TEST_CASE("Many queues in one program, and in one thread, keep their events apart") {
  constexpr int kQueues = 3, kThreads = 4, kEvents = 500;
  std::vector<std::unique_ptr<QueueFixture>> fixtures;
  std::vector<std::shared_ptr<ScriptedQueueStore>> stores;
  for (std::size_t q = 0; q < kQueues; ++q) {
    stores.push_back(fixtures.emplace_back(std::make_unique<QueueFixture>())->make());
    introduce(*stores.back());
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEvents; ++i) {
        for (std::size_t q = 0; q < kQueues; ++q) log(*stores[q], fmt::format("q{}t{}", q, t), i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(stores[1]->shutdown(kLong));  // the others go on
  for (const std::size_t q : {0u, 2u}) log(*stores[q], "last", q);
  for (const std::size_t q : {0u, 2u}) CHECK(stores[q]->flush(kLong));
  for (std::size_t q = 0; q < kQueues; ++q) {
    const std::size_t all = kThreads * kEvents + (q == 1 ? 0u : 1u);
    CHECK(fixtures[q]->storage().get_events_by_data({}).size() == all);
    for (int t = 0; t < kThreads; ++t)
      CHECK(fixtures[q]->values(fmt::format("q{}t{}", q, t)) == numbers(0, kEvents));
  }
}

TEST_CASE("Queues made and destroyed one after the other in one thread have nothing of each other") {
  for (int round = 0; round < 30; ++round) {
    QueueFixture fixture;
    {
      const auto store = fixture.make();
      introduce(*store);
      for (int i = 0; i < 10; ++i) log(*store, "n", i);
    }
    CHECK(fixture.values() == numbers(0, 10));
  }
}

TEST_CASE("What one thread logs after another is stored after it") {
  constexpr int kTurns = 600, kThreads = 3;
  QueueFixture fixture;
  const auto store = fixture.make();
  introduce(*store);
  std::atomic<int> turn{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < kTurns; i += kThreads) {
        while (turn.load(std::memory_order_acquire) != i) std::this_thread::yield();
        log(*store, "n", i);
        turn.store(i + 1, std::memory_order_release);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(store->flush(kLong));
  CHECK(fixture.values() == numbers(0, kTurns));
}

TEST_CASE("A hundred thousand events of eight threads are each in the database, once and in order") {
  constexpr int kThreads = 8, kEvents = 12'500;
  const TemporaryFolder folder;
  const JournalFolder journal;
  const auto file = folder / "events.sqlite";
  Config::Queue options;
  options.journal = journal.path();
  options.when_full = WhenFull::block;
  SqliteQueueStore store(options, dsn_of(file));
  introduce(store);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEvents; ++i) log(store, "at", fmt::format("{}/{}", t, i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(store.flush(kLong));
  CHECK(store.stats().stored == kThreads * kEvents);
  std::vector<int> next(kThreads, 0);
  int wrong = 0;
  for (const auto& row : Database(file).rows("SELECT val FROM events_data ORDER BY event_id")) {
    int t = 0, i = 0;
    REQUIRE(std::sscanf(row[0].c_str(), "%d/%d", &t, &i) == 2);
    wrong += next[static_cast<std::size_t>(t)]++ != i;
  }
  CHECK(wrong == 0);
  for (const int count : next) CHECK(count == kEvents);
  CHECK(store.shutdown(kLong));
  CHECK(journal.runs().empty());
}

}  // namespace
}  // namespace codewake::testing
