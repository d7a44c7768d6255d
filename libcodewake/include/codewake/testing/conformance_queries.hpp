// Conformance: what is found, and in which order. Include store_conformance.hpp instead.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
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

// ── get_events_by_data ──

inline void events_are_found_by_terms(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const Id red = add_event(*store, process_id, {{"colour", "red"}, {"size", "1"}, {"shape", "round"}}).id;
  const Id blue = add_event(*store, process_id, {{"shape", "round"}, {"size", "1"}, {"colour", "blue"}}).id;
  const Id big = add_event(*store, process_id, {{"colour", "red"}, {"size", "2"}, {"shape", "round"}}).id;
  const Id swapped = add_event(*store, process_id, {{"red", "colour"}, {"1", "size"}}).id;
  const auto found = [&](const std::vector<Attribute>& where) {
    return ids_of(store->get_events_by_data(where));
  };
  CODEWAKE_CONFORMANCE_SAME(found({}), {red, blue, big, swapped});
  CODEWAKE_CONFORMANCE_SAME(found({{"colour", "red"}}), {red, big});
  CODEWAKE_CONFORMANCE_SAME(found({{"size", "1"}, {"colour", "red"}}), {red});
  CODEWAKE_CONFORMANCE_SAME(found({{"shape", "round"}, {"size", "1"}}), {red, blue});
  CODEWAKE_CONFORMANCE_SAME(found({{"shape", "round"}, {"size", "1"}, {"colour", "blue"}}), {blue});
  CODEWAKE_CONFORMANCE_SAME(found({{"shape", "round"}, {"size", "3"}, {"colour", "blue"}}), {});
  CODEWAKE_CONFORMANCE_SAME(found({{"colour", "green"}}), {});
  CODEWAKE_CONFORMANCE_SAME(found({{"Colour", "red"}}), {});
  CODEWAKE_CONFORMANCE_SAME(found({{"colour", "RED"}}), {});
  CODEWAKE_CONFORMANCE_SAME(found({{"colour", "re"}}), {});
  CODEWAKE_CONFORMANCE_SAME(found({{"colour", "red "}}), {});
  CODEWAKE_CONFORMANCE_SAME(found({{"size", "01"}}), {});
  CODEWAKE_CONFORMANCE_SAME(found({{"size", "1.0"}}), {});
}

inline void repeated_terms_must_each_match(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const Id both = add_event(*store, process_id, {{"tag", "a"}, {"x", "y"}, {"tag", "b"}}).id;
  const Id a = add_event(*store, process_id, {{"tag", "a"}, {"tag", "a"}}).id;
  const Id b = add_event(*store, process_id, {{"tag", "b"}}).id;
  const auto found = [&](const std::vector<Attribute>& where) {
    return ids_of(store->get_events_by_data(where));
  };
  CODEWAKE_CONFORMANCE_SAME(found({{"tag", "a"}}), {both, a});
  CODEWAKE_CONFORMANCE_SAME(found({{"tag", "b"}}), {both, b});
  CODEWAKE_CONFORMANCE_SAME(found({{"tag", "b"}, {"tag", "a"}}), {both});
  CODEWAKE_CONFORMANCE_SAME(found({{"tag", "a"}, {"tag", "a"}}), {both, a});
  CODEWAKE_CONFORMANCE_SAME(found({{"tag", "a"}, {"tag", "b"}, {"tag", "c"}}), {});
}

