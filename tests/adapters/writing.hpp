// What the tests of every store share: writing a batch in one call, and looking at what a store refuses.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/store.hpp"

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
