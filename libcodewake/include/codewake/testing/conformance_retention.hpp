// Conformance: removing what is old, and what of it others still need. Include store_conformance.hpp instead.
#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/errors.hpp"
#include "codewake/event.hpp"
#include "codewake/frame.hpp"
#include "codewake/records.hpp"
#include "codewake/stacktrace.hpp"
#include "codewake/store.hpp"
#include "codewake/testing/conformance_support.hpp"
#include "codewake/time.hpp"

namespace codewake::testing::conformance {

/// Removes slice by slice until nothing is left to remove; the result is the sum.
inline Removed remove_all_older(Store& store, Time before, std::size_t most) {
  Removed total;
  while (true) {
    const Removed slice = store.remove_older(before, most);
    if (slice.empty()) return total;
    total.events += slice.events;
    total.trace_events += slice.trace_events;
    total.stacktraces += slice.stacktraces;
    total.processes += slice.processes;
  }
}

inline void old_events_are_removed_in_slices(const Storage& storage) {
  if (!storage.removes) return skip("the store cannot remove what is old");
  const auto store = storage.open();
  CODEWAKE_CONFORMANCE_SAME(store->remove_older(at(150), 4), Removed());
  constexpr int kEvents = 25;
  BatchOfItsOwn batch;
  const std::uint32_t process = batch.process(process_info());
  for (int i = 0; i < kEvents; ++i) {
    const int n = i * 7 % kEvents;  // not in the order of their times
    batch.event(process, {{"n", n}, {"null", nullptr}}, at(n * 10));
  }
  batch.write_to(*store);
  std::vector<EventRecord> left = store->get_events({}).events;  // newest first
  for (const std::size_t count : {std::size_t{4}, std::size_t{4}, std::size_t{4}, std::size_t{3}}) {
    CODEWAKE_CONFORMANCE_SAME(store->remove_older(at(150), 4), {.events = count});
    left.resize(left.size() - count);
    CODEWAKE_CONFORMANCE_SAME(store->get_events({}).events, left);
  }
  CODEWAKE_CONFORMANCE_SAME(store->remove_older(at(150), 4), Removed());
  CODEWAKE_CONFORMANCE_SAME(left.size(), 10);
  CODEWAKE_CONFORMANCE_SAME(left.back().when, at(150));
  CODEWAKE_CONFORMANCE_SAME(store->get_processes({}).size(), 1);
}

inline void stacktrace_stays_while_referred_to(const Storage& storage) {
  if (!storage.removes) return skip("the store cannot remove what is old");
  const auto store = storage.open();
  const Stacktrace old_one(std::vector<Frame>{frame("old"), frame("main")});
  const Stacktrace shared(std::vector<Frame>{frame("shared"), frame("main")});
  const Stacktrace recent(std::vector<Frame>{frame("recent"), frame("main")});
  BatchOfItsOwn batch;
  const std::uint32_t process = batch.process(process_info());
  batch.event(process, {}, at(1), &old_one);
  batch.event(process, {}, at(2), &old_one);
  batch.event(process, {}, at(3), &shared);
  batch.event(process, {}, at(4), &shared);
  batch.event(process, {}, at(5), &recent);
  const BatchResult written = batch.write_to(*store);
  const std::vector<EventRecord> kept = store->get_events({.from = at(4)}).events;
  CODEWAKE_CONFORMANCE_SAME(store->remove_older(at(4), 1), {.events = 1});
  CODEWAKE_CONFORMANCE_SAME(store->remove_older(at(4), 1), {.events = 1, .stacktraces = 1});
  CODEWAKE_CONFORMANCE_SAME(store->remove_older(at(4), 1), {.events = 1});
  CODEWAKE_CONFORMANCE_SAME(store->remove_older(at(4), 1), Removed());
  CODEWAKE_CONFORMANCE_SAME(store->get_events({}).events, kept);

  BatchOfItsOwn again;
  const std::uint32_t same_process = again.process(written.process_ids.at(0));
  for (const Stacktrace* stack : {&old_one, &shared}) again.event(same_process, {}, at(6), stack);
  const BatchResult result = again.write_to(*store);
  const auto of_removed = store->get_event_by_id(result.event_ids.at(0));
  const auto of_shared = store->get_event_by_id(result.event_ids.at(1));
  DOCTEST_REQUIRE((of_removed && of_shared));
  CODEWAKE_CONFORMANCE_SAME(of_removed->frames, old_one.frames());
  CODEWAKE_CONFORMANCE_SAME(of_shared->frames, shared.frames());
  CODEWAKE_CONFORMANCE_SAME(of_shared->stacktrace_id, kept.back().stacktrace_id);
  CODEWAKE_CONFORMANCE_SAME(store->remove_older(at(100), 100), {.events = 4, .stacktraces = 3});
}

/// What the next two look at: of every kind of process one. The result is the ids of those that stay.
inline std::vector<Id> write_old_and_new(const Storage& storage, Store& store) {
  ProcessInfo info = process_info();
  info.app_vsn = "1";
  info.env_name = "test";
  const Stacktrace old_one(std::vector<Frame>{frame("old")});
  const Stacktrace shared(std::vector<Frame>{frame("shared")});
  BatchOfItsOwn batch;
  const std::uint32_t finished = batch.process(info);
  batch.process(info);  // never had an event
  const std::uint32_t busy = batch.process(info);
  const std::uint32_t of_journal = batch.process(info);
  info.run_ts = at(100);
  const std::uint32_t recent = batch.process(info);
  batch.event(finished, {{"k", "old"}}, at(1), &old_one);
  batch.event(finished, {{"k", "old"}}, at(2), &shared);
  batch.event(busy, {{"k", "old"}}, at(3));
  batch.event(busy, {{"k", "new"}}, at(100), &shared);
  if (storage.remembers_positions) {
    batch.position("run/lane", 1, of_journal);
  } else {
    batch.event(of_journal, {{"k", "new"}}, at(100));
  }
  const BatchResult result = batch.write_to(store);
  DOCTEST_REQUIRE(result.process_ids.size() == 5);
  return {result.process_ids[busy], result.process_ids[of_journal], result.process_ids[recent]};
}

inline void old_processes_without_events_are_removed(const Storage& storage) {
  if (!storage.removes) return skip("the store cannot remove what is old");
  const auto store = storage.open();
  const std::vector<Id> stay = write_old_and_new(storage, *store);
  const std::vector<AppRecord> apps = store->get_apps();
  const std::vector<ProcessRecord> processes = store->get_processes({});
  CODEWAKE_CONFORMANCE_SAME(remove_all_older(*store, at(100), 1),
                            {.events = 3, .stacktraces = 1, .processes = 2});
  CODEWAKE_CONFORMANCE_SAME(ids_of(store->get_processes({})), stay);
  CODEWAKE_CONFORMANCE_SAME(store->get_apps(), apps);
  CODEWAKE_CONFORMANCE_SAME(store->get_app_vsns(apps.at(0).id).size(), 1);
  const auto environment = store->get_process_by_id(stay.at(0))->environment;
  DOCTEST_REQUIRE(environment.has_value());
  CODEWAKE_CONFORMANCE_SAME(store->get_environment_by_id(environment->id), environment);
  CODEWAKE_CONFORMANCE_SAME(thrown_by([&] {
                              BatchOfItsOwn batch;
                              batch.event(batch.process(processes.at(0).id), {}, at(200));
                              batch.write_to(*store);
                            }),
                            std::string(to_string(StoreError::Kind::rejected)));
}

inline void counting_says_what_removing_does(const Storage& storage) {
  if (!storage.removes) return skip("the store cannot remove what is old");
  const auto store = storage.open();
  CODEWAKE_CONFORMANCE_SAME(store->count_older(at(100)), Removed());
  write_old_and_new(storage, *store);
  const std::vector<EventRecord> events = store->get_events({}).events;
  const std::vector<ProcessRecord> processes = store->get_processes({});
  CODEWAKE_CONFORMANCE_SAME(store->count_older(at(0)), Removed());
  CODEWAKE_CONFORMANCE_SAME(store->count_older(at(100)), {.events = 3, .stacktraces = 1, .processes = 2});
  CODEWAKE_CONFORMANCE_SAME(store->get_events({}).events, events);
  CODEWAKE_CONFORMANCE_SAME(store->get_processes({}), processes);
  CODEWAKE_CONFORMANCE_SAME(remove_all_older(*store, at(100), std::numeric_limits<std::size_t>::max()),
                            {.events = 3, .stacktraces = 1, .processes = 2});
  CODEWAKE_CONFORMANCE_SAME(store->count_older(at(100)), Removed());
}

inline void removed_events_are_not_found(const Storage& storage) {
  if (!storage.removes) return skip("the store cannot remove what is old");
  const auto store = storage.open();
  const Stacktrace stack(std::vector<Frame>{frame("inner")});
  ProcessInfo info = process_info();
  info.run_ts = at(1'000'000);
  BatchOfItsOwn batch;
  const std::uint32_t process = batch.process(info);
  for (int i = 0; i < 1000; ++i) {
    batch.event(process, {{"k", i % 10}, {"n", i}}, at(i), i % 10 == 7 ? &stack : nullptr);
  }
  const BatchResult written = batch.write_to(*store);
  const std::string cursor = store->get_events({.limit = 400}).next;
  CODEWAKE_CONFORMANCE_SAME(remove_all_older(*store, at(500), 150), {.events = 500});
  CODEWAKE_CONFORMANCE_SAME(store->get_event_by_id(written.event_ids.at(499)), std::nullopt);
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({{"n", "7"}}), {});
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({{"k", "7"}}).size(), 50);
  CODEWAKE_CONFORMANCE_SAME(store->get_events({.where = {{"k", "7"}}}).events.size(), 50);
  CODEWAKE_CONFORMANCE_SAME(store->get_events({.limit = 400, .cursor = cursor}).events.size(), 100);
  CODEWAKE_CONFORMANCE_SAME(store->get_exceptions({}).at(0).count, 50);

  // The ids of what was removed may be given again.
  CODEWAKE_CONFORMANCE_SAME(remove_all_older(*store, at(1000), 150), {.events = 500, .stacktraces = 1});
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({}), {});
  BatchOfItsOwn later;
  const std::uint32_t same_process = later.process(written.process_ids.at(0));
  for (int i = 0; i < 1000; ++i) later.event(same_process, {{"k", i % 5}, {"m", i}}, at(2000 + i));
  later.write_to(*store);
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({{"k", "7"}}), {});
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({{"k", "4"}}).size(), 200);
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({{"n", "7"}}), {});
  CODEWAKE_CONFORMANCE_SAME(store->get_exceptions({}), {});
}

