// Instances of a template: what tells their stacks apart.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "codewake/digest.hpp"
#include "codewake/frame.hpp"
#include "codewake/stacktrace.hpp"

using codewake::Frame;
using codewake::Stacktrace;

namespace {

template <class T, int N>
[[gnu::noinline]] Stacktrace capture_of() {
  Stacktrace trace = Stacktrace::current();
  asm volatile("" : : "r"(&trace), "i"(N));  // another one in each: equal code would become one
  return trace;
}

template <class... Types>
[[gnu::noinline]] Stacktrace capture_of_all() {
  Stacktrace trace = Stacktrace::current();
  asm volatile("" : : "r"(&trace), "i"(sizeof...(Types)));
  return trace;
}

template <class Item, bool IsLarge>
struct Box {
  [[gnu::noinline]] static Stacktrace capture() {
    Stacktrace trace = Stacktrace::current();
    asm volatile("" : : "r"(&trace), "i"(sizeof(Item) + IsLarge));
    return trace;
  }
  template <class Other>
  [[gnu::noinline]] static Stacktrace capture_with() {
    Stacktrace trace = Stacktrace::current();
    asm volatile("" : : "r"(&trace), "i"(sizeof(Item) * sizeof(Other)));
    return trace;
  }
};

struct Ordered {
  [[gnu::noinline]] Stacktrace operator<(int) const {
    Stacktrace trace = Stacktrace::current();
    asm volatile("" : : "r"(&trace));
    return trace;
  }
};

std::string innermost_source(const Stacktrace& trace) {
  return trace.frames().front().src;
}

const std::string kCapture = "Stacktrace trace = Stacktrace::current();";

}  // namespace

TEST_CASE("The source of a frame in an instance of a template says which") {
  CHECK(innermost_source(capture_of<double, 7>()) == kCapture + " [T = double, N = 7]");
  CHECK(innermost_source(capture_of<const char*, -1>()) == kCapture + " [T = char const*, N = -1]");
  CHECK(innermost_source(capture_of_all<int, unsigned char>()) ==
        kCapture + " [Types = <int, unsigned char>]");
  CHECK(innermost_source(capture_of_all<>()) == kCapture + " [Types = <>]");
  CHECK(innermost_source(Box<float, true>::capture()) == kCapture + " [Item = float, IsLarge = true]");
  CHECK(innermost_source(Box<double, false>::capture_with<float>()) ==
        kCapture + " [Item = double, IsLarge = false, Other = float]");
  const std::string of_string = innermost_source(capture_of<std::string, 3>());
  CHECK(of_string.find("[T = std::__cxx11::basic_string<char, ") != std::string::npos);
}

TEST_CASE("The source of a frame in another function is the line alone") {
  CHECK(innermost_source(Ordered() < 1) == kCapture);
  const auto lambda = [](const std::vector<int>&) {
    Stacktrace trace = Stacktrace::current();
    asm volatile("" : : "r"(&trace));
    return trace;
  };
  CHECK(innermost_source(lambda({})) == kCapture);
}

TEST_CASE("Two instances of a template have two stacks") {
  const Stacktrace of_int = capture_of<int, 11>(), of_double = capture_of<double, 12>();
  const std::vector<Frame> one(of_int.frames().begin(), of_int.frames().begin() + 1);
  const std::vector<Frame> other(of_double.frames().begin(), of_double.frames().begin() + 1);
  CHECK(one.front().filename == other.front().filename);
  CHECK(one.front().lineno == other.front().lineno);
  CHECK(codewake::digest_of(one) != codewake::digest_of(other));
}
