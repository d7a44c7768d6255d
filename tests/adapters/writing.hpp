// What the tests of every store share: writing a batch in one call, and looking at what a store refuses.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/frame.hpp"
#include "codewake/stacktrace.hpp"
#include "codewake/store.hpp"
#include "codewake/time.hpp"

namespace codewake::testing {

/// An app's process with one event for each of `values`, under the key `key`, in one batch.
inline BatchResult write_events(Store& store, std::string_view app, std::string_view key,
                                std::span<const std::string> values) {
  const ProcessInfo info{.app_name = std::string(app), .app_vsn = "1.0", .env_name = "test"};
  const BatchProcess process{.info = &info};
  std::vector<AttributeView> attributes;
  for (const std::string& value : values) attributes.push_back({key, value});
  std::vector<BatchEvent> events;
  for (const AttributeView& attribute : attributes) {
    events.push_back({.when = info.run_ts, .has_data = true, .data = std::span(&attribute, 1)});
  }
  return store.write({.processes = std::span(&process, 1), .events = events});
}

/// What finds few events among many, and must not look at all: `processes` of an app and of an environment,
/// each with one exception, beside `count` events of another app, one in a hundred of them an exception.
inline void write_rare_events(Store& store, std::size_t processes, std::size_t count) {
  const ProcessInfo rare{.app_name = "rare", .env_name = "rare"}, common{.app_name = "common"};
  std::vector<BatchProcess> all(processes, {.info = &rare});
  all.push_back({.info = &common});
  std::vector<Stacktrace> traces;
  for (std::uint32_t line = 1; line <= 30; ++line) {
    traces.emplace_back(std::vector<Frame>{{.filename = "f.cpp", .lineno = line, .src = "f();"}});
  }
  const AttributeView type{"exception.type", "std::runtime_error"};
  std::vector<BatchEvent> events;
  for (std::size_t i = 0; i < processes + count; ++i) {
    BatchEvent event{.process = static_cast<std::uint32_t>(std::min(i, processes)),
                     .when = common.run_ts + std::chrono::milliseconds(i),
                     .has_data = true,
                     .data = std::span(&type, 1)};
    if (i < processes || i % 100 == 0) event.stacktrace = &traces[i % traces.size()];
    events.push_back(event);
  }
  store.write({.processes = all, .events = events});
}

/// Pages and groups of these, each of which must be found by an index.
inline void check_rare_events_are_found(Store& store, std::size_t processes) {
  for (const EventQuery& query :
       {EventQuery{.app_name = "rare", .limit = 5}, EventQuery{.env_name = "rare", .limit = 5},
        EventQuery{.app_name = "rare", .env_name = "rare", .limit = 5},
        EventQuery{.app_name = "rare", .has_stacktrace = true, .limit = 5}}) {
    std::size_t found = 0;
    EventQuery next = query;
    do {
      const EventPage page = store.get_events(next);
      found += page.events.size();
      next.cursor = page.next;
    } while (!next.cursor.empty());
    CHECK(found == processes);
  }
  for (const ExceptionQuery& query :
       {ExceptionQuery{.app_name = "rare"}, ExceptionQuery{.env_name = "rare"}}) {
    std::uint64_t found = 0;
    for (const ExceptionGroup& group : store.get_exceptions(query)) found += group.count;
    CHECK(found == processes);
  }
  CHECK(store.get_exceptions({.limit = 10}).size() == 10);
  CHECK(store.get_exceptions({.to = now() - std::chrono::hours(1)}).empty());
}

/// The message of the StoreError that `work` throws, which must be of this kind; fails the test case
/// otherwise.
inline std::string store_error(StoreError::Kind kind, const std::function<void()>& work) {
  try {
    work();
  } catch (const StoreError& e) {
    CHECK_MESSAGE(e.kind() == kind, std::string(e.what()));
    return e.what();
  }
  FAIL_CHECK("no StoreError was thrown");
  return "";
}

inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// `prefix` with 0, 1, … behind it.
inline std::vector<std::string> numbered(const std::string& prefix, int count) {
  std::vector<std::string> values;
  for (int i = 0; i < count; ++i) values.push_back(prefix + std::to_string(i));
  return values;
}

}  // namespace codewake::testing
