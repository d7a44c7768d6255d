// Trace events by the thousand.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "codewake/event.hpp"
#include "codewake/time.hpp"
#include "codewake/trace_context.hpp"
#include "codewake/trace_event.hpp"

namespace codewake::cli::bench {

/// As a service records them: twenty in each trace, half of them accesses to one of a hundred variables.
class TraceEvents {
 public:
  /// `batch`: the most that are generated at a time.
  explicit TraceEvents(std::size_t batch) : events_(batch) {
    for (std::size_t i = 0; i < kVariables; ++i) {
      names_.push_back(fmt::format("order_service.cart.items[{:02}].quantity_in_stock_of_the_item", i));
    }
  }

  /// The next ones; those before are overwritten.
  std::span<const BatchTraceEvent> generate(std::size_t count) {
    for (BatchTraceEvent& event : std::span(events_).first(count)) {
      if (number_ % kOfTrace == 0) {
        trace_ = TraceId::make();
        span_ = SpanId::make();
      }
      const bool is_access = number_ % 2 == 1;
      const TraceEventId before = event.id;
      event = {};
      event.kind = is_access ? TraceKind::state_change : TraceKind::function_call;
      if (is_access) event.access = Access::write;
      event.id.bytes = TraceId::make().bytes;  // as random
      event.parent_id = before;
      event.trace_id = trace_;
      event.span_id = event.upstream_span_id = span_;
      event.step = ++number_;
      event.line = 42;
      event.when = when_ += std::chrono::microseconds(5);
      event.texts = {
          .service = "inventory",
          .instance = "inventory-1",
          .environment = "production",
          .execution = "inventory#inventory-1#1734",
          .thread = "worker-3",
          .name = names_[number_ % kVariables],
          .file = "src/inventory/cart_service.cpp",
          .data = is_access ? R"({"old_value":41,"new_value":42})" : R"({"module":"inventory","args":[]})",
          .clock = R"([["gateway#gateway-1#522",17],["payment#payment-1#17",7],)"
                   R"(["inventory#inventory-1#1734",42]])",
          .locks = R"(["cart mutex"])"};
    }
    return std::span(events_).first(count);
  }

 private:
  static constexpr std::size_t kVariables = 100, kOfTrace = 20;

  std::vector<BatchTraceEvent> events_;
  std::vector<std::string> names_;
  std::uint64_t number_ = 0;
  Time when_ = now();
  TraceId trace_;
  SpanId span_;
};

}  // namespace codewake::cli::bench
