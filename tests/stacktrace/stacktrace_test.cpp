#include "codewake/stacktrace.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "codewake/frame.hpp"
#include "traces.hpp"

using codewake::Frame;
using codewake::Stacktrace;
using codewake::testing::find_frame;
using codewake::testing::to_text;

namespace {

[[gnu::noinline]] Stacktrace recurse(int depth, std::size_t max_frames) {
  if (depth == 0) return Stacktrace::current(max_frames);
  Stacktrace trace = recurse(depth - 1, max_frames);
  asm volatile("" : : "r"(&trace));
  return trace;
}

[[gnu::noinline]] Stacktrace capture_here() {
  Stacktrace trace = Stacktrace::current();
  asm volatile("" : : "r"(&trace));
  return trace;
}

Frame named(const char* function) {
  Frame frame;
  frame.function = function;
  return frame;
}

}  // namespace

TEST_CASE("A captured stack begins with the caller and holds no frame of the library") {
  const Stacktrace trace = capture_here();
  CAPTURE(to_text(trace));
  REQUIRE_FALSE(trace.frames().empty());
  CHECK(trace.frames().front().function.find("capture_here") != std::string::npos);
  for (const Frame& frame : trace.frames()) CHECK(frame.module.find("libcodewake") == std::string::npos);
  CHECK(find_frame(trace, "main") != nullptr);
}

TEST_CASE("A stack has at most so many frames as asked for, the innermost") {
  CHECK(recurse(1000, 5).addresses().size() == 5);
  CHECK(recurse(1000, 5).frames().size() == 5);
  CHECK(recurse(1000, 0).empty());
  CHECK(recurse(1000, Stacktrace::kDefaultFrames).addresses().size() == Stacktrace::kDefaultFrames);
  CHECK(recurse(1000, 100'000).addresses().size() == Stacktrace::kMaxFrames);
  for (const Frame& frame : recurse(1000, 100'000).frames()) {
    CHECK(frame.function.find("recurse") != std::string::npos);
  }
}

TEST_CASE("A stack of a short thread ends where the thread began") {
  Stacktrace trace;
  std::thread([&] { trace = capture_here(); }).join();
  CAPTURE(to_text(trace));
  CHECK(find_frame(trace, "capture_here") != nullptr);
  CHECK(find_frame(trace, "main") == nullptr);
  CHECK(std::ranges::find(trace.addresses(), nullptr) == trace.addresses().end());
}

TEST_CASE("Truncating drops the outermost frames") {
  Stacktrace trace = recurse(10, 64);
  const std::vector<void*> all(trace.addresses().begin(), trace.addresses().end());
  trace.truncate(all.size() + 1);
  CHECK(trace.addresses().size() == all.size());
  trace.truncate(3);
  REQUIRE(trace.addresses().size() == 3);
  CHECK(std::equal(trace.addresses().begin(), trace.addresses().end(), all.begin()));
  CHECK(trace.frames().size() == 3);
  trace.truncate(0);
  CHECK(trace.empty());
}

TEST_CASE("A trace made from frames has these frames and no addresses") {
  Stacktrace trace(std::vector<Frame>{named("inner"), named("outer")});
  CHECK_FALSE(trace.empty());
  CHECK(trace.addresses().empty());
  CHECK(trace.frames() == std::vector<Frame>{named("inner"), named("outer")});
  trace.truncate(1);
  CHECK(trace.frames() == std::vector<Frame>{named("inner")});
  CHECK(Stacktrace(std::vector<Frame>(1000)).frames().size() == Stacktrace::kMaxFrames);
}

TEST_CASE("A trace made from addresses keeps the innermost where there are too many") {
  std::vector<void*> addresses;
  for (std::size_t i = 0; i < 200; ++i) addresses.push_back(reinterpret_cast<void*>(i + 1));
  const Stacktrace trace((std::span<void* const>(addresses)));
  CHECK(trace.addresses().size() == Stacktrace::kMaxFrames);
  CHECK(trace.addresses().front() == addresses.front());
}

TEST_CASE("Copies are equal and what was moved from is empty") {
  CHECK(Stacktrace().empty());
  CHECK(Stacktrace().frames().empty());
  Stacktrace original = recurse(3, 64);
  const std::vector<void*> addresses(original.addresses().begin(), original.addresses().end());
  const Stacktrace copy = original;
  CHECK(std::ranges::equal(copy.addresses(), addresses));
  CHECK(copy.frames() == original.frames());
  Stacktrace assigned;
  assigned = copy;
  CHECK(assigned.frames() == copy.frames());
  Stacktrace moved = std::move(original);
  CHECK(moved.frames() == copy.frames());
  CHECK(original.empty());  // NOLINT: the state is promised
  CHECK(original.frames().empty());
  assigned = std::move(moved);
  CHECK(std::ranges::equal(assigned.addresses(), addresses));
  CHECK(moved.empty());  // NOLINT: the state is promised
}
