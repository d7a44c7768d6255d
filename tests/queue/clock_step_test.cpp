// A wall clock that is set while a program runs: what was recorded before keeps its time, wherever it lies.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "codewake/errors.hpp"
#include "queue/scripted_queue_store.hpp"
#include "support/child.hpp"
#include "support/settable_clock.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds kStep = 1h;

void be_away(const Batch&) {
  throw StoreError(StoreError::Kind::unavailable, "away");
}

// Ten events of each time: before the step, after it, after it was taken back.
void log_around_steps(Store& store) {
  for (const char* n : {"before", "after", "back"}) {
    step_seconds = n == std::string("after") ? kStep.count() : 0;
    std::this_thread::sleep_for(300ms);  // the keeper has seen it
    for (int i = 0; i < 10; ++i) {
      log(store, "n", n);
      std::this_thread::sleep_for(1ms);
    }
  }
}

// How far each time is from that of the first event, in seconds.
void check_times(QueueFixture& fixture) {
  const auto events = fixture.storage().get_events_by_data({});
  REQUIRE(events.size() == 30);
  const Time first = events.front().when;
  int counted = 0;
  for (const EventRecord& event : events) {
    const auto value = event.data.find("n")->value.value();
    const auto expected = value == "after" ? kStep : 0s;
    CAPTURE(value);
    CHECK(event.when - first >= expected);
    CHECK(event.when - first < expected + 30s);
    ++counted;
  }
  CHECK(counted == 30);
}

}  // namespace

TEST_CASE("Events keep the time that the wall clock had, where it is set while the store is away") {
  QueueFixture fixture;
  fixture.script->before_write(be_away);
  const auto store = fixture.make();
  introduce(*store);
  SUBCASE("and comes back soon") {
    log_around_steps(*store);
  }
  SUBCASE("and what is old has gone to the disk") {
    log_around_steps(*store);
    std::this_thread::sleep_for(5s);  // longer than the samples of the clock are kept
  }
  fixture.script->be_well();
  REQUIRE(store->flush(kLong));
  check_times(fixture);
  CHECK(store->shutdown(kLong));
}

TEST_CASE("And the same where the program is killed with what it could not store") {
  for (const auto wait : {0ms, 2500ms}) {
    CAPTURE(wait.count());
    QueueFixture fixture;
    const pid_t child = start_child([&] {
      fixture.script->before_write(be_away);
      const auto store = fixture.make();
      introduce(*store);
      log_around_steps(*store);
      std::this_thread::sleep_for(wait);
      std::_Exit(0);
    });
    REQUIRE(wait_for(child) == 0);
    const auto store = fixture.make();
    introduce(*store);
    REQUIRE(eventually([&] { return fixture.values().size() == 30; }));
    check_times(fixture);
    CHECK(store->shutdown(kLong));
  }
}

TEST_CASE("An event that is sent again by a recovery has the time that it was sent with before") {
  for (const auto lifetime : {0ms, 30ms, 400ms, 1500ms}) {
    CAPTURE(lifetime.count());
    QueueFixture fixture;
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "times";
    const pid_t child = start_child([&] {
      std::vector<std::int64_t> times;
      std::atomic<bool> is_sent{false};
      fixture.script->before_write([&](const Batch& batch) {
        if (batch.events.empty()) return;  // the process alone: a batch that waits would stay what it is
        if (times.empty()) {
          for (const BatchEvent& event : batch.events) times.push_back(event.when.time_since_epoch().count());
        }
        is_sent = true;
        be_away(batch);
      });
      Config::Queue options = fixture.options();
      options.interval = 5ms;
      const auto store = fixture.make(options);
      introduce(*store);
      for (int i = 0; i < 200; ++i) {
        log(*store, "n", i);
        std::this_thread::sleep_for(100us);
      }
      if (!eventually([&] { return is_sent.load(); })) std::_Exit(1);
      std::this_thread::sleep_for(lifetime);
      store->shutdown(0ms);
      std::ofstream out(file);
      for (const std::int64_t time : times) out << time << '\n';
      out.close();
      std::_Exit(0);
    });
    REQUIRE(wait_for(child) == 0);
    const auto store = fixture.make();
    introduce(*store);
    REQUIRE(eventually([&] { return fixture.values().size() == 200; }));
    CHECK(store->shutdown(kLong));
    const auto events = fixture.storage().get_events_by_data({});
    std::ifstream in(file);
    std::int64_t time = 0;
    std::size_t count = 0;
    for (; in >> time; ++count) CHECK(events.at(count).when.time_since_epoch().count() / 1000 == time / 1000);
    CHECK(count > 0);
  }
}

}  // namespace codewake::testing
