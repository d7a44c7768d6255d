#include "codewake/throw_hook.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <any>
#include <atomic>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <typeinfo>
#include <vector>

#include "codewake/stacktrace.hpp"
#include "support/sanitizers.hpp"
#include "traces.hpp"

using codewake::Stacktrace;
using codewake::testing::find_frame;
using codewake::testing::innermost;
using codewake::testing::Recording;
using codewake::testing::to_text;

namespace {

// The compiler must neither inline what follows nor turn the last call into a jump.
#define KEEP_FRAME asm volatile("")

struct Error : std::runtime_error {
  using runtime_error::runtime_error;
};

struct Shape {
  virtual ~Shape() = default;
};
struct Circle : Shape {};

constexpr unsigned kThrowLine = __LINE__ + 2;
[[gnu::noinline]] void throw_error(const char* text) {
  throw Error(text);
}

[[gnu::noinline]] void outer_one() {
  throw_error("one");
  KEEP_FRAME;
}

[[gnu::noinline]] void throw_from_library(const std::function<void()>& call) {
  call();
  KEEP_FRAME;
}

std::optional<Stacktrace> trace_of(const std::function<void()>& call) {
  try {
    throw_from_library(call);
  } catch (const std::exception& exception) {
    return Stacktrace::thrown_at(exception);
  }
  FAIL("nothing was thrown");
  return std::nullopt;
}

void check_comes_through_caller(const char* what, const std::function<void()>& call) {
  CAPTURE(what);
  const std::optional<Stacktrace> trace = trace_of(call);
  REQUIRE(trace.has_value());
  CAPTURE(to_text(*trace));
  CHECK(find_frame(*trace, "throw_from_library") != nullptr);
  CHECK(find_frame(*trace, "__cxa_throw") == nullptr);
}

}  // namespace

TEST_CASE("The hook is in force in a program that links the library") {
  CHECK(codewake::throw_hook_in_force());
  CHECK(codewake::throw_hook_problem() == "");
}

TEST_CASE("A caught exception has the stack of its throw, innermost first") {
  const Recording recording;
  const std::optional<Stacktrace> trace = trace_of(&outer_one);
  REQUIRE(trace.has_value());
  CAPTURE(to_text(*trace));
  const codewake::Frame top = innermost(trace);
  CHECK(top.function.find("throw_error") != std::string::npos);
  CHECK(top.lineno == kThrowLine);
  CHECK(top.src == "throw Error(text);");
  const codewake::Frame* caller = find_frame(*trace, "outer_one");
  REQUIRE(caller != nullptr);
  CHECK(caller->src == "throw_error(\"one\");");
  CHECK(find_frame(*trace, "throw_error") < caller);
  CHECK(find_frame(*trace, "main") > caller);
}

TEST_CASE("What the standard library throws has the stack of the call") {
  const Recording recording;
  check_comes_through_caller("vector::at", [] { std::vector<int>().at(3) = 1; });
  check_comes_through_caller("map::at", [] { std::map<int, int>().at(3) = 1; });
  check_comes_through_caller("stoi", [] { (void)std::stoi("zz"); });
  check_comes_through_caller("string::substr", [] { (void)std::string("a").substr(9); });
  if (!codewake::testing::kSanitized) {  // a sanitizer's operator new ends the program instead
    check_comes_through_caller("bad_alloc", [] {
      void* volatile memory = ::operator new (std::size_t{1} << 62);
      ::operator delete(memory);
    });
  }
  check_comes_through_caller("bad_cast", [] {
    Shape shape;
    Shape& reference = shape;
    (void)dynamic_cast<Circle&>(reference);
  });
  check_comes_through_caller("bad_function_call", [] { std::function<void()>()(); });
  check_comes_through_caller("bad_any_cast", [] { (void)std::any_cast<double>(std::any(1)); });
  check_comes_through_caller("bad_optional_access", [] { (void)std::optional<int>().value(); });
  check_comes_through_caller("filesystem_error", [] { (void)std::filesystem::file_size("/nonexistent"); });
}

TEST_CASE("An exception out of a future has the stack of the throw in the other thread") {
  const Recording recording;
  auto result = std::async(std::launch::async, &outer_one);
  const std::optional<Stacktrace> trace = trace_of([&] { result.get(); });
  REQUIRE(trace.has_value());
  CAPTURE(to_text(*trace));
  CHECK(find_frame(*trace, "outer_one") != nullptr);
  CHECK(find_frame(*trace, "throw_from_library") == nullptr);
}

TEST_CASE("A rethrow keeps the stack of the first throw") {
  const Recording recording;
  const auto rethrow_plainly = [] {
    try {
      outer_one();
    } catch (...) {
      throw;
    }
  };
  const auto rethrow_pointer = [] {
    try {
      outer_one();
    } catch (...) {
      std::rethrow_exception(std::current_exception());
    }
  };
  CHECK(innermost(trace_of(rethrow_plainly)).lineno == kThrowLine);
  CHECK(innermost(trace_of(rethrow_pointer)).lineno == kThrowLine);
}

TEST_CASE("A stack goes with an exception_ptr to another thread") {
  const Recording recording;
  std::exception_ptr pointer;
  std::thread([&] {
    try {
      outer_one();
    } catch (...) {
      pointer = std::current_exception();
    }
  }).join();
  const std::exception_ptr copy = pointer;
  pointer = nullptr;
  CHECK(innermost(Stacktrace::thrown_at(copy)).lineno == kThrowLine);
  CHECK(innermost(trace_of([&] { std::rethrow_exception(copy); })).lineno == kThrowLine);
}

