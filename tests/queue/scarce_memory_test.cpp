// The library's own threads go on where memory is short for a while, and lose and repeat nothing. A program
// of its own, for it replaces operator new.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "codewake/errors.hpp"
#include "queue/scripted_queue_store.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

namespace {

/// One allocation in so many fails on the library's threads; 0: none.
std::atomic<unsigned> failing_part{0};
std::atomic<std::uint64_t> failures{0};

/// While it is above 0, this thread has memory: the store that a test wrote is not what is tested.
thread_local int excused = 0;

bool is_of_library() {
  char name[16] = {};
  return pthread_getname_np(pthread_self(), name, sizeof name) == 0 &&
         std::string_view(name).starts_with("codewake-");
}

bool fails_now() {
  const unsigned part = failing_part.load(std::memory_order_relaxed);
  if (part == 0 || excused > 0) return false;
  thread_local const bool is_concerned = is_of_library();
  thread_local std::minstd_rand random(42);
  if (!is_concerned || random() % part != 0) return false;
  failures.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void* allocate(std::size_t size) {
  if (fails_now()) throw std::bad_alloc();
  if (void* const memory = std::malloc(std::max<std::size_t>(size, 1))) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) {
  return allocate(size);
}
void* operator new[](std::size_t size) {
  return allocate(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace codewake::testing {
namespace {

using namespace std::chrono_literals;

/// The store has memory, and its answer is lost now and then.
void excuse(Script& script, bool loses_answers) {
  script.before_write([](const Batch&) { ++excused; });
  script.after_write([loses_answers](const Batch&) {
    --excused;
    thread_local std::minstd_rand random(7);
    if (loses_answers && random() % 3 == 0) throw std::bad_alloc();
  });
}

TEST_CASE("Where memory fails the library's threads now and then, each event is stored once") {
  if (kSanitized || kThreadSanitized) CODEWAKE_SKIP("sanitizers have an operator new of their own");
  constexpr int kEvents = 6000;
  for (const unsigned part : {300u, 100u, 40u}) {
    for (const Durability durability : {Durability::process, Durability::machine}) {
      CAPTURE(part);
      QueueFixture fixture;
      Config::Queue options = fixture.options();
      options.durability = durability;
      options.batch = 50;
      excuse(*fixture.script, durability == Durability::process);
      const auto store = fixture.make(options);
      introduce(*store);
      failing_part = part;
      const std::string large(100'000, 'l');
      for (int i = 0; i < kEvents; ++i) {
        log(*store, "n", i);
        if (i % 500 == 0) log(*store, "large", large);
        if (i % 100 == 0) std::this_thread::sleep_for(2ms);
      }
      failing_part = 0;
      REQUIRE(store->flush(kLong));
      const StoreStats stats = store->stats();
      CHECK(stats.stored == kEvents + kEvents / 500);
      CHECK(stats.lost_full + stats.lost_error == 0);
      CHECK(store->shutdown(kLong));
      std::vector<std::string> values = fixture.values();
      CHECK(values.size() == kEvents);
      std::sort(values.begin(), values.end());
      CHECK(std::adjacent_find(values.begin(), values.end()) == values.end());
      CHECK(fixture.values("large").size() == kEvents / 500);
    }
  }
  CHECK(failures > 20);
}

TEST_CASE("Who waits for an event gets its result where memory is short") {
  if (kSanitized || kThreadSanitized) CODEWAKE_SKIP("sanitizers have an operator new of their own");
  QueueFixture fixture;
  excuse(*fixture.script, false);
  const auto store = fixture.make();
  introduce(*store);
  failing_part = 60;
  int stored = 0;
  for (int i = 0; i < 100; ++i) {
    try {
      if (log(*store, "n", i, true)) ++stored;
    } catch (const StoreError& error) {
      CHECK(error.kind() == StoreError::Kind::unavailable);  // it stays in the journal
    }
  }
  failing_part = 0;
  REQUIRE(store->flush(kLong));
  CHECK(stored > 0);
  CHECK(fixture.values().size() == 100);
  store->shutdown(kLong);
}

}  // namespace
}  // namespace codewake::testing
