#include "codewake/boost_stacktrace.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/exception/all.hpp>
#include <boost/stacktrace.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "codewake/process.hpp"
#include "process/scripted_store.hpp"
#include "process/show.hpp"
#include "support/child.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

using codewake::EventRecord;
using codewake::Frame;
using codewake::Process;
using codewake::Stacktrace;
using codewake::testing::ChildResult;
using codewake::testing::in_child;
using codewake::testing::ScriptedStore;
using codewake::testing::show;

namespace {

#define KEEP_FRAME asm volatile("")

// The pattern of Boost's documentation, "Exceptions with stacktrace".
using traced = boost::error_info<struct tag_stacktrace, boost::stacktrace::stacktrace>;

template <class E>
[[noreturn, gnu::noinline]] void throw_with_trace(const E& exception) {
  throw boost::enable_error_info(exception) << traced(boost::stacktrace::stacktrace());
}

[[gnu::noinline]] void find_shelf(int shelf) {
  if (shelf > 8) throw_with_trace(std::out_of_range("shelf 9"));
  KEEP_FRAME;
}

[[gnu::noinline]] void culprit() {
  throw boost::enable_error_info(std::logic_error("no customer")) << traced(boost::stacktrace::stacktrace());
}

[[gnu::noinline]] void take_order() {
  culprit();
  KEEP_FRAME;
}

[[gnu::noinline]] void throw_again(const boost::exception_ptr& exception) {
  boost::rethrow_exception(exception);
  KEEP_FRAME;
}

struct LogicalTag;
struct Unknown : boost::exception {};  // no std::exception
struct Untraced : std::runtime_error {
  using runtime_error::runtime_error;
};

[[gnu::noinline]] boost::stacktrace::stacktrace capture_at_depth(int depth) {
  boost::stacktrace::stacktrace stack =
      depth == 0 ? boost::stacktrace::stacktrace() : capture_at_depth(depth - 1);
  asm volatile("" : : "r"(&stack));
  return stack;
}

bool has_frame(const std::vector<Frame>& frames, std::string_view part) {
  return std::ranges::any_of(frames, [&](const Frame& frame) {
    return frame.function.find(part) != frame.function.npos || frame.module.find(part) != frame.module.npos;
  });
}

// `function, its caller | data`, for each event that was recorded, oldest first.
std::string show_all(ScriptedStore& store) {
  std::string text;
  for (const EventRecord& event : store.get_events_by_data({})) {
    std::vector<Frame> frames = event.frames;
    frames.resize(std::max<std::size_t>(frames.size(), 2));
    text += fmt::format("{}, {} | {}\n", frames[0].function, frames[1].function, show(event.data));
  }
  return text;
}

// What is recorded where `fail` throws.
template <class Fail>
std::string recorded(Fail fail, codewake::LogOptions log_options = {},
                     codewake::ProcessOptions options = {}) {
  const ChildResult child = in_child([&] {
    const auto store = std::make_shared<ScriptedStore>();
    options.store = store;
    Process::instance(options);
    try {
      fail();
    } catch (const std::exception& e) {
      codewake::log_traced<traced>({{"event", "fault"}}, e, log_options);
    }
    fmt::print("{}", show_all(*store));
  });
  CHECK(child.err == "");
  return child.out;
}

}  // namespace

TEST_CASE("A stack of Boost has the same addresses here, and goes back as it came") {
  for (const int depth : {0, 20}) {
    const boost::stacktrace::stacktrace boosts = capture_at_depth(depth);
    const Stacktrace ours = codewake::from_boost(boosts);
    REQUIRE(ours.addresses().size() == boosts.size());
    for (std::size_t i = 0; i < boosts.size(); ++i) CHECK(ours.addresses()[i] == boosts[i].address());
    CHECK(codewake::to_boost(ours) == boosts);
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{2}, Stacktrace::kMaxFrames}) {
    const Stacktrace current = Stacktrace::current(size);
    const Stacktrace back = codewake::from_boost(codewake::to_boost(current));
    CHECK(std::ranges::equal(back.addresses(), current.addresses()));
  }
}

