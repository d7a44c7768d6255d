#include <doctest/doctest.h>

#include <condition_variable>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include "traced_program.hpp"

namespace codewake::testing {
namespace {

void in_another_request(Tracer& tracer, const std::function<void()>& work) {
  std::thread([&] {
    const Scope scope(tracer);
    work();
  }).join();
}

TEST_CASE("Who takes a lock comes after who let it go") {
  TracedProgram program;
  TracedMutex<> mutex("m");
  in_another_request(program.tracer, [&] {
    program.tracer.track_custom("before the lock");
    const std::lock_guard lock(mutex);
    program.tracer.track_custom("first");
  });
  in_another_request(program.tracer, [&] {
    program.tracer.track_custom("outside");
    const std::unique_lock lock(mutex);
    program.tracer.track_custom("second");
  });
  CHECK(is_before(program.event("first"), program.event("second")));
  CHECK(is_before(program.event("before the lock"), program.event("second")));
  CHECK(are_concurrent(program.event("first"), program.event("outside")));
  CHECK(program.event("first").texts.locks == "[\"m\"]");
  CHECK(program.event("outside").texts.locks == "[]");
}

TEST_CASE("Locks are held in the order in which they were taken, and let go in any") {
  TracedProgram program;
  const Scope scope(program.tracer);
  TracedMutex<> a("a"), b("b \"quoted\"");
  TracedMutex<std::recursive_mutex> c("c");
  a.lock();
  c.lock();
  b.lock();
  c.lock();
  program.tracer.track_custom("all");
  CHECK(program.event("all").texts.locks == R"(["a","c","b \"quoted\"","c"])");
  a.unlock();
  c.unlock();
  program.tracer.track_custom("some");
  CHECK(program.event("some").texts.locks == R"(["c","b \"quoted\""])");
  b.unlock();
  c.unlock();
  program.tracer.track_custom("none");
  CHECK(program.event("none").texts.locks == "[]");
}

TEST_CASE("Readers of a shared lock are beside each other, and between the writers") {
  TracedProgram program;
  TracedMutex<std::shared_mutex> mutex("rw");
  const auto write = [&](const char* name) {
    in_another_request(program.tracer, [&] {
      const std::scoped_lock lock(mutex);
      program.tracer.track_custom(name);
    });
  };
  const auto read = [&](const char* name) {
    in_another_request(program.tracer, [&] {
      const std::shared_lock lock(mutex);
      program.tracer.track_custom(name);
    });
  };
  write("w1");
  read("r1");
  read("r2");
  write("w2");
  CHECK(is_before(program.event("w1"), program.event("r1")));
  CHECK(is_before(program.event("w1"), program.event("r2")));
  CHECK(are_concurrent(program.event("r1"), program.event("r2")));
  CHECK(is_before(program.event("r1"), program.event("w2")));
  CHECK(is_before(program.event("r2"), program.event("w2")));
  CHECK(data_of(program.event("rw"))["lock_type"] == "RwLock::Write");
}

TEST_CASE("Locks by name do the same") {
  TracedProgram program;
  for (const char* name : {"first", "second"}) {
    in_another_request(program.tracer, [&] {
      program.tracer.track_lock_acquire("l");
      program.tracer.track_custom(name);
      program.tracer.track_lock_release("l");
      program.tracer.track_lock_release("never taken");
    });
  }
  CHECK(is_before(program.event("first"), program.event("second")));
  CHECK(program.event("first").texts.locks == "[\"l\"]");
  const TraceEventRecord acquired = program.events().front();
  CHECK(acquired.kind == TraceKind::lock_acquire);
  CHECK(data_of(acquired) == nlohmann::json{{"lock_type", "Mutex"}});
  CHECK(acquired.texts.file.ends_with("locks_test.cpp"));
}

TEST_CASE("A lock that could not be taken is not recorded") {
  TracedProgram program;
  const Scope scope(program.tracer);
  TracedMutex<std::timed_mutex> mutex("t");
  CHECK(mutex.try_lock());
  std::thread([&] {
    const Scope other(program.tracer);
    CHECK_FALSE(mutex.try_lock());
    CHECK_FALSE(mutex.try_lock_for(std::chrono::milliseconds(1)));
  }).join();
  mutex.unlock();
  CHECK(program.events().size() == 2);
}

TEST_CASE("Outside of a context a traced lock is a lock") {
  TracedMutex<> mutex("m");
  const std::lock_guard lock(mutex);
  CHECK_FALSE(mutex.try_lock());
}

TEST_CASE("A traced lock serves a condition variable") {
  TracedProgram program;
  TracedMutex<> mutex("queue");
  std::condition_variable_any filled;
  bool is_full = false;
  std::thread consumer([&] {
    const Scope scope(program.tracer);
    std::unique_lock lock(mutex);
    filled.wait(lock, [&] { return is_full; });
    program.tracer.track_custom("taken");
  });
  {
    const Scope scope(program.tracer);
    program.tracer.track_custom("made");
    const std::lock_guard lock(mutex);
    is_full = true;
  }
  filled.notify_one();
  consumer.join();
  CHECK(is_before(program.event("made"), program.event("taken")));
}

TEST_CASE("A traced variable records its reads and writes") {
  TracedProgram program;
  Traced<int> stock("stock", 5);
  CHECK(stock.get() == 5);
  CHECK(program.events().empty());
  const Scope scope(program.tracer);
  CHECK(stock.get() == 5);
  stock.set(4);
  CHECK(stock.update([](int value) { return value - 1; }) == 3);
  const auto events = program.events();
  REQUIRE(events.size() == 4);
  CHECK(events[0].access == Access::read);
  CHECK(events[0].texts.data == R"({"old_value":null,"new_value":5})");
  CHECK(events[1].access == Access::write);
  CHECK(events[1].texts.data == R"({"old_value":5,"new_value":4})");
  CHECK(events[3].texts.data == R"({"old_value":4,"new_value":3})");
  CHECK(events[3].texts.file.ends_with("locks_test.cpp"));

  Traced<std::atomic<int>> hits("hits");
  CHECK(hits.fetch_add(2) == 0);
  hits.store(7);
  CHECK(hits.load() == 7);
  int expected = 1;
  CHECK_FALSE(hits.compare_exchange(expected, 9));
  CHECK(expected == 7);
  CHECK(hits.exchange(8) == 7);
  CHECK(hits.fetch_sub(1) == 8);
  std::vector<Access> accesses;
  for (const TraceEventRecord& event : program.events()) {
    if (event.texts.name == "hits") accesses.push_back(*event.access);
  }
  CHECK(accesses == std::vector{Access::atomic_rmw, Access::atomic_write, Access::atomic_read,
                                Access::atomic_read, Access::atomic_rmw, Access::atomic_rmw});
}

}  // namespace
}  // namespace codewake::testing
