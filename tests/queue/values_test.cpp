// What an event carries, on its way through a journal.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "adapters/sqlite/support.hpp"
#include "codewake/process.hpp"
#include "codewake/recovery.hpp"
#include "codewake/sqlite_store.hpp"
#include "codewake/stacktrace.hpp"
#include "queue/scripted_queue_store.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

using namespace std::chrono_literals;

void log_at(Store& store, int number, Time when) {
  const AttributeArgument argument("n", number);
  store.insert_event({.data = std::span(&argument, 1), .when = when});
}

TEST_CASE("A time that is given is kept to the microsecond, whatever the clock says") {
  QueueFixture fixture;
  const auto store = fixture.make();
  introduce(*store);
  const std::vector<Time> times = {Time(0ns), Time(123'456'789us), now() - 24h * 365, now() + 24h * 365};
  for (std::size_t i = 0; i < times.size(); ++i) log_at(*store, static_cast<int>(i), times[i]);
  REQUIRE(store->flush(kLong));
  const auto events = fixture.storage().get_events_by_data({});
  REQUIRE(events.size() == times.size());
  for (std::size_t i = 0; i < times.size(); ++i) {
    CHECK(events[i].when == std::chrono::floor<std::chrono::microseconds>(times[i]));
  }
}

// Interrupted between two stamps a thread may be for long; then the bounds are wide, and still hold.
TEST_CASE("Times that are not given agree with the wall clock to ten microseconds") {
  QueueFixture fixture;
  const auto store = fixture.make();
  introduce(*store);
  constexpr auto kTolerance = 10us;
  std::vector<std::pair<Time, Time>> bounds;
  const auto end = std::chrono::steady_clock::now() + 600ms;
  while (std::chrono::steady_clock::now() < end) {
    const Time before = now();
    log(*store, "n", bounds.size());
    bounds.emplace_back(before, now());
    std::this_thread::sleep_for(50us);
  }
  REQUIRE(store->flush(kLong));
  const auto events = fixture.storage().get_events_by_data({});
  REQUIRE(events.size() == bounds.size());
  std::chrono::nanoseconds worst{0};
  for (std::size_t i = 0; i < events.size(); ++i) {
    // What is stored is cut to microseconds.
    worst = std::max<std::chrono::nanoseconds>(worst, bounds[i].first - 1us - events[i].when);
    worst = std::max<std::chrono::nanoseconds>(worst, events[i].when - bounds[i].second);
  }
  INFO("events: " << bounds.size() << ", furthest off: " << worst.count() << " ns");
  CHECK(worst <= kTolerance);
}

