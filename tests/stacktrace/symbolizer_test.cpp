#include <dlfcn.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "codewake/frame.hpp"
#include "codewake/header_function.hpp"
#include "codewake/stacktrace.hpp"
#include "places.hpp"
#include "support/sanitizers.hpp"
#include "traces.hpp"

using codewake::Frame;
using codewake::Stacktrace;
using codewake::testing::find_frame;
using codewake::testing::innermost;
using codewake::testing::Recording;
using codewake::testing::to_text;

namespace codewake::shop {

[[gnu::noinline]] Stacktrace capture_in_shop() {
  Stacktrace trace = Stacktrace::current();
  asm volatile("nop; nop; nop; nop" : : "r"(&trace));
  return trace;
}

}  // namespace codewake::shop

namespace {

constexpr unsigned kLine = __LINE__ + 2;
[[gnu::noinline]] Stacktrace capture_here() {
  Stacktrace trace = Stacktrace::current();  // ümläut in a comment
  asm volatile("" : : "r"(&trace));
  return trace;
}

[[gnu::always_inline]] inline Stacktrace capture_inlined() {
  Stacktrace trace = Stacktrace::current();
  asm volatile("nop" : : "r"(&trace));  // else this and capture_here would become one
  return trace;
}

[[gnu::noinline]] Stacktrace caller_of_inlined() {
  return capture_inlined();
}

Stacktrace at(std::uintptr_t address) {
  void* const addresses[] = {reinterpret_cast<void*>(address)};
  return Stacktrace(std::span<void* const>(addresses));
}

// A shared object, open for as long as this lives.
class Plugin {
 public:
  Plugin() : handle_(dlopen(path().c_str(), RTLD_NOW | RTLD_LOCAL)) { REQUIRE_MESSAGE(handle_, dlerror()); }
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;
  ~Plugin() { dlclose(handle_); }

  Stacktrace capture() const {
    Stacktrace trace;
    reinterpret_cast<CallBack>(dlsym(handle_, "call_back"))(
        [](void* data) { *static_cast<Stacktrace*>(data) = capture_here(); }, &trace);
    return trace;
  }

  static std::string path() {
    return std::string(std::getenv("CODEWAKE_TEST_PROGRAMS")) + "/frames_plugin.so";
  }

 private:
  void* handle_;
};

}  // namespace

