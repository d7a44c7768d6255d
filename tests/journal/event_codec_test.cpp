#include "journal/event_codec.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "codewake/stacktrace.hpp"

using namespace codewake;
using internal::decode_event;
using internal::decode_process;
using internal::DecodedEvent;
using internal::encode_event;
using internal::encode_quickly;
using internal::encoded_size;

namespace {

// What encode_quickly() makes of an event that it is for is the same.
void check_quick(const EventInput& event, const std::string& payload) {
  if (!event.data || event.when || event.process_id || event.stacktrace != nullptr) return;
  std::string quick(std::max(payload.size(), internal::kLeastQuickBytes) + 1, '\x5A');
  char* const begin = quick.data();
  CHECK(encode_quickly(*event.data, event.trace, begin, begin + quick.size() - 1) == begin + payload.size());
  CHECK(quick.starts_with(payload));
  CHECK(quick[payload.size()] == '\x5A');
  if (payload.size() <= internal::kLeastQuickBytes) return;
  CHECK(encode_quickly(*event.data, event.trace, begin, begin + payload.size() - 1) == nullptr);
}

std::string encode(const EventInput& event) {
  const std::size_t size = encoded_size(event);
  // A byte more than is needed tells of one that is written too far.
  std::string payload(size + internal::kEncodingSlack + 1, '\x5A');
  char* const begin = payload.data();
  CHECK(encode_event(event, begin, begin + size - 1) == nullptr);
  const char* const end = encode_event(event, begin, begin + size + internal::kEncodingSlack);
  CHECK(end == begin + size);
  CHECK(payload[size] == '\x5A');
  payload.resize(size);
  if (size <= internal::kQuickBytes) check_quick(event, payload);
  return payload;
}

DecodedEvent decode(const std::string& payload) {
  DecodedEvent event;
  REQUIRE(decode_event(payload, event));
  return event;
}

void check_round_trip(const std::vector<AttributeArgument>& data) {
  const std::string payload = encode({.data = data});
  const DecodedEvent event = decode(payload);
  CHECK(event.has_data);
  CHECK_FALSE(event.has_stacktrace);
  REQUIRE(event.data.size() == data.size());
  for (std::size_t i = 0; i < data.size(); ++i) {
    CAPTURE(i);
    CHECK(event.data[i].key == data[i].key);
    REQUIRE(event.data[i].value.kind() == data[i].value.kind());
    if (data[i].value.kind() == Value::Kind::text) {
      CHECK(event.data[i].value.borrowed_text() == data[i].value.borrowed_text());
    } else if (!data[i].value.is_null()) {
      CHECK(event.data[i].value.bits() == data[i].value.bits());
    }
  }
}

std::vector<Frame> some_frames() {
  return {
      {.filename = "/src/a.cpp", .lineno = 1, .src = "f();", .function = "f", .module = "/bin/a"},
      {.filename = "", .lineno = std::numeric_limits<std::uint32_t>::max(), .build_id = "abcd", .offset = 7}};
}

ProcessInfo some_process() {
  return {.run_ts = Time(std::chrono::nanoseconds(-1)),
          .app_name = "shop",
          .app_vsn = "1",
          .env_name = std::nullopt,
          .pid = 42,
          .username = "",
          .fqdn = std::string("nul\0inside", 10),
          .exe_path = "/bin/shop"};
}

}  // namespace

TEST_CASE("Values of every kind come back as they were") {
  check_round_trip({{"null", nullptr},
                    {"text", "text"},
                    {"empty", ""},
                    {"bytes", std::string_view("\0\xFF\n", 3)},
                    {"c", 'x'},
                    {"high", '\xFF'},
                    {"true", true},
                    {"false", false},
                    {"min", std::numeric_limits<std::int64_t>::min()},
                    {"max", std::numeric_limits<std::uint64_t>::max()},
                    {"float", -0.0f},
                    {"double", std::numeric_limits<double>::infinity()},
                    {"nan", std::numeric_limits<double>::quiet_NaN()},
                    {"", "an empty key"},
                    {"twice", 1},
                    {"twice", 2}});
}

