// Conformance: all or nothing, positions, threads, several clients, and a store's life. Include
// store_conformance.hpp instead.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
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

// ── batches ──

inline void empty_batch_does_nothing(const Storage& storage) {
  const auto store = storage.open();
  const BatchResult result = BatchOfItsOwn().write_to(*store);
  DOCTEST_CHECK(result.process_ids.empty());
  DOCTEST_CHECK(result.event_ids.empty());
  CODEWAKE_CONFORMANCE_SAME(store->get_processes({}), {});
  CODEWAKE_CONFORMANCE_SAME(store->get_events({}).events, {});
}

inline void batch_of_several_processes(const Storage& storage) {
  const auto store = storage.open();
  const Id known = add_process(*store);
  ProcessInfo till = process_info("till");
  till.app_vsn = "2";
  till.env_name = "test";
  const Stacktrace stack(std::vector<Frame>{frame("inner"), frame("main")});
  BatchOfItsOwn batch;
  const std::uint32_t a = batch.process(till);
  const std::uint32_t b = batch.process(known);
  const std::uint32_t c = batch.process(till);
  batch.event(c, {{"of", "c"}}, at(3));
  batch.event(a, {{"of", "a"}}, at(2), &stack);
  batch.event(b, {{"of", "b"}}, at(1));
  batch.event(a, {}, at(0), &stack);
  const BatchResult result = batch.write_to(*store);
  DOCTEST_REQUIRE(result.process_ids.size() == 3);
  DOCTEST_REQUIRE(result.event_ids.size() == 4);
  DOCTEST_CHECK(result.process_ids[1] == known);
  DOCTEST_CHECK_MESSAGE(result.process_ids[0] != result.process_ids[2], "each run is a process of its own");
  CODEWAKE_CONFORMANCE_SAME(ids_of(store->get_processes({})),
                            {known, result.process_ids[0], result.process_ids[2]});
  const auto process = store->get_process_by_id(result.process_ids[0]);
  DOCTEST_REQUIRE((process && process->app_vsn && process->environment));
  CODEWAKE_CONFORMANCE_SAME(process->app.name, "till");
  CODEWAKE_CONFORMANCE_SAME(process->app_vsn->vsn, "2");
  CODEWAKE_CONFORMANCE_SAME(process->environment->name, "test");

  const std::vector<std::uint32_t> owners = {c, a, b, a};
  const std::vector<Attributes> data = {{{"of", "c"}}, {{"of", "a"}}, {{"of", "b"}}, {}};
  std::optional<Id> stacktrace_id;
  for (std::size_t i = 0; i < owners.size(); ++i) {
    DOCTEST_CAPTURE(i);
    const auto event = store->get_event_by_id(result.event_ids[i]);
    DOCTEST_REQUIRE(event.has_value());
    EventRecord expected =
        expected_event(*event, result.process_ids[owners[i]], data[i], at(3 - static_cast<std::int64_t>(i)));
    if (owners[i] == a) {
      if (!stacktrace_id) stacktrace_id = event->stacktrace_id;
      expected.stacktrace_id = stacktrace_id;
      expected.frames = stack.frames();
      DOCTEST_CHECK(stacktrace_id.has_value());
    }
    CODEWAKE_CONFORMANCE_SAME(*event, expected);
  }
}

/// But for those of the store's own journal, where it queues: `<host>-<pid>-<start>-<uuid>/…`.
inline std::vector<StoredPosition> sorted_positions(Store& store, std::string_view prefix) {
  std::vector<StoredPosition> positions = store.get_positions(prefix);
  if (store.queues()) {
    constexpr int kDashesOfRun = 7;
    std::erase_if(positions, [](const StoredPosition& position) {
      return std::count(position.segment.begin(), position.segment.end(), '-') == kDashesOfRun;
    });
  }
  std::sort(positions.begin(), positions.end(),
            [](const auto& a, const auto& b) { return a.segment < b.segment; });
  return positions;
}