TEST_CASE("A stack of Boost that is deeper than ours keeps the innermost frames") {
  const boost::stacktrace::stacktrace boosts = capture_at_depth(300);
  REQUIRE(boosts.size() > 300);
  const Stacktrace ours = codewake::from_boost(boosts);
  REQUIRE(ours.addresses().size() == Stacktrace::kMaxFrames);
  CHECK(ours.addresses().front() == boosts[0].address());
  CHECK(ours.addresses().back() == boosts[Stacktrace::kMaxFrames - 1].address());
}

TEST_CASE("Stacks without addresses are empty for the other") {
  CHECK(codewake::from_boost(boost::stacktrace::stacktrace(0, 0)).empty());
  CHECK(codewake::to_boost(Stacktrace()).empty());
  CHECK(codewake::to_boost(Stacktrace(std::vector<Frame>(3))).empty());
}

TEST_CASE("A stack of Boost has frames with lines, and neither Boost's functions nor ours") {
  std::optional<Stacktrace> stack;
  unsigned line = 0;
  std::thread([&] {
    line = __LINE__ + 1;
    stack = codewake::from_boost(boost::stacktrace::stacktrace());
  }).join();
  REQUIRE(stack.has_value());
  const std::vector<Frame>& frames = stack->frames();
  CHECK(frames.front().lineno == line);
  CHECK(frames.front().src == "stack = codewake::from_boost(boost::stacktrace::stacktrace());");
  CHECK_FALSE(has_frame(frames, "boost::stacktrace"));
  CHECK_FALSE(has_frame(frames, "libcodewake.so"));  // it starts the program's threads
}

TEST_CASE("A program of Boost's documentation records the stacks that its exceptions carry") {
  CHECK(recorded([] { find_shelf(9); })
            .starts_with("void (anonymous namespace)::throw_with_trace<std::out_of_range>(std::out_of_range "
                         "const&), (anonymous namespace)::find_shelf(int) | event=fault "
                         "exception.type=std::out_of_range exception.message=shelf 9\n"));
  CHECK(
      recorded([] { take_order(); })
          .starts_with("(anonymous namespace)::culprit(), (anonymous namespace)::take_order() | event=fault "
                       "exception.type=std::logic_error exception.message=no customer\n"));
}

TEST_CASE("An exception that carries the stack of its throw is one event") {
  if (codewake::testing::kSanitized) CODEWAKE_SKIP("the sanitizer's own throw is a frame more");
  for (const std::string& text : {recorded([] { find_shelf(9); }), recorded([] { take_order(); })})
    CHECK(std::ranges::count(text, '\n') == 1);
}

TEST_CASE("After boost::rethrow_exception the culprit is recorded, and the rethrow beside it") {
  const auto rethrow = [] {
    boost::exception_ptr exception;
    std::thread([&] {
      try {
        take_order();
      } catch (...) {
        exception = boost::current_exception();
      }
    }).join();
    throw_again(exception);
  };
  const std::string text = recorded(rethrow);
  CAPTURE(text);
  CHECK(
      text.starts_with("(anonymous namespace)::culprit(), (anonymous namespace)::take_order() | event=fault "
                       "exception.type=std::logic_error exception.message=no customer\n"));
  const std::string second = text.substr(text.find('\n') + 1);
  CHECK(second.find("rethrow") != second.npos);
  CHECK(second.ends_with(
      " | event=codewake.rethrow exception.type=std::logic_error exception.message=no customer\n"));
  CHECK(std::ranges::count(text, '\n') == 2);
}

