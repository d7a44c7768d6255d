#include "journal/trace_codec.hpp"

#include <doctest/doctest.h>

#include <string>

#include "journal/event_codec.hpp"

using namespace codewake;
using internal::decode_trace_event;
using internal::encode_event;
using internal::encoded_size;

namespace {

TraceEventInput some_event() {
  TraceEventInput event;
  event.kind = TraceKind::state_change;
  event.access = Access::atomic_rmw;
  event.id.bytes.fill(1);
  event.trace_id.bytes.fill(2);
  event.parent_id.bytes.fill(3);
  event.span_id.bytes.fill(4);
  event.upstream_span_id.bytes.fill(5);
  event.step = 77;
  event.duration = std::chrono::nanoseconds(-1);
  event.line = 42;
  event.texts = {.service = "shop",
                 .instance = "one",
                 .environment = "",
                 .execution = "shop#one#x",
                 .thread = "1-2",
                 .name = "stock",
                 .file = "a.cpp",
                 .data = "{}",
                 .clock = "[]",
                 .locks = "[\"m\"]"};
  return event;
}

std::string encode(const TraceEventInput& event) {
  std::string payload(encoded_size(event), '\x5A');
  CHECK(encode_event(event, payload.data(), payload.data() + payload.size() - 1) == nullptr);
  CHECK(encode_event(event, payload.data(), payload.data() + payload.size()) ==
        payload.data() + payload.size());
  return payload;
}

void check_round_trip(const TraceEventInput& event) {
  const std::string payload = encode(event) + std::string(7, '\0');  // as a record fills its last word
  const auto decoded = decode_trace_event(payload);
  REQUIRE(decoded);
  CHECK(static_cast<const TraceEventHead&>(*decoded) == static_cast<const TraceEventHead&>(event));
  CHECK(decoded->texts == event.texts);
}

}  // namespace

TEST_CASE("Trace events come back, with everything and with nothing") {
  check_round_trip(some_event());
  check_round_trip({});
  for (std::size_t kind = 1; kind <= kTraceKinds; ++kind) {
    TraceEventInput event;
    event.kind = static_cast<TraceKind>(kind);
    check_round_trip(event);
  }
  TraceEventInput large = some_event();
  const std::string text(100'000, 'x');
  large.texts.data = text;
  check_round_trip(large);
}

TEST_CASE("A trace event has the bytes that FORMAT.md says") {
  const std::string payload = encode(some_event());
  REQUIRE(payload.size() == 128 + 4 + 3 + 10 + 3 + 5 + 5 + 2 + 2 + 5);
  CHECK(payload.substr(0, 8) == std::string("\x01\x05\x01\x00\x2A\x00\x00\x00", 8));
  CHECK(payload.substr(8, 16) == std::string("\x4D\0\0\0\0\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 16));
  CHECK(payload.substr(24, 16) == std::string(16, '\1'));
  CHECK(payload.substr(40, 16) == std::string(16, '\2'));
  CHECK(payload.substr(56, 16) == std::string(16, '\3'));
  CHECK(payload.substr(72, 8) == std::string(8, '\4'));
  CHECK(payload.substr(80, 8) == std::string(8, '\5'));
  CHECK(payload.substr(88, 4) == std::string("\4\0\0\0", 4));
  CHECK(payload.substr(128) == "shoponeshop#one#x1-2stocka.cpp{}[][\"m\"]");
}

TEST_CASE("Bytes that are no trace event are none") {
  const std::string good = encode(some_event());
  for (std::size_t size = 0; size < good.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(decode_trace_event(std::span(good.data(), size)));
  }
  for (const auto& [at, byte] : {std::pair(0, 0), {0, 15}, {0, 255}, {1, 6}, {2, 2}, {3, 1}, {91, 255}}) {
    CAPTURE(at);
    std::string bad = good;
    bad[static_cast<std::size_t>(at)] = static_cast<char>(byte);
    CHECK_FALSE(decode_trace_event(bad));
  }
}

TEST_CASE("An event inside of a trace has its ids") {
  TraceTie tie;
  tie.trace_id.bytes.fill(7);
  tie.span_id.bytes.fill(8);
  const AttributeArgument data[] = {{"a", 1}};
  const EventInput event{.process_id = 5, .data = data, .when = Time(), .trace = &tie};
  std::string payload(encoded_size(event) + internal::kEncodingSlack, '\0');
  char* const end = encode_event(event, payload.data(), payload.data() + payload.size());
  REQUIRE(end == payload.data() + encoded_size(event));
  internal::DecodedEvent decoded;
  REQUIRE(internal::decode_event(std::span(payload.data(), encoded_size(event)), decoded));
  CHECK(decoded.trace == tie);
  CHECK(decoded.process_id == 5);
  CHECK(decoded.data.size() == 1);
  REQUIRE(internal::decode_event(std::string(4, '\0'), decoded));
  CHECK_FALSE(decoded.trace);
}