/// A batch of which everything is new, to which a last event is added that the store refuses.
inline void check_nothing_of_a_refused_batch(const Storage& storage, Store& store, bool by_key) {
  const Id known = add_process(store);
  const EventRecord kept = add_event(store, known, {{"k", "kept"}});
  const std::vector<AppRecord> apps = store.get_apps();
  const std::vector<ProcessRecord> processes = store.get_processes({});
  ProcessInfo info = process_info("new app");
  info.app_vsn = "new version";
  info.env_name = "new environment";
  const Stacktrace stack(std::vector<Frame>{frame("new")});
  BatchOfItsOwn batch;
  const std::uint32_t old_process = batch.process(known);
  const std::uint32_t new_process = batch.process(info);
  for (int i = 0; i < 50; ++i) {
    batch.event(i % 2 == 0 ? old_process : new_process, {{"n", i}}, at(i), i % 10 == 0 ? &stack : nullptr);
  }
  batch.position("segment-of-a-refused-batch", 7, new_process);
  if (by_key) {
    storage.refuse_key("refused");
    batch.event(old_process, {{"fine", "so far"}, {"refused", "here"}}, at(100));
  } else {
    batch.event(batch.process(known + 1'000'000), {{"of", "a process that is not there"}}, at(100));
  }
  const std::string thrown = thrown_by([&] { batch.write_to(store); });
  CODEWAKE_CONFORMANCE_SAME(thrown, by_key && thrown == to_string(StoreError::Kind::unavailable)
                                        ? thrown
                                        : std::string(to_string(StoreError::Kind::rejected)));
  CODEWAKE_CONFORMANCE_SAME(store.get_events_by_data({}), {kept});
  CODEWAKE_CONFORMANCE_SAME(store.get_processes({}), processes);
  CODEWAKE_CONFORMANCE_SAME(store.get_apps(), apps);
  CODEWAKE_CONFORMANCE_SAME(store.get_exceptions({}), {});
  CODEWAKE_CONFORMANCE_SAME(sorted_positions(store, ""), {});

  const EventRecord after = add_event(store, known, {{"k", "after"}}, at(0), &stack);
  CODEWAKE_CONFORMANCE_SAME(ids_of(store.get_events_by_data({})), {kept.id, after.id});
}

inline void batch_of_an_unknown_process_is_refused_whole(const Storage& storage) {
  check_nothing_of_a_refused_batch(storage, *storage.open(), false);
}

inline void batch_that_fails_halfway_leaves_nothing(const Storage& storage) {
  if (!storage.refuse_key) return skip("the factory gives no refuse_key");
  check_nothing_of_a_refused_batch(storage, *storage.open(), true);
}

inline void event_of_an_unknown_process_is_rejected(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  CODEWAKE_CONFORMANCE_SAME(
      thrown_by([&] {
        store->insert_event({process_id + 1'000'000, std::nullopt, at(0), nullptr}, true);
      }),
      std::string(to_string(StoreError::Kind::rejected)));
  CODEWAKE_CONFORMANCE_SAME(store->get_events({}).events, {});
}

// ── positions ──

