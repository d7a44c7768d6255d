#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "traced_program.hpp"

namespace codewake::testing {
namespace {

TEST_CASE("A spawned task comes after what began it, before what joined it, and beside the rest") {
  TracedProgram program;
  Tracer& tracer = program.tracer;
  const Scope scope(tracer);
  tracer.track_custom("before");
  auto task = spawn(
      [&] {
        tracer.track_custom("in the task");
        return 7;
      },
      "work");
  tracer.track_custom("meanwhile");
  CHECK(task.get() == 7);
  tracer.track_custom("after");
  CHECK(is_before(program.event("before"), program.event("in the task")));
  CHECK(are_concurrent(program.event("meanwhile"), program.event("in the task")));
  CHECK(is_before(program.event("in the task"), program.event("after")));
  const TraceEventRecord inside = program.event("in the task");
  CHECK(inside.trace_id == program.event("before").trace_id);
  CHECK(inside.upstream_span_id == program.event("before").span_id);
  CHECK(inside.span_id != program.event("before").span_id);
  TraceEventRecord begun, awaited;
  for (const TraceEventRecord& event : program.events()) {
    if (event.kind == TraceKind::async_spawn) begun = event;
    if (event.kind == TraceKind::async_await) awaited = event;
  }
  CHECK(inside.parent_id == begun.id);
  CHECK(begun.texts.name == "work");
  CHECK(data_of(begun)["task_id"] == data_of(awaited)["future_id"]);
}

TEST_CASE("Bound work keeps the context in threads, std::async and pools of any kind") {
  TracedProgram program;
  Tracer& tracer = program.tracer;
  const Scope scope(tracer);
  {
    auto work = bind([&] { tracer.track_custom("in a thread"); });
    std::thread thread(work);
    thread.join();
    work.joined();
    tracer.track_custom("after the thread");
  }
  {
    std::jthread thread(bind([&](const std::stop_token& token) {
      CHECK(token.stop_possible());
      tracer.track_custom("in a jthread");
    }));
  }
  std::future<int> result = std::async(std::launch::async, bind([&](int a) {
                                         tracer.track_custom("in an async");
                                         return a + 1;
                                       }),
                                       1);
  CHECK(result.get() == 2);
  std::function<void()> job = bind([&] { tracer.track_custom("in a pool"); });
  std::thread([&] { job(); }).join();
  CHECK(is_before(program.event("in a thread"), program.event("after the thread")));
  for (const char* name : {"in a jthread", "in an async", "in a pool"}) {
    CHECK(program.event(name).trace_id == scope.context().tie().trace_id);
  }
  CHECK(are_concurrent(program.event("in a jthread"), program.event("in an async")));
  CHECK(Context::current() == scope.context());
}

TEST_CASE("Each call of bound work is an execution of its own") {
  TracedProgram program;
  const Scope scope(program.tracer);
  auto work = bind([&](const char* name) { program.tracer.track_custom(name); });
  work("first");
  work("second");
  CHECK(are_concurrent(program.event("first"), program.event("second")));
  work.joined();
  program.tracer.track_custom("after");
  CHECK(is_before(program.event("first"), program.event("after")));
  CHECK(is_before(program.event("second"), program.event("after")));
}

TEST_CASE("What a task throws is recorded in it, and comes out of it") {
  TracedProgram program;
  const Scope scope(program.tracer);
  auto task = spawn([]() -> int { throw std::out_of_range("too far"); });
  CHECK_THROWS_AS(task.get(), std::out_of_range);
  const TraceEventRecord error = program.event("std::out_of_range");
  CHECK(error.kind == TraceKind::error);
  CHECK(error.texts.execution != scope.context().execution());
}

TEST_CASE("Outside of a context tasks run as they are") {
  TracedProgram program;
  CHECK(spawn([] { return 3; }).get() == 3);
  auto work = bind([](int a) { return a; });
  CHECK(work(4) == 4);
  work.joined();
  CHECK(program.events().empty());
}

TEST_CASE("A task that nobody waits for is waited for, and a moved one goes on") {
  TracedProgram program;
  const Scope scope(program.tracer);
  bool ran = false;
  {
    auto task = spawn([&] { ran = true; });
    auto moved = std::move(task);
  }
  CHECK(ran);
}

TEST_CASE("A scope carries a context to wherever it is wanted") {
  TracedProgram program;
  const Scope scope(program.tracer);
  const Context context = Context::current();
  std::thread([&] {
    CHECK_FALSE(Context::current());
    const Scope here(context);
    program.tracer.track_custom("elsewhere");
  }).join();
  CHECK(program.event("elsewhere").texts.execution == context.execution());
}

TEST_CASE("Many threads trace at once") {
  TracedProgram program;
  const Scope scope(program.tracer);
  {
    std::vector<Task<void>> tasks;
    for (int i = 0; i < 8; ++i) {
      tasks.push_back(spawn([&] {
        for (int j = 0; j < 200; ++j) program.tracer.track_state_change("x", j, j + 1);
      }));
    }
    for (auto& task : tasks) task.get();
  }
  program.tracer.track_custom("after");
  const auto events = program.events();
  CHECK(events.size() == 8 * 200 + 8 + 8 + 1);
  for (const TraceEventRecord& event : events) {
    if (event.texts.name == "x") CHECK(is_before(event, events.back()));
  }
}

TEST_CASE("Threads that share an execution, locks and requests break nothing") {
  constexpr int kThreads = 4, kRounds = 50;
  TracedProgram program;
  Tracer& tracer = program.tracer;
  const Context shared = Scope(tracer).context();
  TracedMutex<> mutex("m");
  TracedMutex<std::shared_mutex> book("b");
  Traced<int> stock("stock", 0);
  std::mutex ending;
  std::vector<Context> begun;
  std::atomic<int> ended{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        const Scope scope(shared);
        {
          const std::lock_guard lock(mutex);
          stock.update([](int value) { return value + 1; });
        }
        {
          const std::shared_lock lock(book);
          tracer.track_custom("read");
        }
        tracer.track_lock_acquire("by hand");
        tracer.track_lock_release("by hand");
        const HeaderMap call = tracer.propagation_headers();
        const Context request = tracer.begin_request(call, "GET", "/");
        tracer.receive(call);
        CHECK(request.clock().own().steps == 1);
        CHECK(shared.clock().own().steps > 0);
        std::vector<Context> others;
        {
          const std::lock_guard lock(ending);
          begun.push_back(request);
          if (t == 0) others.swap(begun);  // this one ends what the others have begun
        }
        for (const Context& other : others) ended += tracer.end_request(other, 200).empty() ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Context& other : begun) ended += tracer.end_request(other, 200).empty() ? 0 : 1;
  CHECK(ended == kThreads * kRounds);
  CHECK(stock.get() == kThreads * kRounds);
  CHECK(tracer.lost() == 0);
  std::uint64_t steps = 0;
  for (const TraceEventRecord& event : program.events()) {
    if (event.texts.execution == shared.execution()) CHECK(event.step == ++steps);
  }
  CHECK(steps == kThreads * kRounds * 9);
  CHECK(program.events().size() == kThreads * kRounds * 11);
}

}  // namespace
}  // namespace codewake::testing
