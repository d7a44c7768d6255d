#include "support.hpp"

#include <algorithm>

namespace codewake::testing {

TraceEventId numbered_id(std::uint64_t number) {
  TraceEventId id{{0xab, 0, 0, 0, 0, 0, 0x40, 0, 0x80}};
  for (std::size_t i = id.bytes.size(); i-- > 9 && number != 0; number >>= 8)
    id.bytes[i] = static_cast<std::uint8_t>(number);
  return id;
}

BatchTraceEvent numbered_event(std::uint64_t number) {
  BatchTraceEvent event{{.kind = TraceKind::state_change,
                         .access = Access::write,
                         .id = numbered_id(number),
                         .trace_id = {{0x11, 0x22, 0x33}},
                         .span_id = {{0xaa, 0xaa}},
                         .step = number,
                         .line = 42}};
  event.when = Time(std::chrono::milliseconds(1'795'311'246'500 + number));
  event.texts = {.service = "shop",
                 .instance = "shop-1",
                 .environment = "test",
                 .execution = "shop#shop-1#7",
                 .thread = "4242-7",
                 .name = "stock.lamps",
                 .file = "/srv/shop/order.cpp",
                 .data = R"({"old_value":5,"new_value":{"lamps":4,"at":"home"}})",
                 .clock = R"([["gate#1#9",3],["shop#shop-1#7",12]])",
                 .locks = R"(["stock"])"};
  return event;
}

BatchResult write_trace_events(Store& store, const std::vector<BatchTraceEvent>& events) {
  const BatchProcess process{.info = &kShop};
  return store.write({.processes = {&process, 1}, .trace_events = events});
}

TraceEventInput input_of(const BatchTraceEvent& event) {
  return {event, event.texts};
}

}  // namespace codewake::testing
