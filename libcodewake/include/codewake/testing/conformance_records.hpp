// Conformance: apps, processes, times and stack traces come out of a store as they went in. Include
// store_conformance.hpp instead.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
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

// ── apps, versions, environments ──

inline void app_is_found_again(const Storage& storage) {
  const auto store = storage.open();
  const AppInserted first = store->insert_app("shop", std::nullopt);
  DOCTEST_CHECK(first.app.id >= 1);
  CODEWAKE_CONFORMANCE_SAME(first, {{first.app.id, "shop"}, std::nullopt});
  CODEWAKE_CONFORMANCE_SAME(store->insert_app("shop", std::nullopt), first);
  const AppInserted other = store->insert_app("Shop", std::nullopt);
  DOCTEST_CHECK_MESSAGE(other.app.id != first.app.id, "names that differ in case are two apps");
  CODEWAKE_CONFORMANCE_SAME(store->get_app_by_id(first.app.id), first.app);
  CODEWAKE_CONFORMANCE_SAME(store->get_app_by_id(other.app.id), other.app);
}

inline void version_belongs_to_its_app(const Storage& storage) {
  const auto store = storage.open();
  const AppInserted a = store->insert_app("app-a", "1.0");
  const AppInserted b = store->insert_app("app-b", "1.0");
  DOCTEST_REQUIRE(a.app_vsn.has_value());
  DOCTEST_REQUIRE(b.app_vsn.has_value());
  CODEWAKE_CONFORMANCE_SAME(*a.app_vsn, {a.app_vsn->id, "1.0", a.app.id});
  CODEWAKE_CONFORMANCE_SAME(*b.app_vsn, {b.app_vsn->id, "1.0", b.app.id});
  DOCTEST_CHECK_MESSAGE(a.app_vsn->id != b.app_vsn->id, "the same version of two apps is two versions");
  CODEWAKE_CONFORMANCE_SAME(store->insert_app("app-a", "1.0"), a);
  CODEWAKE_CONFORMANCE_SAME(store->insert_app("app-b", "1.0"), b);
  CODEWAKE_CONFORMANCE_SAME(store->get_app_vsn_by_id(a.app_vsn->id), *a.app_vsn);
  CODEWAKE_CONFORMANCE_SAME(store->get_app_vsn_by_id(b.app_vsn->id), *b.app_vsn);
}

inline void empty_version_is_none(const Storage& storage) {
  const auto store = storage.open();
  const AppInserted none = store->insert_app("shop", std::nullopt);
  CODEWAKE_CONFORMANCE_SAME(store->insert_app("shop", ""), none);
  CODEWAKE_CONFORMANCE_SAME(store->get_app_vsns(none.app.id), {});
}

inline void apps_and_versions_are_listed(const Storage& storage) {
  const auto store = storage.open();
  CODEWAKE_CONFORMANCE_SAME(store->get_apps(), {});
  const AppInserted b1 = store->insert_app("b", "2.0");
  const AppInserted a1 = store->insert_app("a", "1.0");
  const AppInserted b2 = store->insert_app("b", "1.0");
  const AppInserted c = store->insert_app("c", std::nullopt);
  DOCTEST_REQUIRE((b1.app_vsn && a1.app_vsn && b2.app_vsn));
  CODEWAKE_CONFORMANCE_SAME(store->get_apps(), {b1.app, a1.app, c.app});
  CODEWAKE_CONFORMANCE_SAME(store->get_app_vsns(b1.app.id), {*b1.app_vsn, *b2.app_vsn});
  CODEWAKE_CONFORMANCE_SAME(store->get_app_vsns(a1.app.id), {*a1.app_vsn});
  CODEWAKE_CONFORMANCE_SAME(store->get_app_vsns(c.app.id), {});
  CODEWAKE_CONFORMANCE_SAME(store->get_app_vsns(c.app.id + 1'000'000), {});
}