inline void null_term_matches_null_only(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const Id null = add_event(*store, process_id, {{"k", nullptr}}).id;
  const Id empty = add_event(*store, process_id, {{"k", ""}}).id;
  const Id word = add_event(*store, process_id, {{"k", "NULL"}}).id;
  const Id both = add_event(*store, process_id, {{"k", ""}, {"k", nullptr}}).id;
  const Id no_key = add_event(*store, process_id, {{"", ""}}).id;
  const auto found = [&](const std::vector<Attribute>& where) {
    EventQuery query;
    query.where = where;
    std::vector<Id> newest_first = ids_of(store->get_events(query).events);
    std::reverse(newest_first.begin(), newest_first.end());
    const std::vector<Id> ids = ids_of(store->get_events_by_data(where));
    CODEWAKE_CONFORMANCE_SAME(newest_first, ids);  // get_events understands terms as get_events_by_data does
    return ids;
  };
  CODEWAKE_CONFORMANCE_SAME(found({{"k", std::nullopt}}), {null, both});
  CODEWAKE_CONFORMANCE_SAME(found({{"k", ""}}), {empty, both});
  CODEWAKE_CONFORMANCE_SAME(found({{"k", "NULL"}}), {word});
  CODEWAKE_CONFORMANCE_SAME(found({{"k", ""}, {"k", std::nullopt}}), {both});
  CODEWAKE_CONFORMANCE_SAME(found({{"", ""}}), {no_key});
  CODEWAKE_CONFORMANCE_SAME(found({{"", std::nullopt}}), {});
}

inline void events_are_found_by_process(const Storage& storage) {
  const auto store = storage.open();
  const Id first = add_process(*store);
  const Id second = add_process(*store);
  const EventRecord a = add_event(*store, first, {{"k", "v"}}, at(2));
  const EventRecord b = add_event(*store, second, {{"k", "v"}}, at(1));
  const EventRecord c = add_event(*store, first, {{"k", "w"}}, at(0));
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({{"k", "v"}}), {a, b});
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({{"k", "v"}}, first), {a});
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({}, first), {a, c});
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({}, second), {b});
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({{"k", "w"}}, second), {});
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({}, second + 1'000'000), {});
}

// ── get_events ──

/// Two apps in two environments (and one in none), with events that differ in time, data and stack trace.
struct Mixed {
  Id shop = 0;
  Id till = 0;
  Id bare = 0;
  EventRecord shop_plain;
  EventRecord shop_fault;
  EventRecord till_fault;
  EventRecord bare_plain;
};

inline Mixed add_mixed(Store& store) {
  Mixed mixed;
  ProcessInfo info = process_info("shop");
  info.env_name = "production";
  mixed.shop = add_process(store, info);
  info.app_name = "till";
  info.env_name = "test";
  mixed.till = add_process(store, info);
  mixed.bare = add_process(store, process_info("shop"));
  const Stacktrace stack(std::vector<Frame>{frame("inner"), frame("main")});
  const Stacktrace no_frames{std::vector<Frame>{}};
  mixed.shop_plain = add_event(store, mixed.shop, {{"kind", "order"}, {"n", "1"}}, at(10));
  mixed.shop_fault = add_event(store, mixed.shop, {{"kind", "fault"}, {"n", "1"}}, at(20), &stack);
  mixed.till_fault = add_event(store, mixed.till, {{"kind", "fault"}, {"n", "2"}}, at(30), &no_frames);
  mixed.bare_plain = add_event(store, mixed.bare, {{"kind", "order"}, {"n", "2"}}, at(40));
  return mixed;
}

inline void each_filter_of_get_events_works_alone(const Storage& storage) {
  const auto store = storage.open();
  const Mixed m = add_mixed(*store);
  const auto found = [&](const EventQuery& query) {
    const EventPage page = store->get_events(query);
    DOCTEST_CHECK_MESSAGE(page.next.empty(), "there is no next page");
    return page.events;
  };
  CODEWAKE_CONFORMANCE_SAME(found({}), {m.bare_plain, m.till_fault, m.shop_fault, m.shop_plain});
  CODEWAKE_CONFORMANCE_SAME(found({.process_id = m.shop}), {m.shop_fault, m.shop_plain});
  CODEWAKE_CONFORMANCE_SAME(found({.process_id = m.bare + 1'000'000}), {});
  CODEWAKE_CONFORMANCE_SAME(found({.app_name = "shop"}), {m.bare_plain, m.shop_fault, m.shop_plain});
  CODEWAKE_CONFORMANCE_SAME(found({.app_name = "SHOP"}), {});
  CODEWAKE_CONFORMANCE_SAME(found({.env_name = "production"}), {m.shop_fault, m.shop_plain});
  CODEWAKE_CONFORMANCE_SAME(found({.env_name = "staging"}), {});
  CODEWAKE_CONFORMANCE_SAME(found({.where = {{"kind", "order"}}}), {m.bare_plain, m.shop_plain});
  CODEWAKE_CONFORMANCE_SAME(found({.has_stacktrace = true}), {m.till_fault, m.shop_fault});
  CODEWAKE_CONFORMANCE_SAME(found({.has_stacktrace = false}), {m.bare_plain, m.shop_plain});
}

