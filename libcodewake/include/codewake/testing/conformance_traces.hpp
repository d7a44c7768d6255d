// Conformance: trace events, traces, and what was logged inside of them. Skipped for stores that do not keep
// trace events (Store::stores_trace_events). Include store_conformance.hpp instead.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/event.hpp"
#include "codewake/records.hpp"
#include "codewake/store.hpp"
#include "codewake/testing/conformance_retention.hpp"
#include "codewake/testing/conformance_support.hpp"
#include "codewake/time.hpp"
#include "codewake/trace_context.hpp"
#include "codewake/trace_event.hpp"

namespace codewake::testing::conformance {

/// Opens the store, or says that it keeps no trace events.
inline std::shared_ptr<Store> open_tracing(const Storage& storage) {
  auto store = storage.open();
  if (store->stores_trace_events()) return store;
  skip("the store does not keep trace events");
  return nullptr;
}

inline TraceId trace_number(std::uint8_t number) {
  TraceId id;
  id.bytes.fill(0xA0);
  id.bytes.back() = number;
  return id;
}

inline SpanId span_number(std::uint8_t number) {
  SpanId id;
  id.bytes.fill(0xB0);
  id.bytes.back() = number;
  return id;
}

/// An event that says who it is; everything that may be left out is.
inline TraceEventRecord trace_event(std::uint8_t trace, std::string name, Time when,
                                    TraceKind kind = TraceKind::state_change) {
  static std::uint64_t number = 0;
  TraceEventRecord event;
  event.kind = kind;
  event.id.bytes.fill(0xC0);
  ++number;
  for (std::size_t i = 0; i < 8; ++i) event.id.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  event.trace_id = trace_number(trace);
  event.span_id = span_number(trace);
  event.step = number;
  event.when = when;
  event.texts.service = "shop";
  event.texts.execution = "shop#1#main";
  event.texts.name = std::move(name);
  event.texts.clock = R"([["shop#1#main",1]])";
  event.texts.locks = "[]";
  return event;
}

/// Writes them, of one new process, and gives each its process. The rows are given by the store.
inline void write_trace_events(Store& store, std::vector<TraceEventRecord>& events) {
  BatchOfItsOwn batch;
  const std::uint32_t process = batch.process(process_info());
  for (const TraceEventRecord& event : events) batch.trace_event(process, event);
  const Id process_id = batch.write_to(store).process_ids.at(0);
  for (TraceEventRecord& event : events) event.process_id = process_id;
}

/// All that a query finds, page by page.
inline std::vector<TraceEventRecord> all_trace_events(Store& store, TraceEventQuery query) {
  std::vector<TraceEventRecord> all;
  do {
    TraceEventPage page = store.get_trace_events(query);
    DOCTEST_REQUIRE(page.events.size() <= query.limit);
    for (TraceEventRecord& event : page.events) all.push_back(std::move(event));
    query.cursor = page.next;
  } while (!query.cursor.empty());
  return all;
}

/// The same without the numbers that the store gave them.
inline std::vector<TraceEventRecord> without_rows(std::vector<TraceEventRecord> events) {
  for (TraceEventRecord& event : events) event.row = 0;
  return events;
}

inline std::vector<std::string> names_of(const std::vector<TraceEventRecord>& events) {
  std::vector<std::string> names;
  for (const TraceEventRecord& event : events) names.push_back(event.texts.name);
  return names;
}

inline void trace_event_keeps_every_field(const Storage& storage) {
  const auto store = open_tracing(storage);
  if (!store) return;
  using std::chrono::nanoseconds;
  const std::vector<std::optional<nanoseconds>> durations = {std::nullopt, nanoseconds(0), nanoseconds(1),
                                                             nanoseconds(123'456'789),
                                                             std::chrono::hours(24 * 20) + nanoseconds(1)};
  std::vector<TraceEventRecord> events;
  for (std::size_t i = 1; i <= kTraceKinds; ++i) {
    const auto number = static_cast<std::uint8_t>(i);
    TraceEventRecord event = trace_event(number, "name", at(static_cast<std::int64_t>(i)));
    event.kind = static_cast<TraceKind>(i);
    if (i <= kAccesses) event.access = static_cast<Access>(i);
    event.duration = durations[i % durations.size()];
    if (i % 2 == 0) {
      event.upstream_span_id = span_number(static_cast<std::uint8_t>(100 + i));
      event.parent_id = events.back().id;
      event.line = std::numeric_limits<std::uint32_t>::max() - static_cast<std::uint32_t>(i);
      event.texts = {.service = "the service",
                     .instance = "its instance",
                     .environment = "production",
                     .execution = "the service#its instance#7",
                     .thread = "worker 3",
                     .name = "cart",
                     .file = "src/cart.cpp",
                     .data = R"({"old_value":1,"new_value":2})",
                     .clock = R"([["other",4],["the service#its instance#7",9]])",
                     .locks = R"(["cart mutex"])"};
    }
    events.push_back(std::move(event));
  }
  TraceEventRecord empty;
  empty.trace_id = trace_number(1);
  empty.when = at(1000);
  events.push_back(empty);
  write_trace_events(*store, events);
  const std::vector<TraceEventRecord> read = all_trace_events(*store, {});
  CODEWAKE_CONFORMANCE_SAME(without_rows(read), events);
  for (std::size_t i = 1; i < read.size(); ++i) DOCTEST_CHECK(read[i - 1].row < read[i].row);
}

inline void trace_event_texts_are_only_text(const Storage& storage) {
  const auto store = open_tracing(storage);
  if (!store) return;
  std::vector<TraceEventRecord> events;
  const auto with_texts = [&](const std::string& text) {
    const auto when = at(static_cast<std::int64_t>(events.size()));
    TraceEventRecord& event = events.emplace_back(trace_event(1, text, when));
    TraceEventTexts<std::string>::for_each(event.texts, [&](std::string& each) { each = text; });
  };
  for (const std::string_view text : kAwkwardTexts) with_texts(std::string(text));
  with_texts("\xc3\xa9 e\xcc\x81 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf");
  with_texts(" ");
  with_texts(std::string(10'000, 'n'));  // more than an index takes
  events.back().texts.data = std::string(1 << 20, '\'');
  write_trace_events(*store, events);
  CODEWAKE_CONFORMANCE_SAME(without_rows(all_trace_events(*store, {})), events);
  for (const TraceEventRecord& event : events) {
    const auto found = all_trace_events(*store, {.variable = event.texts.name});
    CODEWAKE_CONFORMANCE_SAME(without_rows(found), {event});
  }
}

inline void trace_events_are_found_by_trace_variable_and_time(const Storage& storage) {
  const auto store = open_tracing(storage);
  if (!store) return;
  std::vector<TraceEventRecord> events;
  for (int i = 0; i < 24; ++i) {
    const auto kind = i % 4 == 3 ? TraceKind::function_call : TraceKind::state_change;
    const std::string name = i % 4 == 3 ? "x" : i % 3 == 0 ? "X" : "x";
    events.push_back(trace_event(static_cast<std::uint8_t>(i % 2), name, at(i), kind));
  }
  write_trace_events(*store, events);
  const auto matching = [&](auto matches) {
    std::vector<TraceEventRecord> found;
    for (const TraceEventRecord& event : events) {
      if (matches(event)) found.push_back(event);
    }
    return found;
  };
  const auto is_x = [](const TraceEventRecord& event) {
    return event.texts.name == "x" && event.kind == TraceKind::state_change;
  };
  const auto is_of_1 = [](const TraceEventRecord& event) { return event.trace_id == trace_number(1); };
  const auto is_within = [](const TraceEventRecord& event) {
    return at(5) <= event.when && event.when < at(15);
  };
  const auto found = [&](const TraceEventQuery& query) {
    return without_rows(all_trace_events(*store, query));
  };
  CODEWAKE_CONFORMANCE_SAME(found({.trace_id = trace_number(1)}), matching(is_of_1));
  CODEWAKE_CONFORMANCE_SAME(found({.variable = "x"}), matching(is_x));
  CODEWAKE_CONFORMANCE_SAME(found({.from = at(5), .to = at(15)}), matching(is_within));
  CODEWAKE_CONFORMANCE_SAME(
      found({.trace_id = trace_number(1), .variable = "x", .from = at(5), .to = at(15), .limit = 1}),
      matching([&](const TraceEventRecord& e) { return is_of_1(e) && is_x(e) && is_within(e); }));
  CODEWAKE_CONFORMANCE_SAME(found({.trace_id = trace_number(9)}), {});
  CODEWAKE_CONFORMANCE_SAME(found({.variable = "y"}), {});
  CODEWAKE_CONFORMANCE_SAME(found({.from = at(24)}), {});
}

inline void trace_events_are_paged_oldest_first(const Storage& storage) {
  const auto store = open_tracing(storage);
  if (!store) return;
  std::vector<TraceEventRecord> events;
  for (int i = 0; i < 1000; ++i) {
    events.push_back(trace_event(1, std::to_string(i), at(i / 7)));  // many of one time
  }
  std::vector<TraceEventRecord> late(events.begin() + 500, events.end());
  std::vector<TraceEventRecord> early(events.begin(), events.begin() + 500);
  write_trace_events(*store, late);
  write_trace_events(*store, early);
  const TraceEventPage first = store->get_trace_events({.limit = 300});
  CODEWAKE_CONFORMANCE_SAME(first.events.size(), 300);
  std::vector<TraceEventRecord> newer = {trace_event(1, "newer", at(2000)), trace_event(1, "older", at(-5))};
  write_trace_events(*store, newer);
  std::vector<TraceEventRecord> paged = first.events;
  for (auto& event : all_trace_events(*store, {.limit = 300, .cursor = first.next}))
    paged.push_back(std::move(event));
  CODEWAKE_CONFORMANCE_SAME(paged.size(), 1001);
  CODEWAKE_CONFORMANCE_SAME(paged.back().texts.name, "newer");
  for (std::size_t i = 1; i < paged.size(); ++i) {
    DOCTEST_REQUIRE(std::pair(paged[i - 1].when, paged[i - 1].row) < std::pair(paged[i].when, paged[i].row));
  }
  for (const std::size_t limit : {std::size_t{1}, std::size_t{7}, std::numeric_limits<std::size_t>::max()}) {
    CODEWAKE_CONFORMANCE_SAME(all_trace_events(*store, {.to = at(3), .limit = limit}).size(), 22);
  }
  CODEWAKE_CONFORMANCE_SAME(store->get_trace_events({.limit = 1002}).next, "");
  for (const char* cursor : {"x", "1", "'; DROP TABLE trace_events; --"}) {
    CODEWAKE_CONFORMANCE_SAME(thrown_by([&] { store->get_trace_events({.cursor = cursor}); }),
                              std::string(to_string(StoreError::Kind::rejected)));
  }
}

inline void traces_are_summed_up(const Storage& storage) {
  const auto store = open_tracing(storage);
  if (!store) return;
  CODEWAKE_CONFORMANCE_SAME(store->get_traces({}), {});
  std::vector<TraceEventRecord> events = {
      trace_event(1, "GET /cart", at(10), TraceKind::http_request),
      trace_event(1, "cart", at(12)),
      trace_event(2, "second", at(11)),
      trace_event(1, "std::logic_error", at(40), TraceKind::error),
      trace_event(3, "third", at(30)),
      trace_event(2, "later", at(35), TraceKind::http_response),
      trace_event(1, "early", at(9)),
  };
  events[1].texts.service = "inventory";
  events[1].texts.execution = "inventory#1#main";
  events[3].texts.execution = "shop#1#other";
  events[6].texts.service = "Zoo";
  write_trace_events(*store, events);
  const TraceSummary one{.trace_id = trace_number(1),
                         .first = at(9),
                         .last = at(40),
                         .events = 4,
                         .errors = 1,
                         .executions = 3,
                         .services = {"Zoo", "inventory", "shop"},
                         .root = "early"};
  const TraceSummary two{.trace_id = trace_number(2),
                         .first = at(11),
                         .last = at(35),
                         .events = 2,
                         .executions = 1,
                         .services = {"shop"},
                         .root = "second"};
  const TraceSummary three{.trace_id = trace_number(3),
                           .first = at(30),
                           .last = at(30),
                           .events = 1,
                           .executions = 1,
                           .services = {"shop"},
                           .root = "third"};
  CODEWAKE_CONFORMANCE_SAME(store->get_traces({}), {one, two, three});
  CODEWAKE_CONFORMANCE_SAME(store->get_traces({.limit = 2}), {one, two});
  CODEWAKE_CONFORMANCE_SAME(store->get_traces({.from = at(35), .limit = 5}), {one, two});
  // In the order in which they were last at work within the time.
  CODEWAKE_CONFORMANCE_SAME(store->get_traces({.to = at(35)}), {three, one, two});
  CODEWAKE_CONFORMANCE_SAME(store->get_traces({.from = at(13), .to = at(30)}), {});
}

/// Whatever way finds the newest traces soon is long for one of the two.
inline void newest_traces_are_found_among_many(const Storage& storage) {
  const auto store = open_tracing(storage);
  if (!store) return;
  constexpr int kTraces = 5'000, kEvents = 20'000;
  std::vector<TraceEventRecord> events;
  for (int i = 0; i < kTraces; ++i) {
    events.push_back(trace_event(0, "small", at(i)));
    events.back().trace_id.bytes[3] = static_cast<std::uint8_t>(i >> 8);
    events.back().trace_id.bytes[4] = static_cast<std::uint8_t>(i);
  }
  for (int i = 0; i < kEvents; ++i) events.push_back(trace_event(255, "large", at(kTraces + i)));
  write_trace_events(*store, events);
  const auto check = [&](const TraceQuery& query, int newest, std::size_t count) {
    const std::vector<TraceSummary> found = store->get_traces(query);
    CODEWAKE_CONFORMANCE_SAME(found.size(), count);
    DOCTEST_REQUIRE(found.size() == count);
    CODEWAKE_CONFORMANCE_SAME(found[0].events, kEvents);
    for (std::size_t i = 1; i < count; ++i) {
      const auto number = static_cast<std::size_t>(newest) - (i - 1);
      CODEWAKE_CONFORMANCE_SAME(found[i].trace_id, events[number].trace_id);
    }
  };
  check({.limit = 1}, 0, 1);
  check({.limit = 10}, kTraces - 1, 10);
  check({.from = at(100), .to = at(kTraces + 10), .limit = 6'000}, kTraces - 1, kTraces - 100 + 1);
}

inline void event_keeps_its_trace(const Storage& storage) {
  const auto store = open_tracing(storage);
  if (!store) return;
  const TraceTie tie{trace_number(1), span_number(2)};
  BatchOfItsOwn batch;
  const std::uint32_t process = batch.process(process_info());
  batch.event(process, {{"k", "tied"}}, at(1));
  batch.tie(tie);
  batch.event(process, {{"k", "free"}}, at(2));
  batch.event(process, {{"k", "tied"}}, at(3));
  batch.tie({trace_number(3), span_number(4)});
  const BatchResult result = batch.write_to(*store);
  const std::vector<std::optional<TraceTie>> ties = {tie, std::nullopt,
                                                     TraceTie{trace_number(3), span_number(4)}};
  const EventPage page = store->get_events({});
  const std::vector<EventRecord> by_process = store->get_events_by_data({}, result.process_ids.at(0));
  DOCTEST_REQUIRE((page.events.size() == 3 && by_process.size() == 3));
  for (std::size_t i = 0; i < ties.size(); ++i) {
    const auto event = store->get_event_by_id(result.event_ids.at(i));
    DOCTEST_REQUIRE(event.has_value());
    CODEWAKE_CONFORMANCE_SAME(event->trace, ties[i]);
    CODEWAKE_CONFORMANCE_SAME(page.events[2 - i].trace, ties[i]);
    CODEWAKE_CONFORMANCE_SAME(by_process[i].trace, ties[i]);
    CODEWAKE_CONFORMANCE_SAME(event->data.size(), 1);  // nothing was added to it
  }
  CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({{"k", "tied"}}).at(1).trace, ties[2]);
  const auto single =
      store->insert_event({.process_id = result.process_ids[0], .when = at(4), .trace = &tie}, true);
  DOCTEST_REQUIRE(single.has_value());
  CODEWAKE_CONFORMANCE_SAME(single->trace, tie);
}

inline void events_of_a_trace_come_oldest_first(const Storage& storage) {
  const auto store = open_tracing(storage);
  if (!store) return;
  BatchOfItsOwn batch;
  const std::uint32_t process = batch.process(process_info());
  for (int i = 0; i < 12; ++i) {
    batch.event(process, {{"n", i}}, at(100 - i / 3));  // the newest first, three of a time
    if (i % 3 != 0) batch.tie({trace_number(static_cast<std::uint8_t>(i % 3)), span_number(1)});
  }
  const std::vector<Id> ids = batch.write_to(*store).event_ids;
  const std::vector<Id> of_1 = {ids.at(10), ids.at(7), ids.at(4), ids.at(1)};
  CODEWAKE_CONFORMANCE_SAME(ids_of(store->get_events_of_trace(trace_number(1), 100)), of_1);
  CODEWAKE_CONFORMANCE_SAME(ids_of(store->get_events_of_trace(trace_number(1), 2)), {of_1[0], of_1[1]});
  CODEWAKE_CONFORMANCE_SAME(store->get_events_of_trace(trace_number(9), 100), {});
  CODEWAKE_CONFORMANCE_SAME(store->get_events_of_trace(trace_number(2), 100).at(0).data,
                            Attributes{{"n", 11}});
}

inline void trace_events_are_stored_with_their_batch(const Storage& storage) {
  const auto store = open_tracing(storage);
  if (!store) return;
  BatchOfItsOwn good;
  const std::uint32_t process = good.process(process_info());
  good.event(process, {{"k", "v"}}, at(1));
  good.trace_event(process, trace_event(1, "first", at(1)));
  good.trace_event(process, trace_event(1, "second", at(2)));
  good.position("run/lane", 5, process);
  const BatchResult result = good.write_to(*store);
  CODEWAKE_CONFORMANCE_SAME(result.event_ids.size(), 1);  // of ordinary events only
  CODEWAKE_CONFORMANCE_SAME(names_of(all_trace_events(*store, {})), {"first", "second"});
  CODEWAKE_CONFORMANCE_SAME(store->get_events({}).events.size(), 1);
  if (storage.remembers_positions) CODEWAKE_CONFORMANCE_SAME(store->get_positions("run/").size(), 1);

  BatchOfItsOwn bad;
  const std::uint32_t known = bad.process(result.process_ids.at(0));
  bad.trace_event(known, trace_event(2, "of a known process", at(3)));
  bad.trace_event(bad.process(result.process_ids[0] + 1'000'000), trace_event(2, "of none", at(4)));
  bad.position("run/lane", 9, known);
  CODEWAKE_CONFORMANCE_SAME(thrown_by([&] { bad.write_to(*store); }),
                            std::string(to_string(StoreError::Kind::rejected)));
  CODEWAKE_CONFORMANCE_SAME(all_trace_events(*store, {}).size(), 2);
  CODEWAKE_CONFORMANCE_SAME(store->get_traces({}).size(), 1);

  if (!storage.reopens) return;
  const auto other = storage.open();
  CODEWAKE_CONFORMANCE_SAME(names_of(all_trace_events(*other, {})), {"first", "second"});
}

inline void single_trace_event_is_stored(const Storage& storage) {
  const auto store = open_tracing(storage);
  if (!store) return;
  add_process(*store);
  const Id process_id = add_process(*store);
  const Time before = std::chrono::floor<std::chrono::microseconds>(now());
  TraceEventInput input;
  input.kind = TraceKind::custom;
  input.trace_id = trace_number(1);
  input.span_id = span_number(1);
  input.step = 1;
  input.texts.name = "bad \xff byte";
  input.texts.data = std::string_view("{\"nul\":\"\0\"}", 11);
  store->insert_trace_event(input);
  DOCTEST_REQUIRE(store->flush(std::chrono::seconds(60)));
  const std::vector<TraceEventRecord> read = all_trace_events(*store, {});
  DOCTEST_REQUIRE(read.size() == 1);
  CODEWAKE_CONFORMANCE_SAME(read[0].texts.name, "bad \xef\xbf\xbd byte");
  CODEWAKE_CONFORMANCE_SAME(read[0].texts.data, "{\"nul\":\"\xe2\x90\x80\"}");
  CODEWAKE_CONFORMANCE_SAME(read[0].process_id, process_id);
  DOCTEST_CHECK((before <= read[0].when && read[0].when <= now()));
}

inline void old_trace_events_are_removed(const Storage& storage) {
  const auto store = open_tracing(storage);
  if (!store) return;
  if (!storage.removes) return skip("the store cannot remove what is old");
  BatchOfItsOwn batch;
  const std::uint32_t old_one = batch.process(process_info());
  const std::uint32_t busy = batch.process(process_info());
  batch.event(old_one, {{"k", "v"}}, at(1));
  batch.tie({trace_number(1), span_number(1)});
  batch.event(busy, {{"k", "v"}}, at(100));
  batch.tie({trace_number(1), span_number(1)});
  for (const int when : {7, 3, 5, 100, 1}) {
    batch.trace_event(when < 100 ? old_one : busy, trace_event(1, std::to_string(when), at(when)));
  }
  BatchOfItsOwn traces_only;
  const std::uint32_t kept = traces_only.process(process_info());
  traces_only.trace_event(kept, trace_event(2, "young", at(200)));
  const BatchResult result = batch.write_to(*store);
  const Id kept_id = traces_only.write_to(*store).process_ids.at(0);
  const Removed all{.events = 1, .trace_events = 4, .processes = 1};
  CODEWAKE_CONFORMANCE_SAME(store->count_older(at(100)), all);
  CODEWAKE_CONFORMANCE_SAME(store->remove_older(at(100), 3), {.events = 1});
  CODEWAKE_CONFORMANCE_SAME(store->remove_older(at(100), 3), {.trace_events = 3});
  CODEWAKE_CONFORMANCE_SAME(names_of(all_trace_events(*store, {})), {"7", "100", "young"});
  CODEWAKE_CONFORMANCE_SAME(store->count_older(at(100)), {.trace_events = 1, .processes = 1});
  CODEWAKE_CONFORMANCE_SAME(store->remove_older(at(100), 3), {.trace_events = 1});
  CODEWAKE_CONFORMANCE_SAME(store->remove_older(at(100), 3), {.processes = 1});
  CODEWAKE_CONFORMANCE_SAME(store->remove_older(at(100), 3), Removed());
  CODEWAKE_CONFORMANCE_SAME(ids_of(store->get_events_of_trace(trace_number(1), 10)),
                            {result.event_ids.at(1)});
  CODEWAKE_CONFORMANCE_SAME(ids_of(store->get_processes({})), {result.process_ids.at(1), kept_id});
  CODEWAKE_CONFORMANCE_SAME(remove_all_older(*store, at(300), 100),
                            {.events = 1, .trace_events = 2, .processes = 2});
  CODEWAKE_CONFORMANCE_SAME(store->get_traces({}), {});
  // An event's id may be given again: it is of no trace then.
  CODEWAKE_CONFORMANCE_SAME(add_event(*store, add_process(*store), {{"k", "v"}}).trace, std::nullopt);
}

}  // namespace codewake::testing::conformance