inline void unknown_id_gives_nothing(const Storage& storage) {
  const auto store = storage.open();
  add_event(*store, add_process(*store), {{"k", "v"}});
  for (const Id id :
       {Id{0}, Id{-1}, Id{1'000'000}, std::numeric_limits<Id>::max(), std::numeric_limits<Id>::min()}) {
    DOCTEST_CAPTURE(id);
    CODEWAKE_CONFORMANCE_SAME(store->get_process_by_id(id), std::nullopt);
    CODEWAKE_CONFORMANCE_SAME(store->get_environment_by_id(id), std::nullopt);
    CODEWAKE_CONFORMANCE_SAME(store->get_app_by_id(id), std::nullopt);
    CODEWAKE_CONFORMANCE_SAME(store->get_app_vsn_by_id(id), std::nullopt);
    CODEWAKE_CONFORMANCE_SAME(store->get_event_by_id(id), std::nullopt);
  }
}

// ── processes ──

inline void process_keeps_every_field(const Storage& storage) {
  const auto store = storage.open();
  ProcessInfo info = process_info("shop");
  info.run_ts = at(123'456);
  info.app_vsn = "1.2.3";
  info.env_name = "production";
  info.pid = 4'194'304;
  info.username = "bob";
  info.fqdn = "host.example.org";
  info.exe_path = "/usr/bin/shop";
  const auto record = store->insert_process(info, true);
  DOCTEST_REQUIRE(record.has_value());
  DOCTEST_REQUIRE(record->environment.has_value());
  DOCTEST_REQUIRE(record->app_vsn.has_value());
  ProcessRecord expected;
  expected.id = record->id;
  expected.run_ts = info.run_ts;
  expected.environment = EnvironmentRecord{record->environment->id, "production"};
  expected.pid = info.pid;
  expected.username = info.username;
  expected.fqdn = info.fqdn;
  expected.exe_path = info.exe_path;
  expected.app = {record->app.id, "shop"};
  expected.app_vsn = AppVersionRecord{record->app_vsn->id, "1.2.3", record->app.id};
  DOCTEST_CHECK(record->id >= 1);
  CODEWAKE_CONFORMANCE_SAME(*record, expected);
  CODEWAKE_CONFORMANCE_SAME(store->get_process_by_id(record->id), expected);
  CODEWAKE_CONFORMANCE_SAME(store->get_environment_by_id(record->environment->id), *expected.environment);
  CODEWAKE_CONFORMANCE_SAME(store->insert_app("shop", "1.2.3"), {expected.app, expected.app_vsn});
}

inline void process_without_optional_fields(const Storage& storage) {
  const auto store = storage.open();
  const auto bare = store->insert_process(process_info("shop"), true);
  DOCTEST_REQUIRE(bare.has_value());
  ProcessRecord expected;
  expected.id = bare->id;
  expected.run_ts = at(0);
  expected.app = {bare->app.id, "shop"};
  CODEWAKE_CONFORMANCE_SAME(*bare, expected);
  CODEWAKE_CONFORMANCE_SAME(store->get_process_by_id(bare->id), expected);

  ProcessInfo empty = process_info("shop");
  empty.app_vsn = "";
  empty.env_name = "";
  empty.username = "";
  empty.pid = 0;
  const auto record = store->insert_process(empty, true);
  DOCTEST_REQUIRE(record.has_value());
  DOCTEST_CHECK_MESSAGE(record->id != bare->id, "each run is a process of its own");
  expected.id = record->id;
  expected.username = "";
  expected.pid = 0;
  CODEWAKE_CONFORMANCE_SAME(store->get_process_by_id(record->id), expected);
}

inline void processes_share_app_version_and_environment(const Storage& storage) {
  const auto store = storage.open();
  ProcessInfo info = process_info("shop");
  info.app_vsn = "1";
  info.env_name = "test";
  const auto first = store->insert_process(info, true);
  const auto second = store->insert_process(info, true);
  info.app_name = "till";
  const auto third = store->insert_process(info, true);
  DOCTEST_REQUIRE((first && second && third));
  DOCTEST_CHECK(first->id != second->id);
  CODEWAKE_CONFORMANCE_SAME(second->app, first->app);
  CODEWAKE_CONFORMANCE_SAME(second->app_vsn, first->app_vsn);
  CODEWAKE_CONFORMANCE_SAME(second->environment, first->environment);
  CODEWAKE_CONFORMANCE_SAME(third->environment, first->environment);
  DOCTEST_REQUIRE((first->app_vsn && third->app_vsn));
  DOCTEST_CHECK_MESSAGE(third->app_vsn->id != first->app_vsn->id,
                        "the same version of two apps is two versions");
  DOCTEST_CHECK(third->app_vsn->app_id == third->app.id);
}

// ── sync, when ──

inline void event_is_stored_with_and_without_sync(const Storage& storage) {
  const auto store = storage.open();
  const auto quiet = store->insert_process(process_info(), false);
  if (!store->queues())
    DOCTEST_CHECK_MESSAGE(quiet.has_value(), "a store that does not queue answers with the process");
  DOCTEST_REQUIRE(store->flush(std::chrono::seconds(60)));
  const std::vector<ProcessRecord> processes = store->get_processes({});
  DOCTEST_REQUIRE(processes.size() == 1);
  const Id process_id = processes[0].id;

  const Attributes data = {{"k", "loud"}};
  const EventRecord loud = add_event(*store, process_id, {{"k", "loud"}});
  CODEWAKE_CONFORMANCE_SAME(loud, expected_event(loud, process_id, data));
  CODEWAKE_CONFORMANCE_SAME(store->get_event_by_id(loud.id), loud);

  const AttributeArgument argument{"k", "quiet"};
  store->insert_event({process_id, std::span(&argument, 1), at(1), nullptr}, false);
  DOCTEST_REQUIRE(store->flush(std::chrono::seconds(60)));
  const auto found = store->get_events_by_data({{"k", "quiet"}});
  DOCTEST_REQUIRE(found.size() == 1);
  CODEWAKE_CONFORMANCE_SAME(found[0], expected_event(found[0], process_id, {{"k", "quiet"}}, at(1)));
}

inline void event_goes_to_the_process_recorded_last(const Storage& storage) {
  const auto store = storage.open();
  CODEWAKE_CONFORMANCE_SAME(thrown_by([&] { store->insert_event({}, true); }),
                            std::string(to_string(StoreError::Kind::rejected)));
  const Id first = add_process(*store);
  const Id second = add_process(*store);
  const auto event = store->insert_event({}, true);
  DOCTEST_REQUIRE(event.has_value());
  DOCTEST_CHECK(event->process_id == second);
  const EventRecord told = add_event(*store, first, {});
  DOCTEST_CHECK(told.process_id == first);
}

inline void time_is_kept_to_the_microsecond(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const auto seconds = [](std::int64_t s) { return Time(std::chrono::seconds(s)); };
  const std::vector<Time> times = {
      at(0),
      at(1),
      at(999'999),
      seconds(0),
      seconds(0) + std::chrono::microseconds(1),
      seconds(0) - std::chrono::microseconds(1),
      seconds(-1'000'000'000) - std::chrono::microseconds(123'457),
      seconds(4'102'444'800) + std::chrono::microseconds(654'321),  // 2100
      seconds(9'214'646'400),                                       // 2262
  };
  for (const Time time : times) {
    DOCTEST_CAPTURE(format_time(time));
    const EventRecord event = add_event(*store, process_id, {{"k", "v"}}, time);
    CODEWAKE_CONFORMANCE_SAME(event.when, time);
    CODEWAKE_CONFORMANCE_SAME(store->get_event_by_id(event.id), event);
    ProcessInfo info = process_info();
    info.run_ts = time;
    const auto process = store->get_process_by_id(add_process(*store, info));
    DOCTEST_REQUIRE(process.has_value());
    CODEWAKE_CONFORMANCE_SAME(process->run_ts, time);
  }
}

inline void time_defaults_to_now(const Storage& storage) {
  const auto store = storage.open();
  const Time before = now() - std::chrono::microseconds(1);
  ProcessInfo info;
  info.app_name = "shop";
  const auto process = store->insert_process(info, true);
  DOCTEST_REQUIRE(process.has_value());
  const auto event = store->insert_event({}, true);
  DOCTEST_REQUIRE(event.has_value());
  const Time after = now() + std::chrono::microseconds(1);
  DOCTEST_CHECK_MESSAGE((before <= process->run_ts && process->run_ts <= after), "run_ts is ",
                        format_time(process->run_ts));
  DOCTEST_CHECK_MESSAGE((before <= event->when && event->when <= after), "when is ",
                        format_time(event->when));
}

// ── stack traces ──

inline void frames_keep_order_and_every_field(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  Frame unknown;  // a frame whose line is not known
  unknown.filename = unknown.module = "/usr/lib/libshop.so.1";
  unknown.src = "+0x1f3a";
  unknown.offset = 0x1f3a;
  Frame full = frame("order::place(int) [clone]", 2'147'483'647);
  full.filename = "/home/bob/путь/файл 😀.cpp";
  full.src = "if (a < b && c == '\\'') \"%s\"; // caf\xc3\xa9";
  full.module = "/opt/my shop/bin/shop";
  full.build_id = "00112233445566778899aabbccddeeff00112233";
  full.offset = 0x7FFF'FFFF'FFFF'FFFF;
  const std::vector<Frame> frames = {frame("inner", 1), unknown, full, frame("main", 99)};
  const Stacktrace stack(frames);
  const EventRecord event = add_event(*store, process_id, {{"k", "v"}}, at(0), &stack);
  DOCTEST_REQUIRE(event.stacktrace_id.has_value());
  EventRecord expected = expected_event(event, process_id, {{"k", "v"}});
  expected.stacktrace_id = event.stacktrace_id;
  expected.frames = frames;
  CODEWAKE_CONFORMANCE_SAME(event, expected);
  CODEWAKE_CONFORMANCE_SAME(store->get_event_by_id(event.id), expected);
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({{"k", "v"}}), {expected});
  CODEWAKE_CONFORMANCE_SAME(store->get_events({}).events, {expected});
}

inline void equal_stacks_share_an_id(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const auto stacktrace_id = [&](std::vector<Frame> frames) {
    const Stacktrace stack(frames);
    const EventRecord event = add_event(*store, process_id, {}, at(0), &stack);
    CODEWAKE_CONFORMANCE_SAME(event.frames, frames);
    DOCTEST_REQUIRE(event.stacktrace_id.has_value());
    return *event.stacktrace_id;
  };
  Frame other_file = frame("a");
  other_file.filename = "elsewhere/a.cpp";
  Frame other_source = frame("a");
  other_source.src = "b();";
  const std::vector<std::vector<Frame>> stacks = {{frame("a"), frame("b")},
                                                  {frame("b"), frame("a")},
                                                  {frame("a", 2), frame("b")},
                                                  {other_file, frame("b")},
                                                  {other_source, frame("b")},
                                                  {frame("a")},
                                                  {},
                                                  {frame("a"), frame("a")},
                                                  {frame("a"), frame("b"), frame("b")}};
  std::vector<Id> ids;
  for (const auto& frames : stacks) ids.push_back(stacktrace_id(frames));
  for (std::size_t i = 0; i < stacks.size(); ++i) {
    CODEWAKE_CONFORMANCE_SAME(stacktrace_id(stacks[i]), ids[i]);
    for (std::size_t j = 0; j < i; ++j) {
      DOCTEST_CHECK_MESSAGE(ids[i] != ids[j], "stacks ", i, " and ", j, " differ and share an id");
    }
  }
}

inline void empty_stack_is_not_none(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const Stacktrace stack{std::vector<Frame>{}};
  const EventRecord empty = add_event(*store, process_id, {{"k", "empty"}}, at(0), &stack);
  const EventRecord none = add_event(*store, process_id, {{"k", "none"}}, at(0));
  DOCTEST_CHECK(empty.stacktrace_id.has_value());
  DOCTEST_CHECK(empty.frames.empty());
  DOCTEST_CHECK_FALSE(none.stacktrace_id.has_value());
  CODEWAKE_CONFORMANCE_SAME(store->get_event_by_id(empty.id), empty);
  CODEWAKE_CONFORMANCE_SAME(store->get_event_by_id(none.id), none);
}

inline void deepest_stack_is_kept(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  std::vector<Frame> frames;
  for (std::uint32_t i = 0; i < Stacktrace::kMaxFrames; ++i) frames.push_back(frame("recursion", i / 2));
  frames.back().src = std::string(5000, 's');
  const Stacktrace stack(frames);
  const EventRecord event = add_event(*store, process_id, {}, at(0), &stack);
  CODEWAKE_CONFORMANCE_SAME(event.frames, frames);
  const auto read = store->get_event_by_id(event.id);
  DOCTEST_REQUIRE(read.has_value());
  CODEWAKE_CONFORMANCE_SAME(read->frames, frames);
}

}  // namespace codewake::testing::conformance
