// Conformance: frames that are resolved after they were stored. Include store_conformance.hpp instead.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/digest.hpp"
#include "codewake/event.hpp"
#include "codewake/frame.hpp"
#include "codewake/records.hpp"
#include "codewake/stacktrace.hpp"
#include "codewake/store.hpp"
#include "codewake/testing/conformance_support.hpp"

namespace codewake::testing::conformance {

inline constexpr std::size_t kAllStacktraces = std::numeric_limits<std::size_t>::max();

/// A frame as it is stored where only the module's file was there.
inline Frame unresolved_frame(std::uint64_t offset) {
  Frame frame;
  frame.filename = frame.module = "/usr/bin/shop";
  frame.src = "offset " + std::to_string(offset);
  frame.build_id = "0123456789abcdef";
  frame.offset = offset;
  return frame;
}

/// What becomes of it: a function, and another that was inlined there.
inline std::vector<Frame> resolved_frames(std::uint64_t offset) {
  std::vector<Frame> frames = {frame("inlined", 7), frame("outer", 70)};
  for (Frame& frame : frames) {
    frame.module = "/usr/bin/shop";
    frame.build_id = "0123456789abcdef";
    frame.offset = offset;
  }
  return frames;
}

inline std::vector<StacktraceRecord> resolve_all(std::vector<StacktraceRecord> stacktraces) {
  for (StacktraceRecord& stacktrace : stacktraces) {
    std::vector<Frame> frames;
    for (const Frame& known : stacktrace.frames) {
      std::vector<Frame> now = {known};
      if (known.lineno == 0) now = resolved_frames(known.offset);
      frames.insert(frames.end(), now.begin(), now.end());
    }
    stacktrace.frames = std::move(frames);
  }
  return stacktraces;
}

/// The id of the stack trace of an event that is written with these frames.
inline StacktraceRecord add_stacktrace(Store& store, Id process_id, const std::vector<Frame>& frames) {
  const Stacktrace stacktrace(frames);
  const EventRecord event = add_event(store, process_id, {{"k", "v"}}, at(0), &stacktrace);
  DOCTEST_REQUIRE(event.stacktrace_id.has_value());
  return {*event.stacktrace_id, digest_of(frames), frames};
}

inline void unresolved_stacktraces_are_listed(const Storage& storage) {
  if (!storage.replaces_frames) return skip("the store cannot change stack traces");
  const auto store = storage.open();
  CODEWAKE_CONFORMANCE_SAME(store->get_stacktraces_to_symbolize(0, 10), {});
  CODEWAKE_CONFORMANCE_SAME(store->count_stacktraces_to_symbolize(), 0);
  const Id process_id = add_process(*store);
  const std::vector<Frame> resolved = resolved_frames(1);
  Frame without_build_id = unresolved_frame(2);
  without_build_id.build_id.clear();
  Frame without_module = unresolved_frame(3);
  without_module.module.clear();
  Frame without_function = resolved[1];
  without_function.function.clear();
  without_function.lineno = 4;
  Frame without_line = unresolved_frame(5);
  without_line.function = "exported";
  std::vector<StacktraceRecord> expected;
  expected.push_back(add_stacktrace(*store, process_id, {resolved[0], resolved[1], unresolved_frame(9)}));
  add_stacktrace(*store, process_id, resolved);
  expected.push_back(add_stacktrace(*store, process_id, {without_function}));
  add_stacktrace(*store, process_id, {without_build_id});
  add_stacktrace(*store, process_id, {without_module});
  add_stacktrace(*store, process_id, {});
  expected.push_back(add_stacktrace(*store, process_id, {without_line, frame("main")}));
  std::ranges::sort(expected, {}, &StacktraceRecord::id);
  CODEWAKE_CONFORMANCE_SAME(store->count_stacktraces_to_symbolize(), 3);
  CODEWAKE_CONFORMANCE_SAME(store->get_stacktraces_to_symbolize(0, kAllStacktraces), expected);
  CODEWAKE_CONFORMANCE_SAME(store->get_stacktraces_to_symbolize(0, 2), {expected[0], expected[1]});
  CODEWAKE_CONFORMANCE_SAME(store->get_stacktraces_to_symbolize(expected[1].id, 2), {expected[2]});
  CODEWAKE_CONFORMANCE_SAME(store->get_stacktraces_to_symbolize(expected[2].id, 2), {});
  CODEWAKE_CONFORMANCE_SAME(store->get_stacktraces_to_symbolize(0, 0), {expected[0]});
}

inline void replaced_frames_are_of_the_same_stacktrace(const Storage& storage) {
  if (!storage.replaces_frames) return skip("the store cannot change stack traces");
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const std::vector<Frame> old_frames = {unresolved_frame(1), frame("main")};
  const StacktraceRecord old_one = add_stacktrace(*store, process_id, old_frames);
  add_stacktrace(*store, process_id, old_frames);
  add_stacktrace(*store, process_id, {frame("other")});
  std::vector<EventRecord> expected = store->get_events({}).events;

  CODEWAKE_CONFORMANCE_SAME(store->replace_frames({}), FramesReplaced());
  std::vector<StacktraceRecord> resolved = resolve_all(store->get_stacktraces_to_symbolize(0, 10));
  DOCTEST_REQUIRE(resolved.size() == 1);
  resolved[0].frames[0].function += " \xff";
  CODEWAKE_CONFORMANCE_SAME(store->replace_frames(resolved), {.replaced = 1});
  const std::vector<Frame> fit = Stacktrace(resolved[0].frames).frames();
  for (EventRecord& event : expected) {
    if (event.stacktrace_id == old_one.id) event.frames = fit;
  }
  CODEWAKE_CONFORMANCE_SAME(store->get_events({}).events, expected);
  CODEWAKE_CONFORMANCE_SAME(store->count_stacktraces_to_symbolize(), 0);
  CODEWAKE_CONFORMANCE_SAME(add_stacktrace(*store, process_id, fit).id, old_one.id);

  // Whoever cannot resolve them stores the old ones again: they are another stack trace now.
  const StacktraceRecord again = add_stacktrace(*store, process_id, old_frames);
  DOCTEST_CHECK(again.id != old_one.id);
  CODEWAKE_CONFORMANCE_SAME(store->get_stacktraces_to_symbolize(0, 10), {again});

  // A function is not part of what makes a stack trace another one.
  std::vector<StacktraceRecord> named = {again};
  named[0].frames[0].function = "exported";
  CODEWAKE_CONFORMANCE_SAME(store->replace_frames(named), {.replaced = 1});
  CODEWAKE_CONFORMANCE_SAME(store->get_stacktraces_to_symbolize(0, 10), named);
}

inline void equal_stacktraces_are_merged(const Storage& storage) {
  if (!storage.replaces_frames) return skip("the store cannot change stack traces");
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  // Three that become one that is there, and two that become one that is not.
  const StacktraceRecord there = add_stacktrace(*store, process_id, resolved_frames(1));
  std::set<Id> become_new;
  for (const std::uint64_t offset : {1, 2, 3, 4, 5}) {
    const StacktraceRecord added = add_stacktrace(*store, process_id, {unresolved_frame(offset)});
    if (offset > 3) become_new.insert(added.id);
  }
  std::vector<StacktraceRecord> resolved = store->get_stacktraces_to_symbolize(0, 10);
  DOCTEST_REQUIRE(resolved.size() == 5);
  for (StacktraceRecord& stacktrace : resolved) {
    const bool is_new = become_new.contains(stacktrace.id);
    stacktrace.frames = is_new ? std::vector<Frame>{frame("new")} : there.frames;
  }
  const std::size_t events = store->get_events({}).events.size();
  CODEWAKE_CONFORMANCE_SAME(store->replace_frames(resolved), {.replaced = 1, .merged = 4});
  CODEWAKE_CONFORMANCE_SAME(store->count_stacktraces_to_symbolize(), 0);
  std::set<Id> ids;
  std::size_t moved = 0;
  const std::vector<EventRecord> left = store->get_events({}).events;
  for (const EventRecord& event : left) {
    ids.insert(event.stacktrace_id.value_or(0));
    if (event.stacktrace_id != there.id) continue;
    ++moved;
    CODEWAKE_CONFORMANCE_SAME(event.frames, there.frames);
  }
  CODEWAKE_CONFORMANCE_SAME(left.size(), events);
  CODEWAKE_CONFORMANCE_SAME(ids.size(), 2);
  CODEWAKE_CONFORMANCE_SAME(moved, 4);
  // Once again is right, and changes nothing.
  CODEWAKE_CONFORMANCE_SAME(store->replace_frames(resolved), FramesReplaced());
  CODEWAKE_CONFORMANCE_SAME(store->get_events({}).events, left);
  if (!storage.removes) return;
  CODEWAKE_CONFORMANCE_SAME(store->remove_older(at(1), 100), {.events = events, .stacktraces = 2});
}

inline void stacktraces_that_changed_are_passed_over(const Storage& storage) {
  if (!storage.replaces_frames) return skip("the store cannot change stack traces");
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const StacktraceRecord known = add_stacktrace(*store, process_id, {unresolved_frame(1)});
  const std::vector<EventRecord> events = store->get_events({}).events;
  StacktraceRecord another = known;
  another.digest[0] ^= 1;
  another.frames = resolved_frames(1);
  StacktraceRecord gone = known;
  gone.id += 1000;
  gone.frames = another.frames;
  CODEWAKE_CONFORMANCE_SAME(store->replace_frames({another, gone}), FramesReplaced());
  CODEWAKE_CONFORMANCE_SAME(store->get_events({}).events, events);
  // The second of two is another one by then.
  StacktraceRecord first = known, second = known;
  first.frames = resolved_frames(1);
  second.frames = {frame("wrong")};
  CODEWAKE_CONFORMANCE_SAME(store->replace_frames({first, second}), {.replaced = 1});
  CODEWAKE_CONFORMANCE_SAME(store->get_event_by_id(events.at(0).id)->frames, first.frames);
}

inline void frames_are_replaced_beside_a_writer(const Storage& storage) {
  if (!storage.replaces_frames) return skip("the store cannot change stack traces");
  const auto store = storage.open();
  const auto other = storage.reopens ? storage.open() : store;
  constexpr int kBatches = 40, kStacks = 3;
  std::vector<Stacktrace> stacks;
  for (std::uint64_t i = 0; i < kStacks; ++i) {
    stacks.emplace_back(std::vector<Frame>{unresolved_frame(i), frame("main " + std::to_string(i))});
    stacks.back().frames();
  }
  const Id process_id = add_process(*store);
  std::atomic<bool> done{false};
  const auto replace_all = [&] {
    other->replace_frames(resolve_all(other->get_stacktraces_to_symbolize(0, 2)));
  };
  const std::string problems = in_threads(2, [&](int thread) {
    if (thread == 0) {
      while (!done) replace_all();
      return;
    }
    const struct Done {
      std::atomic<bool>& done;
      ~Done() { done = true; }
    } when_it_ends{done};
    for (int i = 0; i < kBatches; ++i) {
      BatchOfItsOwn batch;
      const std::uint32_t process = batch.process(process_id);
      for (const Stacktrace& stack : stacks) batch.event(process, {{"k", "v"}}, at(i), &stack);
      batch.write_to(*store);
    }
  });
  CODEWAKE_CONFORMANCE_SAME(problems, "");
  for (int i = 0; i < kStacks && store->count_stacktraces_to_symbolize() > 0; ++i) replace_all();
  CODEWAKE_CONFORMANCE_SAME(store->count_stacktraces_to_symbolize(), 0);
  std::set<Id> ids;
  const std::vector<EventRecord> events = store->get_events({.limit = kBatches * kStacks + 1}).events;
  CODEWAKE_CONFORMANCE_SAME(events.size(), kBatches * kStacks);
  for (const EventRecord& event : events) {
    ids.insert(event.stacktrace_id.value_or(0));
    CODEWAKE_CONFORMANCE_SAME(event.frames.size(), 3);
  }
  CODEWAKE_CONFORMANCE_SAME(ids.size(), kStacks);
}

}  // namespace codewake::testing::conformance