inline void filters_of_get_events_work_together(const Storage& storage) {
  const auto store = storage.open();
  const Mixed m = add_mixed(*store);
  const auto found = [&](const EventQuery& query) { return store->get_events(query).events; };
  CODEWAKE_CONFORMANCE_SAME(found({.app_name = "shop", .env_name = "production", .has_stacktrace = false}),
                            {m.shop_plain});
  CODEWAKE_CONFORMANCE_SAME(found({.app_name = "till", .env_name = "production"}), {});
  CODEWAKE_CONFORMANCE_SAME(found({.process_id = m.shop, .app_name = "till"}), {});
  CODEWAKE_CONFORMANCE_SAME(found({.from = at(15), .where = {{"n", "2"}, {"kind", "fault"}}}),
                            {m.till_fault});
  CODEWAKE_CONFORMANCE_SAME(found({.to = at(40), .where = {{"n", "2"}}}), {m.till_fault});
  CODEWAKE_CONFORMANCE_SAME(found({.from = at(20), .to = at(40), .app_name = "shop"}), {m.shop_fault});
  CODEWAKE_CONFORMANCE_SAME(found({.from = at(10),
                                   .to = at(21),
                                   .process_id = m.shop,
                                   .app_name = "shop",
                                   .env_name = "production",
                                   .where = {{"kind", "fault"}, {"n", "1"}},
                                   .has_stacktrace = true,
                                   .limit = 1}),
                            {m.shop_fault});
}

inline void time_range_is_from_inclusive_to_exclusive(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const EventRecord before = add_event(*store, process_id, {}, at(99));
  const EventRecord first = add_event(*store, process_id, {}, at(100));
  const EventRecord last = add_event(*store, process_id, {}, at(199));
  const EventRecord after = add_event(*store, process_id, {}, at(200));
  const EventRecord old = add_event(*store, process_id, {}, Time(std::chrono::seconds(-1)));
  const auto found = [&](std::optional<Time> from, std::optional<Time> to) {
    return ids_of(store->get_events({.from = from, .to = to}).events);
  };
  CODEWAKE_CONFORMANCE_SAME(found(at(100), at(200)), {last.id, first.id});
  CODEWAKE_CONFORMANCE_SAME(found(at(99), at(201)), {after.id, last.id, first.id, before.id});
  CODEWAKE_CONFORMANCE_SAME(found(at(101), at(199)), {});
  CODEWAKE_CONFORMANCE_SAME(found(at(200), std::nullopt), {after.id});
  CODEWAKE_CONFORMANCE_SAME(found(at(201), std::nullopt), {});
  CODEWAKE_CONFORMANCE_SAME(found(std::nullopt, at(100)), {before.id, old.id});
  CODEWAKE_CONFORMANCE_SAME(found(std::nullopt, at(99)), {old.id});
  CODEWAKE_CONFORMANCE_SAME(found(at(100), at(100)), {});
  CODEWAKE_CONFORMANCE_SAME(found(at(200), at(100)), {});
  CODEWAKE_CONFORMANCE_SAME(found(Time::min(), Time::max()),
                            {after.id, last.id, first.id, before.id, old.id});
}

inline void events_come_newest_first(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const Id a = add_event(*store, process_id, {}, at(2)).id;
  const Id b = add_event(*store, process_id, {}, at(3)).id;
  const Id c = add_event(*store, process_id, {}, at(1)).id;
  const Id d = add_event(*store, process_id, {}, at(2)).id;
  const Id e = add_event(*store, process_id, {}, at(2)).id;
  CODEWAKE_CONFORMANCE_SAME(ids_of(store->get_events({}).events), {b, e, d, a, c});
  CODEWAKE_CONFORMANCE_SAME(ids_of(store->get_events_by_data({})), {a, b, c, d, e});
  std::vector<Id> one_by_one;
  EventQuery query;
  query.limit = 1;
  do {
    const EventPage page = store->get_events(query);
    DOCTEST_REQUIRE(page.events.size() == 1);
    one_by_one.push_back(page.events[0].id);
    query.cursor = page.next;
  } while (!query.cursor.empty() && one_by_one.size() < 10);
  CODEWAKE_CONFORMANCE_SAME(one_by_one, {b, e, d, a, c});
}

