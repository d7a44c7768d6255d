#include "codewake/trace_coroutine.hpp"

#include <doctest/doctest.h>

#include <coroutine>
#include <exception>
#include <stdexcept>
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
    std::thread& to = thread;  // this is gone once the coroutine has ended there
    to = std::thread([handle] {
      handle.resume();
      CHECK_FALSE(Context::current());
    });
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

/// Runs at once, and is gone at its end.
struct Eager {
  struct promise_type : CarriesContext {
    Eager get_return_object() { return {}; }
    auto initial_suspend() { return carried(std::suspend_never()); }
    auto final_suspend() noexcept { return carried(std::suspend_never()); }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

/// Records something in the context in which it is destroyed.
struct Farewell {
  Tracer& tracer;
  const char* name;
  ~Farewell() { tracer.track_custom(name); }
};

/// Ends by an exception, for who resumed it.
struct Throwing {
  struct promise_type : CarriesContext {
    Throwing get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    auto initial_suspend() { return carried(std::suspend_always()); }
    auto final_suspend() noexcept { return carried(std::suspend_always()); }
    void return_void() {}
    void unhandled_exception() {
      leave_by_exception();
      throw;
    }
  };

  std::coroutine_handle<promise_type> handle;
};

Throwing fail() {
  throw std::runtime_error("nothing there");
  co_return;
}

Coroutine wait_in_scopes(Tracer& tracer) {
  const Farewell outside{tracer, "destroyed outside of the scopes"};
  const Scope scope(tracer);
  const Scope inner(tracer);
  const Farewell inside{tracer, "destroyed in the scopes"};
  tracer.track_custom("waits");
  co_await std::suspend_always();
}

Eager run_elsewhere(Tracer& tracer, std::thread& thread) {
  co_await ElsewhereAwaiter{thread};
  tracer.track_custom("elsewhere");
}

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

TEST_CASE("Who destroys a suspended coroutine has its own context again") {
  TracedProgram program;
  Context made_in;
  const auto make = [&] {
    const Scope scope(program.tracer);
    made_in = scope.context();
    const Coroutine coroutine = wait_in_scopes(program.tracer);
    coroutine.handle.resume();
    CHECK(Context::current() == scope.context());
    return coroutine.handle;
  };
  const auto destroy = [](auto handle, const Context& in) {
    const Scope scope(in);
    handle.destroy();
    CHECK(Context::current() == in);
  };
  SUBCASE("in a context of its own") {
    const Scope other(program.tracer);
    destroy(make(), other.context());
    CHECK(Context::current() == other.context());
  }
  SUBCASE("in the context in which it was made") {
    const auto handle = make();
    destroy(handle, made_in);
  }
  SUBCASE("in no context") {
    destroy(make(), Context());
  }
  SUBCASE("in another thread's context") {
    const auto handle = make();
    std::thread([&] {
      {
        const Scope other(program.tracer);
        destroy(handle, other.context());
      }
      CHECK_FALSE(Context::current());
    }).join();
  }
  SUBCASE("in another thread without one") {
    std::thread([destroy, handle = make()] {
      destroy(handle, Context());
      CHECK_FALSE(Context::current());
    }).join();
  }
  CHECK_FALSE(Context::current());
  CHECK(program.event("destroyed outside of the scopes").texts.execution == made_in.execution());
  CHECK(program.event("destroyed in the scopes").texts.execution == program.event("waits").texts.execution);
}

TEST_CASE("A coroutine that never began, or has ended, leaves its context nowhere") {
  TracedProgram program;
  std::coroutine_handle<Coroutine::promise_type> handle;
  {
    const Scope scope(program.tracer);
    handle = wait_in_scopes(program.tracer).handle;
  }
  {
    const Scope other(program.tracer);
    handle.destroy();
    CHECK(Context::current() == other.context());
  }
  std::thread thread;
  {
    const Scope scope(program.tracer);
    run_elsewhere(program.tracer, thread);
    CHECK(Context::current() == scope.context());
    thread.join();
    CHECK(program.event("elsewhere").texts.execution == scope.context().execution());
  }
  CHECK_FALSE(Context::current());
}

TEST_CASE("A coroutine that ends by an exception leaves no context behind") {
  TracedProgram program;
  Throwing throwing;
  {
    const Scope scope(program.tracer);
    throwing = fail();
  }
  {
    const Scope other(program.tracer);
    CHECK_THROWS_AS(throwing.handle.resume(), std::runtime_error);
    CHECK(Context::current() == other.context());
  }
  throwing.handle.destroy();
  CHECK_FALSE(Context::current());
}

}  // namespace
}  // namespace codewake::testing