TEST_CASE("A frame has its function, file, line and the source line without white space around it") {
  const Stacktrace trace = capture_here();
  CAPTURE(to_text(trace));
  const Frame& frame = trace.frames().front();
  CHECK(frame.function == "(anonymous namespace)::capture_here()");
  CHECK(std::filesystem::path(frame.filename).filename() == "symbolizer_test.cpp");
  CHECK(std::filesystem::path(frame.filename).is_absolute());
  CHECK(frame.lineno == kLine);
  CHECK(frame.src == "Stacktrace trace = Stacktrace::current();  // ümläut in a comment");
  CHECK(std::filesystem::equivalent(frame.module, "/proc/self/exe"));
  CHECK(frame.build_id.size() == 40);
  CHECK(frame.build_id.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(frame.offset != 0);
}

TEST_CASE("A function that was inlined is a frame of its own, at the same offset") {
  const Stacktrace trace = caller_of_inlined();
  CAPTURE(to_text(trace));
  const std::vector<Frame>& frames = trace.frames();
  REQUIRE(frames.size() > trace.addresses().size());
  CHECK(frames[0].function.find("capture_inlined") != std::string::npos);
  CHECK(frames[1].function.find("caller_of_inlined") != std::string::npos);
  CHECK(frames[1].src == "return capture_inlined();");
  CHECK(frames[0].offset == frames[1].offset);
}

TEST_CASE("Functions of public headers are left out where they are innermost, inlined or not") {
  for (const Stacktrace& trace : {codewake::capture_in_header(), codewake::capture_called_in_header()}) {
    CAPTURE(to_text(trace));
    REQUIRE_FALSE(trace.frames().empty());
    CHECK(trace.frames().front().src.starts_with("for (const Stacktrace& trace"));
  }
  const Stacktrace trace = codewake::call_from_header(&capture_here);
  CAPTURE(to_text(trace));
  CHECK(trace.frames().front().function.find("capture_here") != std::string::npos);
  CHECK(find_frame(trace, "codewake::call_from_header") != nullptr);
}

TEST_CASE("A function of the program in a namespace called codewake is shown") {
  const Stacktrace trace = codewake::shop::capture_in_shop();
  CAPTURE(to_text(trace));
  CHECK(trace.frames().front().function == "codewake::shop::capture_in_shop()");
}

TEST_CASE("The limit counts inlined functions too") {
  Stacktrace trace = caller_of_inlined();
  trace.truncate(1);
  REQUIRE(trace.frames().size() == 1);
  CHECK(trace.frames().front().function.find("capture_inlined") != std::string::npos);
}

TEST_CASE("Where the source cannot be read there is a line and no source") {
  const Stacktrace trace = capture_in_ghost();
  CAPTURE(to_text(trace));
  const Frame& frame = trace.frames().front();
  CHECK(frame.filename == "/nonexistent/ghost.cpp");
  CHECK(frame.lineno == 101);
  CHECK(frame.src == "");
  CHECK(frame.function == "capture_in_ghost()");
}

TEST_CASE("Without debug information a frame has module, offset and the name of an exported function") {
  const Recording recording;
  try {
    (void)std::stoi("zz");
  } catch (const std::exception& exception) {
    const Frame frame = innermost(Stacktrace::thrown_at(exception));
    if (frame.lineno != 0) return;  // debug information of the standard library is installed
    CHECK(frame.module.find("libstdc++.so") != std::string::npos);
    CHECK(frame.filename == frame.module);
    CHECK(frame.src.starts_with("+0x"));
    CHECK(std::stoull(frame.src.substr(1), nullptr, 16) == frame.offset);
    CHECK(frame.function == "std::__throw_invalid_argument(char const*)");
  }
}

TEST_CASE("An address in no module is a frame that says so") {
  for (const std::uintptr_t address : {std::uintptr_t{1}, std::uintptr_t{0x1234}, UINTPTR_MAX}) {
    const Stacktrace trace = at(address);
    REQUIRE(trace.frames().size() == 1);
    const Frame& frame = trace.frames().front();
    CHECK(frame.filename == "[unknown]");
    CHECK(frame.lineno == 0);
    CHECK(std::stoull(frame.src.substr(1), nullptr, 16) == address - 1);
    CHECK(frame.module == "");
    CHECK(frame.function == "");
  }
  const auto on_heap = std::make_unique<int>(1);
  CHECK(at(reinterpret_cast<std::uintptr_t>(on_heap.get())).frames().front().filename == "[unknown]");
  CHECK(at(0).frames().front().filename == "[unknown]");
}

TEST_CASE("A shared object that is opened later has functions and lines too") {
  CHECK_FALSE(capture_here().frames().empty());
  const Plugin plugin;
  const Stacktrace trace = plugin.capture();
  CAPTURE(to_text(trace));
  const Frame* frame = find_frame(trace, "call_back");
  REQUIRE(frame != nullptr);
  CHECK(std::filesystem::path(frame->filename).filename() == "frames_plugin.cpp");
  CHECK(frame->src == "callback(data);");
  CHECK(std::filesystem::equivalent(frame->module, Plugin::path()));
}

TEST_CASE("Frames of a shared object that is closed and opened again are the same, and unknown at worst") {
  Stacktrace early;
  Frame known;
  {
    const Plugin plugin;
    early = plugin.capture();
    const Stacktrace same = early;
    const Frame* frame = find_frame(same, "call_back");
    REQUIRE(frame != nullptr);
    known = *frame;
  }
  CAPTURE(to_text(early));
  const Frame* const closed = find_frame(early, "call_back");
  if (codewake::testing::kSanitized) {  // dlclose is not replaced
    CHECK(closed == nullptr);
    CHECK(std::ranges::any_of(early.frames(), [](const Frame& f) { return f.filename == "[unknown]"; }));
  } else {
    REQUIRE(closed != nullptr);
    CHECK(*closed == known);
  }
  const Plugin again;
  const Stacktrace late = again.capture();
  const Frame* frame = find_frame(late, "call_back");
  REQUIRE(frame != nullptr);
  CHECK(*frame == known);
}

TEST_CASE("Many threads may look at traces at once") {
  std::vector<Frame> expected = capture_here().frames();
  expected.resize(1);
  std::vector<std::thread> threads;
  std::vector<int> right(8);
  for (int& count : right) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        if (capture_here().frames().front() == expected.front()) ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == std::vector<int>(8, 200));
}