inline void events_are_removed_beside_a_writer(const Storage& storage) {
  if (!storage.removes) return skip("the store cannot remove what is old");
  const auto store = storage.open();
  const auto remover = storage.reopens ? storage.open() : store;
  const Stacktrace stack(std::vector<Frame>{frame("inner"), frame("main")});
  stack.frames();
  constexpr int kBatches = 40, kOld = 20;
  const Time before = at(1'000'000);
  ProcessInfo info = process_info();
  info.run_ts = before;
  BatchOfItsOwn first;
  first.process(info);
  const Id process_id = first.write_to(*store).process_ids.at(0);
  std::atomic<bool> done{false};
  Removed removed;
  const std::string problems = in_threads(2, [&](int thread) {
    if (thread == 0) {
      while (!done) removed.events += remover->remove_older(before, 7).events;
      return;
    }
    const struct Done {
      std::atomic<bool>& done;
      ~Done() { done = true; }
    } when_it_ends{done};
    for (int i = 0; i < kBatches; ++i) {
      // Every other batch has the stack with old events only, so that it goes and comes.
      BatchOfItsOwn batch;
      const std::uint32_t process = batch.process(process_id);
      for (int n = 0; n < kOld; ++n) batch.event(process, {{"of", "old"}}, at(i), &stack);
      batch.event(process, {{"of", "new"}}, before, i % 2 == 0 ? &stack : nullptr);
      batch.write_to(*store);
    }
  });
  CODEWAKE_CONFORMANCE_SAME(problems, "");
  removed.events += remove_all_older(*remover, before, 100).events;
  CODEWAKE_CONFORMANCE_SAME(removed.events, kBatches * kOld);
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({{"of", "old"}}), {});
  const std::vector<EventRecord> events = store->get_events_by_data({{"of", "new"}});
  CODEWAKE_CONFORMANCE_SAME(events.size(), kBatches);
  for (const EventRecord& event : events) {
    CODEWAKE_CONFORMANCE_SAME(event.frames, event.stacktrace_id ? stack.frames() : std::vector<Frame>());
  }
}

}  // namespace codewake::testing::conformance