inline void limit_is_the_most_of_a_page(const Storage& storage) {
  const auto store = storage.open();
  const EventPage nothing = store->get_events({});
  DOCTEST_CHECK(nothing.events.empty());
  CODEWAKE_CONFORMANCE_SAME(nothing.next, "");
  const Id process_id = add_process(*store);
  for (int i = 0; i < 5; ++i) add_event(*store, process_id, {}, at(i));
  for (const std::size_t limit : {std::size_t{1}, std::size_t{4}, std::size_t{5}, std::size_t{6},
                                  std::numeric_limits<std::size_t>::max()}) {
    DOCTEST_CAPTURE(limit);
    const EventPage page = store->get_events({.limit = limit});
    CODEWAKE_CONFORMANCE_SAME(page.events.size(), std::min<std::size_t>(limit, 5));
    DOCTEST_CHECK_MESSAGE(page.next.empty() == (limit >= 5),
                          "a next page is named where there is one, and only there");
  }
}

inline void bad_cursor_is_rejected(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  for (int i = 0; i < 3; ++i) add_event(*store, process_id, {}, at(i));
  const std::string good = store->get_events({.limit = 1}).next;
  for (const std::string& cursor : {std::string("nonsense"), std::string(" "), std::string("'; --"),
                                    good + "x", std::string("\xff"), std::string(100'000, '9')}) {
    DOCTEST_CAPTURE(shown(cursor));
    CODEWAKE_CONFORMANCE_SAME(thrown_by([&] { store->get_events({.cursor = cursor}); }),
                              std::string(to_string(StoreError::Kind::rejected)));
  }
}

/// Writes `count` events whose times repeat every hundred, in batches of a thousand; the result is (when, id)
/// of each.
inline std::vector<std::pair<Time, Id>> add_many(Store& store, Id process_id, int count) {
  std::vector<std::pair<Time, Id>> written;
  for (int done = 0; done < count; done += 1000) {
    BatchOfItsOwn batch;
    const std::uint32_t process = batch.process(process_id);
    const int end = std::min(done + 1000, count);
    for (int i = done; i < end; ++i) {
      written.emplace_back(at(i % 100 * 1000), 0);
      batch.event(process, {{"n", i}, {"third", i % 3}}, written.back().first);
    }
    const BatchResult result = batch.write_to(store);
    DOCTEST_REQUIRE(result.event_ids.size() == static_cast<std::size_t>(end - done));
    for (int i = done; i < end; ++i) {
      written[static_cast<std::size_t>(i)].second = result.event_ids[static_cast<std::size_t>(i - done)];
    }
  }
  return written;
}

inline void ten_thousand_events_are_paged(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  auto expected = add_many(*store, process_id, 10'000);
  std::sort(expected.rbegin(), expected.rend());
  std::vector<std::pair<Time, Id>> read;
  EventQuery query;
  query.limit = 997;
  do {
    const EventPage page = store->get_events(query);
    DOCTEST_REQUIRE_MESSAGE(!page.events.empty(), "a page that was announced has events");
    DOCTEST_CHECK(page.events.size() <= query.limit);
    for (const EventRecord& event : page.events) read.emplace_back(event.when, event.id);
    query.cursor = page.next;
  } while (!query.cursor.empty() && read.size() <= expected.size());
  DOCTEST_CHECK_MESSAGE(read == expected, "every event once, newest first, ties by id; got ", read.size(),
                        " events");

  EventQuery third;
  third.where = {{"third", "1"}};
  third.limit = 2000;
  const EventPage first_page = store->get_events(third);
  third.cursor = first_page.next;
  const EventPage second_page = store->get_events(third);
  CODEWAKE_CONFORMANCE_SAME(first_page.events.size(), 2000);
  CODEWAKE_CONFORMANCE_SAME(second_page.events.size(), 1333);
  CODEWAKE_CONFORMANCE_SAME(second_page.next, "");
}

inline void paging_is_not_disturbed_by_new_events(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const auto written = add_many(*store, process_id, 1000);
  std::set<std::pair<Time, Id>> old(written.begin(), written.end());
  std::vector<std::pair<Time, Id>> read;
  EventQuery query;
  query.limit = 30;
  do {
    const EventPage page = store->get_events(query);
    for (const EventRecord& event : page.events) read.emplace_back(event.when, event.id);
    query.cursor = page.next;
    BatchOfItsOwn batch;
    const std::uint32_t process = batch.process(process_id);
    for (const Time when : {at(1'000'000), at(50'000), at(0)}) batch.event(process, {{"new", true}}, when);
    if (!page.events.empty()) batch.event(process, {{"new", "tie"}}, page.events.back().when);
    batch.write_to(*store);
  } while (!query.cursor.empty() && read.size() < 5000);
  DOCTEST_CHECK_MESSAGE(std::is_sorted(read.rbegin(), read.rend()), "pages go on where the one before ended");
  DOCTEST_CHECK_MESSAGE(std::adjacent_find(read.begin(), read.end()) == read.end(), "no event comes twice");
  for (const auto& event : read) old.erase(event);
  DOCTEST_CHECK_MESSAGE(old.empty(), old.size(), " of the events that were there at the start never came");
}

// ── get_processes ──

inline void processes_are_found_by_app_and_time(const Storage& storage) {
  const auto store = storage.open();
  CODEWAKE_CONFORMANCE_SAME(store->get_processes({}), {});
  std::vector<Id> ids;
  ProcessInfo info = process_info("shop");
  for (const std::int64_t microseconds : {200, 100, 199, 99}) {
    info.run_ts = at(microseconds);
    ids.push_back(add_process(*store, info));
  }
  info.app_name = "till";
  info.app_vsn = "1";
  info.run_ts = at(150);
  ids.push_back(add_process(*store, info));
  const auto shop = store->insert_app("shop", std::nullopt).app.id;
  const auto till = store->insert_app("till", std::nullopt).app.id;
  const auto found = [&](const ProcessQuery& query) { return ids_of(store->get_processes(query)); };
  CODEWAKE_CONFORMANCE_SAME(found({}), ids);
  CODEWAKE_CONFORMANCE_SAME(found({.app_id = shop}), {ids[0], ids[1], ids[2], ids[3]});
  CODEWAKE_CONFORMANCE_SAME(found({.app_id = till}), {ids[4]});
  CODEWAKE_CONFORMANCE_SAME(found({.app_id = till + 1'000'000}), {});
  CODEWAKE_CONFORMANCE_SAME(found({.from = at(100), .to = at(200)}), {ids[1], ids[2], ids[4]});
  CODEWAKE_CONFORMANCE_SAME(found({.app_id = shop, .from = at(100), .to = at(200)}), {ids[1], ids[2]});
  CODEWAKE_CONFORMANCE_SAME(found({.from = at(200)}), {ids[0]});
  CODEWAKE_CONFORMANCE_SAME(found({.to = at(100)}), {ids[3]});
  CODEWAKE_CONFORMANCE_SAME(found({.from = at(151), .to = at(151)}), {});
  CODEWAKE_CONFORMANCE_SAME(found({.from = Time::min(), .to = Time::max()}), ids);
  for (const ProcessRecord& process : store->get_processes({})) {
    CODEWAKE_CONFORMANCE_SAME(store->get_process_by_id(process.id), process);
  }
}

// ── get_exceptions ──

inline void exceptions_are_grouped(const Storage& storage) {
  const auto store = storage.open();
  CODEWAKE_CONFORMANCE_SAME(store->get_exceptions({}), {});
  const Id process_id = add_process(*store);
  const Stacktrace near(std::vector<Frame>{frame("near"), frame("main")});
  const Stacktrace far(std::vector<Frame>{frame("far"), frame("main")});
  const Stacktrace no_frames{std::vector<Frame>{}};
  const auto fault = [&](const char* type, const char* message, Time when, const Stacktrace& stack) {
    return add_event(*store, process_id,
                     {{"event", "fault"},
                      {"exception.type", type},
                      {"exception.message", message},
                      {"exception.cause.1.type", "ignored"}},
                     when, &stack);
  };
  const EventRecord last_a = fault("A", "the last", at(50), near);
  fault("A", "the first", at(10), near);
  fault("A", "between", at(30), near);
  const EventRecord b = fault("B", "same stack, other type", at(40), near);
  const EventRecord c = fault("A", "same type, other stack", at(60), far);
  const EventRecord plain = add_event(*store, process_id, {{"event", "slow"}}, at(20), &near);
  const EventRecord empty = fault("C", "", at(5), no_frames);
  add_event(*store, process_id, {{"exception.type", "A"}}, at(70));  // no stack trace: in no group

  const auto group = [](const EventRecord& last, std::uint64_t count, Time first, const char* type,
                        const char* message) {
    ExceptionGroup result;
    result.stacktrace_id = last.stacktrace_id.value_or(0);
    result.count = count;
    result.first = first;
    result.last = last.when;
    result.last_event_id = last.id;
    if (type != nullptr) result.type = type;
    if (message != nullptr) result.message = message;
    if (!last.frames.empty()) result.top_frame = last.frames.front();
    return result;
  };
  const std::vector<ExceptionGroup> all = {
      group(c, 1, at(60), "A", "same type, other stack"), group(last_a, 3, at(10), "A", "the last"),
      group(b, 1, at(40), "B", "same stack, other type"), group(plain, 1, at(20), nullptr, nullptr),
      group(empty, 1, at(5), "C", "")};
  CODEWAKE_CONFORMANCE_SAME(store->get_exceptions({}), all);
  CODEWAKE_CONFORMANCE_SAME(store->get_exceptions({.limit = 2}), {all[0], all[1]});
  CODEWAKE_CONFORMANCE_SAME(store->get_exceptions({.limit = std::numeric_limits<std::size_t>::max()}), all);
}

inline void exceptions_are_filtered(const Storage& storage) {
  const auto store = storage.open();
  ProcessInfo info = process_info("shop");
  info.env_name = "production";
  const Id shop = add_process(*store, info);
  info.app_name = "till";
  info.env_name = "test";
  const Id till = add_process(*store, info);
  const Stacktrace stack(std::vector<Frame>{frame("inner")});
  for (const std::int64_t microseconds : {10, 20, 30}) {
    add_event(*store, shop, {{"exception.type", "A"}}, at(microseconds), &stack);
  }
  add_event(*store, till, {{"exception.type", "A"}}, at(25), &stack);
  const auto counted = [&](const ExceptionQuery& query) {
    std::string result;
    for (const ExceptionGroup& group : store->get_exceptions(query)) {
      result += std::to_string(group.count) + " from " +
                std::to_string((group.first - at(0)).count() / 1000) + " to " +
                std::to_string((group.last - at(0)).count() / 1000);
    }
    return result;
  };
  CODEWAKE_CONFORMANCE_SAME(counted({}), "4 from 10 to 30");
  CODEWAKE_CONFORMANCE_SAME(counted({.from = at(20)}), "3 from 20 to 30");
  CODEWAKE_CONFORMANCE_SAME(counted({.to = at(30)}), "3 from 10 to 25");
  CODEWAKE_CONFORMANCE_SAME(counted({.from = at(11), .to = at(21)}), "1 from 20 to 20");
  CODEWAKE_CONFORMANCE_SAME(counted({.from = at(31)}), "");
  CODEWAKE_CONFORMANCE_SAME(counted({.app_name = "shop"}), "3 from 10 to 30");
  CODEWAKE_CONFORMANCE_SAME(counted({.env_name = "test"}), "1 from 25 to 25");
  CODEWAKE_CONFORMANCE_SAME(counted({.app_name = "shop", .env_name = "test"}), "");
}

}  // namespace codewake::testing::conformance