inline void positions_are_stored_with_the_batch(const Storage& storage) {
  if (!storage.remembers_positions) return skip("the store does not remember journal positions");
  const auto store = storage.open();
  CODEWAKE_CONFORMANCE_SAME(sorted_positions(*store, ""), {});
  BatchOfItsOwn first;
  const std::uint32_t process = first.process(process_info());
  first.event(process, {{"k", "v"}}, at(0));
  first.position("run-1/a", 0, process);
  first.position("run-1/b", 9'007'199'254'740'993, process);  // no double holds it
  const BatchResult result = first.write_to(*store);
  DOCTEST_REQUIRE(result.process_ids.size() == 1);
  const Id process_id = result.process_ids[0];
  CODEWAKE_CONFORMANCE_SAME(sorted_positions(*store, ""),
                            {{"run-1/a", 0, process_id}, {"run-1/b", 9'007'199'254'740'993, process_id}});

  const Id other_id = add_process(*store);
  BatchOfItsOwn second;
  second.event(second.process(process_id), {{"k", "w"}}, at(1));
  second.position("run-1/a", 4096, 0);
  second.position("run-2/a", 1, second.process(other_id));
  second.write_to(*store);
  CODEWAKE_CONFORMANCE_SAME(sorted_positions(*store, ""), {{"run-1/a", 4096, process_id},
                                                           {"run-1/b", 9'007'199'254'740'993, process_id},
                                                           {"run-2/a", 1, other_id}});
  BatchOfItsOwn alone;
  alone.position("run-2/a", 9'223'372'036'854'775'807, alone.process(other_id));
  alone.write_to(*store);
  CODEWAKE_CONFORMANCE_SAME(sorted_positions(*store, "run-2/a"),
                            {{"run-2/a", 9'223'372'036'854'775'807, other_id}});
  CODEWAKE_CONFORMANCE_SAME(store->get_events({}).events.size(), 2);
}

inline void a_replaced_storage_is_noticed(const Storage& storage) {
  if (!storage.remembers_positions) return skip("the store does not remember journal positions");
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const auto write = [&](Id process, std::uint64_t noted, std::uint64_t position) {
    BatchOfItsOwn batch;
    const std::uint32_t of = batch.process(process);
    batch.event(of, {{"k", "v"}}, at(0));
    batch.position("run-1/a", position, of, noted);
    batch.write_to(*store);
  };
  const auto is_in_doubt = [&](Id process, std::uint64_t noted, std::uint64_t position) {
    try {
      write(process, noted, position);
    } catch (const StoreError& error) {
      return error.kind() == StoreError::Kind::in_doubt;
    }
    return false;
  };
  DOCTEST_CHECK(is_in_doubt(process_id, 8, 16));
  write(process_id, 0, 8);
  write(process_id, 8, 16);
  write(process_id, 0, 24);
  DOCTEST_CHECK(is_in_doubt(process_id, 16, 32));  // set back, or written by somebody else
  DOCTEST_CHECK(is_in_doubt(process_id, 32, 40));
  DOCTEST_CHECK(is_in_doubt(process_id + 1, 32, 40));  // its process is gone, too, and is not why
  CODEWAKE_CONFORMANCE_SAME(sorted_positions(*store, "run-1/a"), {{"run-1/a", 24, process_id}});
  CODEWAKE_CONFORMANCE_SAME(store->get_events({}).events.size(), 3);
}

inline void positions_are_listed_and_forgotten_by_prefix(const Storage& storage) {
  if (!storage.remembers_positions) return skip("the store does not remember journal positions");
  const auto store = storage.open();
  const Id id = add_process(*store);
  const std::vector<std::string> segments = {"host",     "host%1/a",  "host%1/b", "hostX1/a", "host_2/a",
                                             "hostX2/a", "host\\3/a", "HOST_2/a", "höst/a",   "a/host_2/a"};
  BatchOfItsOwn batch;
  const std::uint32_t process = batch.process(id);
  for (const std::string& segment : segments) batch.position(segment, 1, process);
  batch.write_to(*store);
  const auto listed = [&](std::string_view prefix) {
    std::vector<std::string> names;
    for (const StoredPosition& position : sorted_positions(*store, prefix)) names.push_back(position.segment);
    return names;
  };
  CODEWAKE_CONFORMANCE_SAME(listed("host%1"), {"host%1/a", "host%1/b"});
  CODEWAKE_CONFORMANCE_SAME(listed("host_2"), {"host_2/a"});
  CODEWAKE_CONFORMANCE_SAME(listed("host\\"), {"host\\3/a"});
  CODEWAKE_CONFORMANCE_SAME(listed("HOST"), {"HOST_2/a"});
  CODEWAKE_CONFORMANCE_SAME(listed("höst"), {"höst/a"});
  CODEWAKE_CONFORMANCE_SAME(listed("hostX1/a"), {"hostX1/a"});
  CODEWAKE_CONFORMANCE_SAME(listed("hostX1/a/"), {});
  CODEWAKE_CONFORMANCE_SAME(listed("%"), {});
  CODEWAKE_CONFORMANCE_SAME(listed("").size(), segments.size());

  store->forget_positions("host_2");
  CODEWAKE_CONFORMANCE_SAME(listed("host_2"), {});
  CODEWAKE_CONFORMANCE_SAME(listed("").size(), segments.size() - 1);
  store->forget_positions("host%1/a");
  CODEWAKE_CONFORMANCE_SAME(listed("host%1"), {"host%1/b"});
  store->forget_positions("nothing begins so");
  CODEWAKE_CONFORMANCE_SAME(listed("").size(), segments.size() - 2);
}

// ── many at once ──

constexpr int kThreads = 8;
constexpr int kEventsPerThread = 40;

/// Eight threads, each with a process of its own of one app, version and environment; odd ones through
/// `second`.
inline void check_threads(Store& first, Store& second) {
  const Stacktrace stack(std::vector<Frame>{frame("shared"), frame("main")});
  stack.frames();
  const std::string problems = in_threads(kThreads, [&](int thread) {
    Store& store = thread % 2 == 0 ? first : second;
    const Stacktrace own = stack;  // one object is not for two threads
    ProcessInfo info = process_info("threads");
    info.app_vsn = "1";
    info.env_name = "test";
    info.pid = thread;
    const auto process = store.insert_process(info, true);
    for (int i = 0; i < kEventsPerThread; ++i) {
      const AttributeArgument data[] = {{"thread", thread}, {"i", i}};
      const auto event =
          store.insert_event({process->id, data, at(i), i % 4 == 0 ? &own : nullptr}, i % 2 == 0);
      if (i % 2 == 0 && store.get_event_by_id(event->id) != event)
        throw std::runtime_error("not read as written");
      if (i % 8 == 0) store.get_events({.where = {{"i", std::to_string(i)}}, .limit = 10});
    }
    if (!store.flush(std::chrono::seconds(60))) throw std::runtime_error("flush gave up");
  });
  CODEWAKE_CONFORMANCE_SAME(problems, "");

  std::map<std::string, int> found;
  std::set<Id> stacktraces;
  const std::vector<EventRecord> events = first.get_events_by_data({});
  for (const EventRecord& event : events) {
    DOCTEST_REQUIRE(event.data.size() == 2);
    ++found[event.data[0].value.value_or("?") + "/" + event.data[1].value.value_or("?")];
    if (event.stacktrace_id) stacktraces.insert(*event.stacktrace_id);
  }
  CODEWAKE_CONFORMANCE_SAME(events.size(), kThreads * kEventsPerThread);
  CODEWAKE_CONFORMANCE_SAME(found.size(), kThreads * kEventsPerThread);
  CODEWAKE_CONFORMANCE_SAME(stacktraces.size(), 1);
  CODEWAKE_CONFORMANCE_SAME(first.get_apps().size(), 1);
  const std::vector<ProcessRecord> processes = first.get_processes({});
  CODEWAKE_CONFORMANCE_SAME(processes.size(), kThreads);
  for (const ProcessRecord& process : processes) {
    CODEWAKE_CONFORMANCE_SAME(process.app_vsn, processes[0].app_vsn);
    CODEWAKE_CONFORMANCE_SAME(process.environment, processes[0].environment);
    CODEWAKE_CONFORMANCE_SAME(first.get_events_by_data({}, process.id).size(), kEventsPerThread);
  }
}

inline void eight_threads_at_once(const Storage& storage) {
  const auto store = storage.open();
  check_threads(*store, *store);
}

inline void eight_threads_over_two_clients(const Storage& storage) {
  if (!storage.reopens) return skip("the storage is within the store object");
  const auto first = storage.open();
  const auto second = storage.open();
  check_threads(*first, *second);
}

inline void eight_threads_insert_the_same_app(const Storage& storage) {
  const auto first = storage.open();
  const auto second = storage.reopens ? storage.open() : first;
  std::vector<AppInserted> inserted(kThreads);
  const std::string problems = in_threads(kThreads, [&](int thread) {
    inserted[static_cast<std::size_t>(thread)] =
        (thread % 2 == 0 ? first : second)->insert_app("shop", "1.0");
  });
  CODEWAKE_CONFORMANCE_SAME(problems, "");
  for (const AppInserted& one : inserted) CODEWAKE_CONFORMANCE_SAME(one, inserted[0]);
  CODEWAKE_CONFORMANCE_SAME(first->get_apps(), {inserted[0].app});
  DOCTEST_REQUIRE(inserted[0].app_vsn.has_value());
  CODEWAKE_CONFORMANCE_SAME(first->get_app_vsns(inserted[0].app.id), {*inserted[0].app_vsn});
}

// ── several clients, life ──

inline void two_clients_see_each_other_s_writes(const Storage& storage) {
  if (!storage.reopens) return skip("the storage is within the store object");
  const auto first = storage.open();
  const auto second = storage.open();
  const AppInserted app = first->insert_app("shop", "1.0");
  CODEWAKE_CONFORMANCE_SAME(second->insert_app("shop", "1.0"), app);
  CODEWAKE_CONFORMANCE_SAME(second->get_apps(), {app.app});
  const Stacktrace stack(std::vector<Frame>{frame("inner")});
  const Id a = add_process(*first);
  const EventRecord of_first = add_event(*first, a, {{"by", "first"}}, at(0), &stack);
  const EventRecord of_second = add_event(*second, a, {{"by", "second"}}, at(1), &stack);
  DOCTEST_CHECK_MESSAGE(of_first.stacktrace_id == of_second.stacktrace_id, "equal stacks share an id");
  for (Store* store : {first.get(), second.get()}) {
    CODEWAKE_CONFORMANCE_SAME(store->get_events({}).events, {of_second, of_first});
  }
  // The process recorded last is that of the same store object.
  CODEWAKE_CONFORMANCE_SAME(thrown_by([&] { second->insert_event({}, true); }),
                            std::string(to_string(StoreError::Kind::rejected)));
}

inline void everything_is_there_after_reopening(const Storage& storage) {
  if (!storage.reopens) return skip("the storage is within the store object");
  std::vector<AppRecord> apps;
  std::vector<ProcessRecord> processes;
  std::vector<EventRecord> events;
  std::vector<StoredPosition> positions;
  for (const bool by_shutdown : {true, false}) {
    DOCTEST_CAPTURE(by_shutdown);
    const auto store = storage.open();
    const AppInserted app = store->insert_app("app alone", "1");
    CODEWAKE_CONFORMANCE_SAME(store->get_app_by_id(app.app.id), app.app);
    const Stacktrace stack(std::vector<Frame>{frame("inner"), frame("main")});
    const Id id = add_process(*store);
    add_event(*store, id, {{"k", nullptr}, {"a", ""}}, at(5), &stack);
    BatchOfItsOwn batch;
    batch.event(batch.process(process_info("batch")), {{"n", 1}}, at(6), &stack);
    batch.position(by_shutdown ? "segment-1" : "segment-2", 42, 0);
    batch.write_to(*store);
    apps = store->get_apps();
    processes = store->get_processes({});
    events = store->get_events({}).events;
    positions = sorted_positions(*store, "");
    if (by_shutdown) DOCTEST_CHECK(store->shutdown(std::chrono::seconds(60)));
  }
  const auto store = storage.open();
  CODEWAKE_CONFORMANCE_SAME(store->get_apps(), apps);
  CODEWAKE_CONFORMANCE_SAME(store->get_processes({}), processes);
  CODEWAKE_CONFORMANCE_SAME(store->get_events({}).events, events);
  CODEWAKE_CONFORMANCE_SAME(sorted_positions(*store, ""), positions);
  CODEWAKE_CONFORMANCE_SAME(apps.size(), 3);
  CODEWAKE_CONFORMANCE_SAME(events.size(), 4);
  if (storage.remembers_positions) CODEWAKE_CONFORMANCE_SAME(positions.size(), 2);
}

inline void flush_says_that_all_is_stored(const Storage& storage) {
  const auto store = storage.open();
  DOCTEST_CHECK_MESSAGE(store->flush(std::chrono::seconds(60)), "there is nothing to wait for");
  const Id process_id = add_process(*store);
  for (int i = 0; i < 100; ++i) store->insert_event({process_id, std::nullopt, at(i), nullptr}, false);
  DOCTEST_REQUIRE(store->flush(std::chrono::seconds(60)));
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({}).size(), 100);
}

inline void nothing_is_taken_after_shutdown(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  add_event(*store, process_id, {{"k", "v"}});
  DOCTEST_CHECK_MESSAGE(store->shutdown(std::chrono::seconds(60)), "everything was stored");
  const auto unavailable = std::string(to_string(StoreError::Kind::unavailable));
  CODEWAKE_CONFORMANCE_SAME(thrown_by([&] { store->insert_app("shop", "1"); }), unavailable);
  CODEWAKE_CONFORMANCE_SAME(thrown_by([&] { add_process(*store); }), unavailable);
  CODEWAKE_CONFORMANCE_SAME(thrown_by([&] { add_event(*store, process_id, {{"k", "late"}}); }), unavailable);
  CODEWAKE_CONFORMANCE_SAME(thrown_by([&] {
                              BatchOfItsOwn batch;
                              batch.event(batch.process(process_id), {{"k", "late"}}, at(0));
                              batch.write_to(*store);
                            }),
                            unavailable);
  DOCTEST_CHECK_MESSAGE(store->shutdown(std::chrono::seconds(60)), "a second shutdown does nothing");
  if (!storage.reopens) return;
  CODEWAKE_CONFORMANCE_SAME(storage.open()->get_events_by_data({}).size(), 1);
}

}  // namespace codewake::testing::conformance