TEST_CASE("Keys and values come back on both sides of every limit of the short form") {
  for (const std::size_t key : {0u, 1u, 2046u, 2047u, 2048u, 5000u}) {
    for (const std::size_t value : {0u, 1u, 65534u, 65535u, 65536u, 200'000u}) {
      CAPTURE(key);
      CAPTURE(value);
      const std::string long_key(key, 'k');
      const std::string long_value(value, 'v');
      check_round_trip({{long_key, long_value}, {long_key, nullptr}, {long_key, 7}, {"next", "one"}});
    }
  }
}

TEST_CASE("Short texts of every length come back, from whatever way they were copied") {
  const std::string text = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-+";
  for (std::size_t size = 0; size <= text.size(); ++size) {
    CAPTURE(size);
    check_round_trip(
        {{std::string_view(text).substr(0, size), std::string_view(text).substr(text.size() - size)}});
  }
}

TEST_CASE("No data is not an empty list, and many attributes are as good as one") {
  CHECK_FALSE(decode(encode({})).has_data);
  const DecodedEvent empty = decode(encode({.data = std::span<const AttributeArgument>()}));
  CHECK(empty.has_data);
  CHECK(empty.data.empty());
  check_round_trip(std::vector<AttributeArgument>(10'000, {"key", 1}));
}

TEST_CASE("More attributes than there is a number for are no payload") {
  const AttributeArgument one("", nullptr);
  const EventInput event{.data =
                             std::span(&one, std::size_t{internal::kMaxAttributes} + 1)};  // not looked at
  CHECK(encoded_size(event) > internal::kMaxPayloadBytes);
}

TEST_CASE("A time, a process id and addresses come back as they were") {
  std::vector<void*> addresses;
  for (std::uintptr_t i = 0; i < Stacktrace::kMaxFrames; ++i)
    addresses.push_back(reinterpret_cast<void*>(~i));
  const Stacktrace stack{std::span<void* const>(addresses)};
  const AttributeArgument data[] = {{"k", "v"}};
  const std::string payload = encode(
      {.process_id = -5, .data = data, .when = Time(std::chrono::nanoseconds(-7)), .stacktrace = &stack});
  const DecodedEvent event = decode(payload);
  CHECK(event.process_id == -5);
  CHECK(event.when == Time(std::chrono::nanoseconds(-7)));
  CHECK(event.has_stacktrace);
  CHECK(event.captured.addresses == addresses);
  CHECK(event.captured.epoch == stack.module_epoch());
  CHECK_FALSE(event.frames);
  CHECK(event.data.size() == 1);
}

TEST_CASE("Addresses come back with the epoch that they were taken in") {
  int here = 0;
  void* const addresses[] = {&here};
  const Stacktrace early(addresses, 0), late(addresses, 0xFFFFFFFE);
  const std::string of_early = encode({.stacktrace = &early});
  const std::string of_late = encode({.stacktrace = &late});
  CHECK(decode(of_early).captured.epoch == 0);
  CHECK(decode(of_late).captured.epoch == 0xFFFFFFFE);
  CHECK(decode(of_late).captured.addresses == decode(of_early).captured.addresses);
  CHECK(of_late.size() == of_early.size() + sizeof(std::uint32_t));
  DecodedEvent event;
  for (std::size_t size = 0; size < of_late.size(); ++size)
    CHECK_FALSE(decode_event(std::span(of_late).first(size), event));
}

TEST_CASE("Frames come back as they were, and a stack without any is still a stack") {
  const Stacktrace stack(some_frames());
  CHECK(decode(encode({.stacktrace = &stack})).frames == stack.frames());
  const Stacktrace none;
  const DecodedEvent event = decode(encode({.stacktrace = &none}));
  CHECK(event.has_stacktrace);
  CHECK(event.captured.addresses.empty());
}

TEST_CASE("Nothing of the event before is left in one that is decoded into the same object") {
  const Stacktrace stack(some_frames());
  const AttributeArgument data[] = {{"k", "v"}};
  DecodedEvent event;
  REQUIRE(decode_event(encode({.process_id = 1, .data = data, .when = now(), .stacktrace = &stack}), event));
  REQUIRE(decode_event(encode({}), event));
  CHECK_FALSE(event.process_id);
  CHECK_FALSE(event.when);
  CHECK_FALSE(event.has_data);
  CHECK(event.data.empty());
  CHECK_FALSE(event.has_stacktrace);
  CHECK_FALSE(event.frames);
}

TEST_CASE("An event that is cut off anywhere is none") {
  const Stacktrace stack(some_frames());
  const std::string long_value(70'000, 'v');
  const AttributeArgument data[] = {
      {"n", nullptr}, {"t", "text"}, {"i", 1}, {"l", long_value}, {"last", true}};
  const std::string payload = encode({.process_id = 1, .data = data, .when = now(), .stacktrace = &stack});
  DecodedEvent event;
  for (std::size_t size = 0; size < payload.size(); ++size) {
    if (size > 500 && size < payload.size() - 500 && size % 997 != 0) continue;
    // A copy of its own, so that a sanitizer sees what is read behind it.
    const std::string cut(payload, 0, size);
    CAPTURE(size);
    CHECK_FALSE(decode_event(cut, event));
  }
}

TEST_CASE("Flags of a newer version make it no event of this one") {
  std::string payload = encode({});
  DecodedEvent event;
  for (unsigned bit = 29; bit < 32; ++bit) {
    const std::uint32_t shape = 1u << bit;
    std::memcpy(payload.data(), &shape, sizeof shape);
    CHECK_FALSE(decode_event(payload, event));
  }
}

TEST_CASE("Numbers in a payload that promise more than there is are not believed") {
  DecodedEvent event;
  const auto payload_of = [](std::initializer_list<std::uint32_t> words) {
    std::string payload;
    for (const std::uint32_t word : words) payload.append(reinterpret_cast<const char*>(&word), sizeof word);
    return payload;
  };
  CHECK_FALSE(decode_event(payload_of({internal::kHasData | internal::kMaxAttributes}), event));
  CHECK_FALSE(decode_event(payload_of({internal::kHasAddresses, 0xFFFFFFFF}), event));
  CHECK_FALSE(decode_event(payload_of({internal::kHasFrames, 0xFFFFFFFF}), event));
  CHECK_FALSE(decode_event(
      payload_of({internal::kHasData | 1, 1 | internal::kLongAttribute, 0xFFFFFFFF, 0xFFFFFFFF}), event));
  CHECK_FALSE(decode_event(payload_of({internal::kHasData | 1, 8, 0, 0}), event));  // a kind that is none
}

TEST_CASE("A process comes back as it was, and cut off anywhere it is none") {
  const std::string payload = internal::encode_process(some_process());
  CHECK(decode_process(payload) == some_process());
  CHECK(decode_process(payload + std::string(7, '\0')) == some_process());
  for (std::size_t size = 0; size < payload.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(decode_process(std::string(payload, 0, size)));
  }
  const ProcessInfo least{.run_ts = Time(), .app_name = "a"};
  CHECK(decode_process(internal::encode_process(least)) == least);
}