TEST_CASE("The event of a rethrow has the time of the exception's, and its throw_again") {
  const ChildResult child = in_child([&] {
    const auto store = std::make_shared<ScriptedStore>();
    Process::instance({.store = store});
    boost::exception_ptr exception;
    try {
      take_order();
    } catch (...) {
      exception = boost::current_exception();
    }
    try {
      throw_again(exception);
    } catch (const std::exception& e) {
      const auto record =
          codewake::log_traced<traced>(codewake::Attributes{{"event", "fault"}}, e, {.sync = true});
      const EventRecord rethrow = store->get_events_by_data({}).back();
      fmt::print("{} {} {} {}\n", rethrow.when == record->when, rethrow.id != record->id,
                 has_frame(record->frames, "culprit"), has_frame(record->frames, "throw_again"));
      fmt::print("{} {}\n", has_frame(rethrow.frames, "culprit"), has_frame(rethrow.frames, "throw_again"));
    }
  });
  CHECK(child.err == "");
  CHECK(child.out == "true true true false\nfalse true\n");
}

TEST_CASE("A stack that was added where the exception passed is recorded, and the throw beside it") {
  const auto add_late = [] {
    try {
      throw boost::enable_error_info(std::logic_error("late"));
    } catch (boost::exception& exception) {
      exception << traced(capture_at_depth(0));
      throw;
    }
  };
  const std::string text = recorded(add_late);
  CAPTURE(text);
  CHECK(text.starts_with("(anonymous namespace)::capture_at_depth(int), "));
  CHECK(text.find(" | event=codewake.rethrow exception.type=std::logic_error exception.message=late\n") !=
        text.npos);
}

TEST_CASE("An exception that carries no stack has that of its throw") {
  const auto fail = [] { throw Untraced("plain"); };
  const std::string text = recorded(fail);
  CAPTURE(text);
  CHECK(text.find("operator()") != text.npos);
  CHECK(text.ends_with(
      " | event=fault exception.type=(anonymous namespace)::Untraced exception.message=plain\n"));
  CHECK(std::ranges::count(text, '\n') == 1);
}

TEST_CASE("The options of log count for a carried stack, which is recorded also where stacks are off") {
  const auto rethrow = [] {
    try {
      take_order();
    } catch (...) {
      throw_again(boost::current_exception());
    }
  };
  const std::string without_stack =
      ",  | event=fault exception.type=std::logic_error exception.message=no customer\n";
  CHECK(recorded(rethrow, {.inc_st = false}) == without_stack);
  CHECK(recorded(rethrow, {.st_len = 0}) == without_stack);
  CHECK(recorded(take_order, {.st_len = 1}, {.st_from_exceptions = false}) ==
        "(anonymous namespace)::culprit()" + without_stack);
  const Stacktrace given = codewake::from_boost(capture_at_depth(1));
  CHECK(recorded(rethrow, {.stacktrace = &given})
            .starts_with(
                "(anonymous namespace)::capture_at_depth(int), (anonymous namespace)::capture_at_depth"));
}

TEST_CASE("A carried stack is found by its tag too, and in what is no std::exception") {
  using Logical = boost::error_info<LogicalTag, boost::stacktrace::stacktrace>;
  try {
    throw Unknown() << Logical(capture_at_depth(3));
  } catch (const boost::exception& exception) {
    const std::optional<Stacktrace> by_tag = codewake::carried_stack<LogicalTag>(exception);
    const std::optional<Stacktrace> by_info = codewake::carried_stack<Logical>(exception);
    REQUIRE(by_tag.has_value());
    REQUIRE(by_info.has_value());
    CHECK(std::ranges::equal(by_tag->addresses(), by_info->addresses()));
    CHECK_FALSE(codewake::carried_stack<traced>(exception).has_value());
  }
  const auto empty = boost::enable_error_info(std::logic_error(""))
                     << traced(boost::stacktrace::stacktrace(0, 0));
  CHECK_FALSE(codewake::carried_stack<traced>(empty).has_value());
}
