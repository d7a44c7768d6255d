#include "codewake/trace_coroutine.hpp"

#include <doctest/doctest.h>

#include <coroutine>
#include <exception>
#include <thread>

#include "traced_program.hpp"

namespace codewake::testing {
namespace {

/// Runs to its end by itself; whoever makes it keeps it until then.
struct Coroutine {
  struct promise_type : CarriesContext {
    Coroutine get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    auto initial_suspend() { return carried(std::suspend_always()); }
    auto final_suspend() noexcept { return carried(std::suspend_always()); }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };

  std::coroutine_handle<promise_type> handle;
};

/// Goes on in another thread.
struct ElsewhereAwaiter {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    thread = std::thread([handle] { handle.resume(); });
  }
  void await_resume() const noexcept {}
  std::thread& thread;
};

/// Does not suspend in the end.
struct ChangesItsMind {
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
  int await_resume() const noexcept { return 5; }
};

struct Wrapped {
  auto operator co_await() const noexcept { return ChangesItsMind(); }
};

Coroutine work(Tracer& tracer, std::thread& thread) {
  tracer.track_custom("here");
  co_await ElsewhereAwaiter{thread};
  tracer.track_custom("elsewhere");
  {
    const Scope scope(tracer);
    tracer.track_custom("in a scope of its own");
  }
  CHECK(co_await Wrapped() == 5);
  CHECK(co_await ChangesItsMind() == 5);
  tracer.track_custom("at the end");
}

TEST_CASE("A coroutine keeps its context when it is resumed on another thread") {
  TracedProgram program;
  std::thread thread;
  {
    const Scope scope(program.tracer);
    const Coroutine coroutine = work(program.tracer, thread);
    CHECK(Context::current() == scope.context());
    coroutine.handle.resume();
    CHECK(Context::current() == scope.context());
    thread.join();
    CHECK(coroutine.handle.done());
    coroutine.handle.destroy();
    for (const char* name : {"here", "elsewhere", "at the end"}) {
      CHECK(program.event(name).texts.execution == scope.context().execution());
    }
    CHECK(program.event("in a scope of its own").texts.execution != scope.context().execution());
  }
  CHECK_FALSE(Context::current());
}

TEST_CASE("Who resumes a coroutine has its own context again") {
  TracedProgram program;
  std::thread thread;
  std::coroutine_handle<Coroutine::promise_type> handle;
  Context made;
  {
    const Scope scope(program.tracer);
    made = scope.context();
    handle = work(program.tracer, thread).handle;
  }
  {
    const Scope other(program.tracer);
    handle.resume();  // suspended by itself, elsewhere
    CHECK(Context::current() == other.context());
  }
  thread.join();
  CHECK(handle.done());
  handle.destroy();
  CHECK(program.event("here").texts.execution == made.execution());
  CHECK(program.event("at the end").texts.execution == made.execution());
}

}  // namespace
}  // namespace codewake::testing
