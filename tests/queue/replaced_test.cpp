// A storage that is replaced, or set back to an older state, while a queue writes to it.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/recovery.hpp"
#include "queue/scripted_queue_store.hpp"
#include "support/child.hpp"

namespace codewake::testing {
namespace {

using namespace std::chrono_literals;

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

/// What there is of events, each with a process that the storage has, and which names the app.
void require_values(QueueFixture& fixture, const std::vector<std::string>& values) {
  require(fixture.values() == values, "other events");
  for (const EventRecord& event : fixture.storage().get_events({}).events) {
    const auto process = fixture.storage().get_process_by_id(event.process_id);
    require(process && process->run_ts != Time(), "an event of no process");
  }
  require(!std::filesystem::exists(fixture.journal.path() / "dead"), "events were refused");
}

}  // namespace

TEST_CASE("A storage that is replaced has the process again, and every event from then on") {
  QueueFixture fixture;
  const ChildResult result = in_child([&] {
    const auto restore = fixture.storage().snapshot();
    const auto store = fixture.make();
    introduce(*store);
    for (const char* n : {"a", "b"}) log(*store, "n", n);
    require(store->flush(kLong), "not stored");
    restore();
    for (const char* n : {"c", "d"}) log(*store, "n", n);
    require(store->flush(kLong), "not stored again");
    require_values(fixture, {"c", "d"});
    require(store->stats().problem.empty(), store->stats().problem);
    require(log(*store, "n", "e", true).has_value(), "no record");
    require(store->shutdown(kLong), "no shutdown");
    require_values(fixture, {"c", "d", "e"});
    require(fixture.storage().get_positions("").empty(), "positions stay");
  });
  CHECK(result.exit_code == 0);
  CHECK(count_of(result.err, "replaced") == 1);
}

TEST_CASE("A storage that is set back to an older state goes on with the process that it has") {
  QueueFixture fixture;
  const ChildResult result = in_child([&] {
    const auto store = fixture.make();
    introduce(*store);
    log(*store, "n", "a");
    require(store->flush(kLong), "not stored");
    const auto restore = fixture.storage().snapshot();
    log(*store, "n", "b");
    require(store->flush(kLong), "not stored");
    restore();
    log(*store, "n", "c");
    require(store->flush(kLong), "not stored again");
    require_values(fixture, {"a", "c"});
    require(fixture.storage().get_processes({}).size() == 1, "another process");
    require(store->shutdown(kLong), "no shutdown");
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK(count_of(result.err, "replaced") == 1);
}

TEST_CASE("Another program's process that has the same id in the new storage gets none of the events") {
  QueueFixture fixture;
  const ChildResult result = in_child([&] {
    const auto restore = fixture.storage().snapshot();
    const auto store = fixture.make();
    introduce(*store);
    log(*store, "n", "a");
    require(store->flush(kLong), "not stored");
    restore();
    const ProcessInfo other{.run_ts = now(), .app_name = "another"};
    const auto its = fixture.storage().insert_process(other, true);
    log(*store, "n", "b");
    require(store->flush(kLong), "not stored again");
    require_values(fixture, {"b"});
    require(fixture.storage().get_events({}).events[0].process_id != its->id, "the other program's event");
    require(store->shutdown(kLong), "no shutdown");
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

TEST_CASE("A storage that is replaced while a batch is written, and answers with doubt, has the batch once") {
  QueueFixture fixture;
  const ChildResult result = in_child([&] {
    const auto restore = fixture.storage().snapshot();
    const auto store = fixture.make();
    introduce(*store);
    log(*store, "n", "a");
    require(store->flush(kLong), "not stored");
    int writes = 0;
    fixture.script->after_write([&](const Batch&) {
      if (writes++ != 0) return;
      restore();
      throw StoreError(StoreError::Kind::in_doubt, "the answer was lost, and the storage with it");
    });
    log(*store, "n", "b");
    require(store->flush(kLong), "not stored again");
    require_values(fixture, {"b"});
    require(store->shutdown(kLong), "no shutdown");
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

TEST_CASE("A recovery into a storage that is replaced stores what is left of the journal") {
  QueueFixture fixture;
  const ChildResult result = in_child([&] {
    const auto restore = fixture.storage().snapshot();
    const pid_t child = start_child([&] {
      fixture.script->before_write(
          [](const Batch&) { throw StoreError(StoreError::Kind::unavailable, "away"); });
      const auto store = fixture.make();
      introduce(*store);
      for (const std::string& n : numbers(0, 3000)) log(*store, "n", n);
      std::_Exit(0);
    });
    require(wait_for(child) == 0, "no journal");
    // The first batch is stored, and gone when the second comes.
    std::atomic<int> gone{0};
    fixture.script->before_write([&](const Batch&) {
      if (gone != 0 || fixture.values().empty()) return;
      gone = static_cast<int>(fixture.values().size());
      restore();
    });
    const auto store = fixture.make();
    introduce(*store);
    require(eventually([&] { return gone != 0 && fixture.values().size() + gone == 3000; }),
            "not what is left");
    require_values(fixture, numbers(gone, 3000 - gone));
    require(store->shutdown(kLong), "no shutdown");
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

}  // namespace codewake::testing
