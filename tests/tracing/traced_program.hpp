// A tracer over a store that can be looked into, and questions about what it recorded.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "codewake/trace_tasks.hpp"
#include "codewake/traced.hpp"
#include "codewake/tracing.hpp"
#include "recording_store.hpp"

namespace codewake::testing {

struct TracedProgram {
  explicit TracedProgram(std::string service = "shop")
      : tracer(store, {.service_name = std::move(service), .instance_id = "one", .environment = "test"}) {}

  std::vector<TraceEventRecord> events() const { return store->events(); }
  /// The one that a Custom of this name left.
  TraceEventRecord event(const std::string& name) const {
    for (const TraceEventRecord& event : events()) {
      if (event.texts.name == name) return event;
    }
    FAIL("no event of the name ", name);
    return {};
  }

  std::shared_ptr<RecordingStore> store = std::make_shared<RecordingStore>();
  Tracer tracer;
};

inline nlohmann::json data_of(const TraceEventRecord& event) {
  return nlohmann::json::parse(event.texts.data);
}

/// How many steps of the execution the event knows of.
inline std::uint64_t steps_known(const TraceEventRecord& event, const std::string& execution) {
  for (const auto& component : nlohmann::json::parse(event.texts.clock)) {
    if (component[0] == execution) return component[1];
  }
  return 0;
}

/// Whether `a` comes before `b`, by their clocks.
inline bool is_before(const TraceEventRecord& a, const TraceEventRecord& b) {
  if (a.texts.execution == b.texts.execution) return a.step < b.step;
  return steps_known(b, a.texts.execution) >= a.step;
}

inline bool are_concurrent(const TraceEventRecord& a, const TraceEventRecord& b) {
  return !is_before(a, b) && !is_before(b, a);
}

}  // namespace codewake::testing
