// What a queue makes of each answer that a store can give.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/plugin.hpp"
#include "queue/scripted_queue_store.hpp"

namespace codewake::testing {
namespace {

using namespace std::chrono_literals;
using Kind = StoreError::Kind;
using Values = std::vector<std::string>;

void log_numbers(Store& store, int from, int count) {
  for (int i = from; i < from + count; ++i) log(store, "n", i);
}

bool has_key(const Batch& batch, std::string_view key) {
  return std::any_of(batch.events.begin(), batch.events.end(), [&](const BatchEvent& event) {
    return std::any_of(event.data.begin(), event.data.end(),
                       [&](const AttributeView& a) { return a.key == key; });
  });
}

/// The kind of the StoreError that a sync event throws.
std::optional<Kind> kind_thrown(Store& store, std::string_view key) {
  try {
    log(store, key, 1, true);
  } catch (const StoreError& error) {
    return error.kind();
  }
  return std::nullopt;
}

TEST_CASE("A store of one's own behind a queue works directly and as a plugin") {
  const JournalFolder journal;
  setenv("CODE_WAKE_QUEUE_JOURNAL", journal.path().c_str(), 1);
  const auto store = load_store(CODEWAKE_MY_QUEUE_STORE_PLUGIN, "MyQueueStore", {});
  unsetenv("CODE_WAKE_QUEUE_JOURNAL");
  CHECK(store->queues());
  introduce(*store);
  log(*store, "k", "v");
  CHECK(store->flush(kLong));
  CHECK(store->get_events_by_data({{"k", "v"}}).size() == 1);
  CHECK(store->shutdown(kLong));
}

TEST_CASE("An event is stored with its process, and the process's id is known then") {
  QueueFixture fixture;
  const auto store = fixture.make();
  CHECK_FALSE(store->last_process_id().has_value());
  introduce(*store);
  log(*store, "n", 1);
  REQUIRE(store->flush(kLong));
  CHECK(fixture.values() == Values{"1"});
  REQUIRE(eventually([&] { return store->last_process_id().has_value(); }));
  CHECK(store->get_process_by_id(*store->last_process_id())->app.name == "queue");
  const StoreStats stats = store->stats();
  CHECK(stats.accepted == 1);
  CHECK(stats.stored == 1);
  CHECK(stats.queued == 0);
  CHECK(stats.problem == "");
}

TEST_CASE("Threads that each record a process and wait get each their own") {
  QueueFixture fixture;
  const auto store = fixture.make();
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        const auto record = store->insert_process({.app_name = "queue", .pid = t * 10 + i}, true);
        CHECK((record && record->pid == t * 10 + i));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(fixture.storage().get_processes({}).size() == 80);
}

TEST_CASE("Who waits for a process that the store refuses is told so, and no event is counted") {
  QueueFixture fixture;
  fixture.script->before_write([](const Batch&) { throw StoreError(Kind::rejected, "not this one"); });
  const auto store = fixture.make();
  CHECK_THROWS_AS(store->insert_process({.app_name = "queue"}, true), StoreError);
  CHECK(store->stats().rejected == 0);
  fixture.script->be_well();
  CHECK(store->insert_process({.app_name = "queue"}, true)->app.name == "queue");
}

TEST_CASE("A store that is away and comes back has each event once and in order") {
  QueueFixture fixture;
  fixture.script->before_write([](const Batch&) { throw StoreError(Kind::unavailable, "away"); });
  const auto store = fixture.make();
  introduce(*store);
  log_numbers(*store, 0, 500);
  REQUIRE(eventually([&] { return fixture.script->writes > 2; }));
  CHECK(store->stats().problem.find("away") != std::string::npos);
  CHECK(store->stats().queued == 500);
  CHECK_FALSE(store->flush(20ms));
  log_numbers(*store, 500, 500);
  fixture.script->be_well();
  CHECK(store->flush(kLong));
  CHECK(fixture.values() == numbers(0, 1000));
  CHECK(store->stats().problem == "");
  CHECK(store->stats().stored == 1000);
}

TEST_CASE("A store that is stuck in a write keeps nobody who logs from logging") {
  QueueFixture fixture;
  Gate gate;
  fixture.script->before_write([&](const Batch&) { gate.pass(); });
  const auto store = fixture.make();
  introduce(*store);
  log_numbers(*store, 0, 1);
  REQUIRE(gate.wait_until_reached());
  log_numbers(*store, 1, 2000);
  CHECK_FALSE(store->flush(20ms));
  CHECK(store->stats().queued == 2001);
  gate.open();
  CHECK(store->flush(kLong));
  CHECK(fixture.values() == numbers(0, 2001));
}

TEST_CASE("A store that fails at random calls in every way gets each event once and in order") {
  QueueFixture fixture;
  std::minstd_rand random(std::random_device{}());  // only the committer uses it
  const auto fail_sometimes = [&](const Batch&) {
    switch (random() % 12) {
      case 0:
        throw StoreError(Kind::unavailable, "away");
      case 1:
        throw StoreError(Kind::in_doubt, "no answer");
      case 2:
        throw std::runtime_error("no word of the contract");
      case 3:
        throw 42;
      default:
        break;
    }
  };
  fixture.script->before_write(fail_sometimes);
  fixture.script->after_write([&](const Batch&) {
    switch (random() % 8) {
      case 0:
        throw StoreError(Kind::in_doubt, "no answer");
      case 1:
        throw std::runtime_error("no word of the contract");
      default:
        break;
    }
  });
  Config::Queue options = fixture.options();
  options.batch = 100;
  const auto store = fixture.make(options);
  introduce(*store);
  for (int part = 0; part < 20; ++part) {
    log_numbers(*store, part * 100, 100);
    REQUIRE(store->flush(kLong));
  }
  CHECK(fixture.values() == numbers(0, 2000));
  CHECK(fixture.storage().get_processes({}).size() == 1);
  CHECK(store->stats().stored == 2000);
}

/// What a store does that so many events at once are too much for.
auto take_at_most(std::size_t most, Kind kind) {
  return [most, kind](const Batch& batch) {
    if (batch.events.size() > most) throw StoreError(kind, "too much");
  };
}

/// A queue that has 200 events in one batch, in front of a store that is away, and their store.
std::shared_ptr<ScriptedQueueStore> fill_queue(QueueFixture& fixture) {
  fixture.script->before_write([](const Batch&) { throw StoreError(Kind::unavailable, "away"); });
  const auto store = fixture.make();
  introduce(*store);
  log(*store, "first", 1);
  REQUIRE(eventually([&] { return fixture.script->writes > 0; }));
  log_numbers(*store, 0, 200);
  return store;
}

TEST_CASE("A batch that is too much for the store is stored in smaller ones, once and in order") {
  for (const Kind kind : {Kind::unavailable, Kind::in_doubt}) {
    QueueFixture fixture;
    const auto store = fill_queue(fixture);
    fixture.script->before_write(take_at_most(60, kind));
    REQUIRE(store->flush(kLong));
    CHECK(fixture.values() == numbers(0, 200));
    CHECK(store->stats().stored == 201);
    const auto sizes = fixture.script->batch_sizes();
    CHECK(std::count(sizes.begin(), sizes.end(), 200u) <= 3);
    CHECK(sizes.size() < 20);
    fixture.script->be_well();
    for (int i = 200; i < 1000; i += 200) {
      log_numbers(*store, i, 200);
      REQUIRE(store->flush(kLong));
    }
    CHECK(fixture.values() == numbers(0, 1000));
  }
}

TEST_CASE("A batch that is stored without an answer is not stored again in smaller ones") {
  QueueFixture fixture;
  const auto store = fill_queue(fixture);
  std::atomic<bool> asked{false};
  fixture.script->before_write([&](const Batch& batch) {  // fails three times, and is stored at the fourth
    if (batch.events.size() > 100 && !asked) throw StoreError(Kind::unavailable, "too much");
  });
  fixture.script->after_write([&](const Batch& batch) {
    asked = batch.events.size() > 20;
    if (asked) throw StoreError(Kind::in_doubt, "no answer");
  });
  REQUIRE(store->flush(kLong));
  CHECK(fixture.values() == numbers(0, 200));
  CHECK(fixture.storage().get_processes({}).size() == 1);
}

TEST_CASE(
    "A store that takes now more and now less, with and without an answer, gets each event once and in "
    "order") {
  QueueFixture fixture;
  std::minstd_rand random(std::random_device{}());  // only the committer uses it
  const auto too_much = [&](const Batch& batch) { return batch.events.size() > 1 + random() % 150; };
  fixture.script->before_write([&](const Batch& batch) {
    if (too_much(batch)) throw StoreError(random() % 2 == 0 ? Kind::unavailable : Kind::in_doubt, "too much");
  });
  fixture.script->after_write([&](const Batch& batch) {
    if (too_much(batch)) throw StoreError(Kind::in_doubt, "no answer");
  });
  Config::Queue options = fixture.options();
  options.batch = 100;
  const auto store = fixture.make(options);
  introduce(*store);
  for (int part = 0; part < 10; ++part) {
    log_numbers(*store, part * 100, 100);
    REQUIRE(store->flush(kLong));
  }
  CHECK(fixture.values() == numbers(0, 1000));
  CHECK(fixture.storage().get_processes({}).size() == 1);
  CHECK(store->stats().stored == 1000);
}

TEST_CASE("A batch that is too much, with an event that is refused, is stored but for that one") {
  QueueFixture fixture;
  const auto store = fill_queue(fixture);
  log(*store, "bad", 1);
  fixture.script->before_write([&](const Batch& batch) {
    if (has_key(batch, "bad")) throw StoreError(Kind::rejected, "never");
    take_at_most(60, Kind::unavailable)(batch);
  });
  REQUIRE(store->flush(kLong));
  CHECK(fixture.values() == numbers(0, 200));
  CHECK(store->stats().rejected == 1);
}

TEST_CASE("A batch in doubt that was stored is not stored again") {
  QueueFixture fixture;
  std::atomic<int> failures{3};
  fixture.script->after_write([&](const Batch&) {
    if (--failures >= 0) throw StoreError(Kind::in_doubt, "no answer");
  });
  const auto store = fixture.make();
  introduce(*store);
  log_numbers(*store, 0, 50);
  REQUIRE(store->flush(kLong));
  log_numbers(*store, 50, 50);
  REQUIRE(store->flush(kLong));
  CHECK(fixture.values() == numbers(0, 100));
  CHECK(fixture.storage().get_processes({}).size() == 1);
}

TEST_CASE("A batch in doubt that was not stored is stored then") {
  QueueFixture fixture;
  std::atomic<int> failures{3};
  fixture.script->before_write([&](const Batch&) {
    if (--failures >= 0) throw StoreError(Kind::in_doubt, "no answer");
  });
  const auto store = fixture.make();
  introduce(*store);
  log_numbers(*store, 0, 50);
  REQUIRE(store->flush(kLong));
  CHECK(fixture.values() == numbers(0, 50));
  CHECK(fixture.storage().get_processes({}).size() == 1);
}

TEST_CASE("Whatever a store throws that is no StoreError, its batch is stored once") {
  QueueFixture fixture;
  std::atomic<int> fate{0};
  const auto meets = [&](int wanted) { return fate.compare_exchange_strong(wanted, 0); };
  fixture.script->before_write([&](const Batch&) {
    if (meets(1)) throw std::logic_error("before");
    if (meets(2)) throw "before";
  });
  fixture.script->after_write([&](const Batch&) {
    if (meets(3)) throw std::bad_alloc();
    if (meets(4)) throw 42;
  });
  const auto store = fixture.make();
  introduce(*store);
  for (int i = 0; i < 6; ++i) {
    fate = i;
    log(*store, "n", i);
    REQUIRE(store->flush(kLong));
    CHECK((fate == 0 || i == 5));
  }
  CHECK(fixture.values() == numbers(0, 6));
}

TEST_CASE("Events that a store refuses are set aside with the reason, and hold up none of the others") {
  QueueFixture fixture;
  fixture.script->before_write([](const Batch& batch) {
    if (has_key(batch, "bad")) throw StoreError(Kind::rejected, "no such key here");
  });
  const auto store = fixture.make();
  introduce(*store);
  for (int i = 0; i < 300; ++i) log(*store, i % 50 == 7 ? "bad" : "n", i);
  REQUIRE(store->flush(kLong));
  Values good;
  for (int i = 0; i < 300; ++i) {
    if (i % 50 != 7) good.push_back(std::to_string(i));
  }
  CHECK(fixture.values() == good);
  const StoreStats stats = store->stats();
  CHECK(stats.rejected == 6);
  CHECK(stats.stored == 294);
  CHECK(stats.queued == 0);

  std::vector<std::filesystem::path> files;
  for (const auto& file : std::filesystem::directory_iterator(fixture.journal.path() / "dead"))
    files.push_back(file);
  REQUIRE(files.size() == 1);
  const std::string letters = read_file(files[0]);
  CHECK(std::count(letters.begin(), letters.end(), '\n') == 6);
  CHECK(letters.find("no such key here") != std::string::npos);
  for (int i = 7; i < 300; i += 50) {
    CHECK(letters.find("[[\"bad\",\"" + std::to_string(i) + "\"]]") != std::string::npos);
  }
}

TEST_CASE("A rejected event among others of several threads, and in doubt as well, is set aside alone") {
  QueueFixture fixture;
  std::minstd_rand random(1);
  fixture.script->before_write([](const Batch& batch) {
    if (has_key(batch, "bad")) throw StoreError(Kind::rejected, "no");
  });
  fixture.script->after_write([&](const Batch&) {
    if (random() % 4 == 0) throw StoreError(Kind::in_doubt, "no answer");
  });
  const auto store = fixture.make();
  introduce(*store);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) log(*store, i == 100 ? "bad" : "n" + std::to_string(t), i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(store->flush(kLong));
  Values good = numbers(0, 100);
  for (const std::string& value : numbers(101, 99)) good.push_back(value);
  for (int t = 0; t < 4; ++t) CHECK(fixture.values("n" + std::to_string(t)) == good);
  CHECK(store->stats().rejected == 4);
}

TEST_CASE("Who waits gets the record") {
  QueueFixture fixture;
  const auto store = fixture.make();
  introduce(*store);
  log_numbers(*store, 0, 10);
  const auto record = log(*store, "k", "v", true);
  REQUIRE(record.has_value());
  CHECK(record->data == Attributes{{"k", "v"}});
  CHECK(record->process_id == store->last_process_id());
  CHECK(fixture.values().size() == 10);  // what came before is there
}

TEST_CASE("Who waits is told that the store is away, and the event stays queued") {
  QueueFixture fixture;
  fixture.script->before_write([](const Batch&) { throw StoreError(Kind::unavailable, "away"); });
  const auto store = fixture.make();
  introduce(*store);
  CHECK(kind_thrown(*store, "n") == Kind::unavailable);
  CHECK(store->stats().queued == 1);
  fixture.script->be_well();
  CHECK(store->flush(kLong));
  CHECK(fixture.values() == Values{"1"});
}

TEST_CASE("Who waits for what comes behind a batch that cannot be stored is told so as well") {
  QueueFixture fixture;
  fixture.script->before_write([](const Batch&) { throw StoreError(Kind::unavailable, "away"); });
  const auto store = fixture.make();
  introduce(*store);
  log(*store, "n", 0);
  REQUIRE(eventually([&] { return fixture.script->writes > 1; }));  // without what is logged now
  for (int i = 1; i < 4; ++i) CHECK(kind_thrown(*store, "n") == Kind::unavailable);
  CHECK(store->stats().queued == 4);
  fixture.script->be_well();
  CHECK(store->flush(kLong));
  CHECK(fixture.values().size() == 4);
  CHECK_FALSE(kind_thrown(*store, "n").has_value());
}

TEST_CASE("Who waits is told that the store refuses the event") {
  QueueFixture fixture;
  fixture.script->before_write([](const Batch& batch) {
    if (has_key(batch, "bad")) throw StoreError(Kind::rejected, "never");
  });
  const auto store = fixture.make();
  introduce(*store);
  log_numbers(*store, 0, 5);
  CHECK(kind_thrown(*store, "bad") == Kind::rejected);
  CHECK_FALSE(kind_thrown(*store, "n").has_value());
  CHECK(store->stats().rejected == 1);
}

TEST_CASE("Who waits is told that an event is stored whose id was lost") {
  QueueFixture fixture;
  std::atomic<bool> lost{false};
  fixture.script->after_write([&](const Batch& batch) {
    if (!batch.events.empty() && !lost.exchange(true)) throw StoreError(Kind::in_doubt, "no answer");
  });
  const auto store = fixture.make();
  introduce(*store);
  const auto kind = kind_thrown(*store, "n");
  CHECK((kind == Kind::in_doubt || kind == Kind::unavailable));
  CHECK(store->flush(kLong));
  CHECK(fixture.values() == Values{"1"});
}

TEST_CASE("An event that names no process where none is known is refused at once") {
  QueueFixture fixture;
  const auto store = fixture.make();
  CHECK_THROWS_AS(log(*store, "n", 1), StoreError);
}

TEST_CASE("No batch has more events than it may") {
  QueueFixture fixture;
  Gate gate;
  fixture.script->before_write([&](const Batch&) { gate.pass(); });
  Config::Queue options = fixture.options();
  options.batch = 7;
  const auto store = fixture.make(options);
  introduce(*store);
  log_numbers(*store, 0, 100);
  REQUIRE(gate.wait_until_reached());
  gate.open();
  REQUIRE(store->flush(kLong));
  CHECK(fixture.values() == numbers(0, 100));
  const auto sizes = fixture.script->batch_sizes();
  CHECK(*std::max_element(sizes.begin(), sizes.end()) <= 7);
  CHECK(std::count(sizes.begin(), sizes.end(), 7u) > 10);
}

}  // namespace
}  // namespace codewake::testing