TEST_CASE("An exception that make_exception_ptr makes has the stack of that call, also once rethrown") {
  const Recording recording;
  const unsigned line = __LINE__ + 1;
  const std::exception_ptr pointer = std::make_exception_ptr(Error("made"));
  const std::optional<Stacktrace> made = Stacktrace::thrown_at(pointer);
  REQUIRE(made.has_value());
  const auto& frames = made->frames();
  CHECK(std::any_of(frames.begin(), frames.end(), [&](const auto& frame) { return frame.lineno == line; }));
  const std::optional<Stacktrace> rethrown = trace_of([&] { std::rethrow_exception(pointer); });
  REQUIRE(rethrown.has_value());
  CHECK(std::ranges::equal(rethrown->addresses(), made->addresses()));
}

TEST_CASE("What is no std::exception has a stack too") {
  const Recording recording;
  const auto check = [](auto thrown) {
    try {
      throw thrown;
    } catch (...) {
      const std::optional<Stacktrace> trace = Stacktrace::thrown_at(std::current_exception());
      REQUIRE(trace.has_value());
      CHECK(trace->addresses().size() > 1);
    }
  };
  check(1);
  check("text");
  check(std::string("text"));
}

// Catching by value is what the next test is about.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcatch-value"

TEST_CASE("A copy of the exception being handled has its stack") {
  const Recording recording;
  SUBCASE("caught by value") {
    try {
      outer_one();
    } catch (Error copy) {  // NOLINT
      CHECK(innermost(Stacktrace::thrown_at(copy)).lineno == kThrowLine);
    }
  }
  SUBCASE("caught by value as a base") {
    try {
      outer_one();
    } catch (std::runtime_error copy) {  // NOLINT
      CHECK(innermost(Stacktrace::thrown_at(copy)).lineno == kThrowLine);
    }
  }
  SUBCASE("but not another exception") {
    try {
      outer_one();
    } catch (const Error&) {
      CHECK_FALSE(Stacktrace::thrown_at(Error("two")).has_value());
      CHECK_FALSE(Stacktrace::thrown_at(std::logic_error("one")).has_value());
    }
  }
}

#pragma GCC diagnostic pop

TEST_CASE("An exception that is thrown as a pointer has the stack of the throw") {
  const Recording recording;
  try {
    throw new Error("pointer");
  } catch (const Error* exception) {
    CHECK(Stacktrace::thrown_at(*exception).has_value());
    CHECK(Stacktrace::thrown_at(std::current_exception()).has_value());
    delete exception;
  }
}

TEST_CASE("Each of two nested exceptions has the stack of its own throw") {
  const Recording recording;
  const auto nest = [] {
    try {
      outer_one();
    } catch (...) {
      std::throw_with_nested(std::logic_error("outer"));
    }
  };
  try {
    nest();
  } catch (const std::exception& exception) {
    const std::optional<Stacktrace> outer = Stacktrace::thrown_at(exception);
    REQUIRE(outer.has_value());
    CHECK(find_frame(*outer, "outer_one") == nullptr);
    const auto& nested = dynamic_cast<const std::nested_exception&>(exception);
    CHECK(innermost(Stacktrace::thrown_at(nested.nested_ptr())).lineno == kThrowLine);
  }
}

TEST_CASE("Nothing is recorded while recording is off") {
  CHECK_FALSE(trace_of(&outer_one).has_value());
  { const Recording recording; }
  CHECK_FALSE(trace_of(&outer_one).has_value());
  CHECK_FALSE(Stacktrace::thrown_at(std::make_exception_ptr(1)).has_value());
}

TEST_CASE("What was never thrown has no stack") {
  const Recording recording;
  CHECK_FALSE(Stacktrace::thrown_at(Error("made")).has_value());
  CHECK_FALSE(Stacktrace::thrown_at(std::exception_ptr()).has_value());
}

TEST_CASE("An exception recorded before keeps its stack when recording ends") {
  std::exception_ptr pointer;
  {
    const Recording recording;
    pointer = std::make_exception_ptr(1);
  }
  CHECK(Stacktrace::thrown_at(pointer).has_value());
}

TEST_CASE("No more frames are recorded than asked for, and at least one") {
  for (const std::size_t asked : {std::size_t{0}, std::size_t{1}, std::size_t{3}}) {
    const Recording recording(asked);
    const std::optional<Stacktrace> trace = trace_of(&outer_one);
    REQUIRE(trace.has_value());
    CHECK(trace->addresses().size() == std::max<std::size_t>(asked, 1));
  }
}

TEST_CASE("Eight threads that throw at once each find their own stacks") {
  const Recording recording;
  std::atomic<int> wrong = 0;
  const auto work = [&](int number) {
    for (int i = 0; i < 500; ++i) {
      std::exception_ptr kept;
      try {
        if ((i + number) % 2 == 0) {
          outer_one();
        } else {
          throw_error("direct");
        }
      } catch (...) {
        kept = std::current_exception();
      }
      const std::optional<Stacktrace> trace = Stacktrace::thrown_at(kept);
      if (!trace || trace->empty()) ++wrong;
      if (trace && i % 100 < 2) {
        if (((i + number) % 2 == 0) != (find_frame(*trace, "outer_one") != nullptr)) ++wrong;
      }
    }
  };
  std::vector<std::thread> threads;
  for (int number = 0; number < 8; ++number) threads.emplace_back(work, number);
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}