TEST_CASE("Values of every type come out as they would without a queue") {
  QueueFixture fixture;
  const std::string long_key(3000, 'k'), long_value(70'000, 'v');
  const std::vector<AttributeArgument> data = {
      {"text", "t"},
      {"empty", ""},
      {"", "no key"},
      {"null", nullptr},
      {"character", 'c'},
      {"true", true},
      {"false", false},
      {"least", std::numeric_limits<std::int64_t>::min()},
      {"greatest", std::numeric_limits<std::uint64_t>::max()},
      {"byte", std::int8_t{-1}},
      {"float", 0.1f},
      {"double", 0.1},
      {"infinity", -std::numeric_limits<double>::infinity()},
      {"nan", std::numeric_limits<double>::quiet_NaN()},
      {"not UTF-8", "a\xFF\xFE"},
      {"a zero", std::string_view("a\0b", 3)},
      {long_key, long_value},
  };
  const auto store = fixture.make();
  introduce(*store);
  store->insert_event({.data = data, .when = Time(1s)});
  store->insert_event({.data = std::span<const AttributeArgument>(), .when = Time(2s)});
  store->insert_event({.when = Time(3s)});
  REQUIRE(store->flush(kLong));
  MemoryStore plain;
  plain.insert_process({.app_name = "queue"});
  plain.insert_event({.data = data, .when = Time(1s)});
  plain.insert_event({.data = std::span<const AttributeArgument>(), .when = Time(2s)});
  plain.insert_event({.when = Time(3s)});
  CHECK(fixture.storage().get_events_by_data({}) == plain.get_events_by_data({}));
}

TEST_CASE("A value of ten megabytes is kept, and its file goes when it is stored") {
  QueueFixture fixture;
  Gate gate;
  fixture.script->before_write([&](const Batch&) { gate.pass(); });
  const auto store = fixture.make();
  introduce(*store);
  std::string large(10 << 20, 'x');
  for (std::size_t i = 0; i < large.size(); i += 4096) large[i] = static_cast<char>('a' + i / 4096 % 26);
  log(*store, "n", 1);
  log(*store, "large", large);
  log(*store, "n", 2);
  const auto large_files = [&] {
    std::size_t count = 0;
    for (const auto& file : fixture.journal.files()) count += file.filename().string().starts_with("large-");
    return count;
  };
  CHECK(large_files() == 1);
  gate.open();
  REQUIRE(store->flush(kLong));
  CHECK(fixture.values() == numbers(1, 2));
  const auto values = fixture.values("large");
  REQUIRE(values.size() == 1);
  CHECK((values[0] == large));
  CHECK(eventually([&] { return large_files() == 0; }));
}

/// A store that takes nothing, for a program that is to leave its journal.
class AwayStore : public SqliteStore {
 public:
  using SqliteStore::SqliteStore;
  BatchResult write(const Batch&) override { throw StoreError(StoreError::Kind::unavailable, "away"); }
};

class AwayQueueStore : public QueueStore<AwayStore> {
 public:
  using QueueStore::QueueStore;
};

void log_stacks(Process& process) {
  process.log({{"kind", "stack"}}, {.inc_st = true});
  try {
    throw std::runtime_error("as told");
  } catch (const std::exception& error) {
    process.log({{"kind", "throw"}}, error);
  }
}

// Runs until it has logged. Then it is killed, with a store that takes nothing, or ends as it should.
void run_and_log(const JournalFolder& journal, const std::string& dsn, bool is_killed) {
  Config::Queue options;
  options.journal = journal.path();
  std::shared_ptr<Store> store = std::make_shared<SqliteQueueStore>(options, dsn);
  if (is_killed) store = std::make_shared<AwayQueueStore>(options, dsn);
  Process& process = Process::instance({.store = store});
  log_stacks(process);
  if (!is_killed) {
    process.shutdown(kLong);
    return;
  }
  const auto noted = [&] {
    for (const auto& file : journal.files()) {
      if (file.filename() == "modules.json") return true;
    }
    return false;
  };
  if (!eventually(noted)) throw std::runtime_error("no modules.json");
  kill(getpid(), SIGKILL);
}

TEST_CASE("Stacks of a dead program are recovered with functions and lines, as it would have stored them") {
  const TemporaryFolder folder;
  const JournalFolder journal;
  const std::string dsn = dsn_of(folder / "events.sqlite");
  for (const bool is_killed : {true, false}) {
    const pid_t child = start_child([&] { run_and_log(journal, dsn, is_killed); });
    REQUIRE(wait_for(child) == (is_killed ? -SIGKILL : 0));
    if (!is_killed) continue;
    SqliteStore store(dsn);
    const auto runs = recover_journals(store, {.journal_folder = journal.path()});
    REQUIRE(runs.size() == 1);
    CHECK(runs[0].state == JournalRun::State::recovered);
    CHECK(runs[0].stored_events == 2);
    CHECK(store.get_process_by_id(store.get_events_by_data({}).front().process_id)->pid == child);
  }
  SqliteStore store(dsn);
  const std::string executable = std::filesystem::read_symlink("/proc/self/exe");
  for (const std::string kind : {"stack", "throw"}) {
    const auto events = store.get_events_by_data({{"kind", kind}});
    REQUIRE(events.size() == 2);
    const std::vector<Frame>& frames = events[0].frames;
    const auto own = std::find_if(frames.begin(), frames.end(),
                                  [&](const Frame& frame) { return frame.module == executable; });
    REQUIRE(own != frames.end());
    CHECK(own->function == "codewake::testing::(anonymous namespace)::log_stacks(codewake::Process&)");
    CHECK(std::filesystem::path(own->filename).filename() == "values_test.cpp");
    CHECK(own->build_id.size() >= 16);
    CHECK(own->offset != 0);
    CHECK(events[0].frames == events[1].frames);
    CHECK(events[0].stacktrace_id == events[1].stacktrace_id);
  }
}

}  // namespace
}  // namespace codewake::testing
