// Golden bytes: what FORMAT.md says. Where one of these fails, journals of other versions cannot be read any
// more.
#include "journal/format.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <chrono>
#include <string>
#include <string_view>

#include "codewake/stacktrace.hpp"
#include "journal/event_codec.hpp"
#include "journal/front.hpp"
#include "journal/spill.hpp"
#include "journal/support.hpp"

using namespace codewake;
using namespace codewake::testing;
using internal::RecordContext;
using internal::TickSource;

namespace {

constexpr std::uint32_t kLane = 3;
constexpr std::uint64_t kPosition = 4096;
constexpr std::uint64_t kTicks = 0x1122334455667788;
const Time kWhen{std::chrono::nanoseconds(1'700'000'000'123'456'789)};

// The bytes of one event, the eighth of lane 3, at position 4096.
std::string bytes_of(const EventInput& event, std::uint8_t flags) {
  Piece piece(kLane, kPosition);
  piece.lane().sequence = 7;
  piece.stamp(piece.add(event, {.ticks = TickSource::realtime, .process = 2, .flags = flags}), kTicks);
  return to_spaced_hex(std::string_view(piece.bytes().data(), piece.size()));
}

}  // namespace

TEST_CASE("An event with a value of every kind has the bytes of the specification") {
  const AttributeArgument data[] = {{"n", nullptr}, {"t", "hi"}, {"c", 'x'},  {"b", true},
                                    {"i", -2},      {"u", 3u},   {"f", 1.5f}, {"d", 0.25}};
  CHECK(bytes_of({.data = data}, internal::kSync) ==
        "78 00 00 00 51 d4 cb 96 88 77 66 55 44 33 22 11\n"
        "07 00 00 00 02 00 01 01 08 00 00 01 20 00 00 00\n"
        "6e 21 00 02 00 74 68 69 22 00 08 00 63 78 00 00\n"
        "00 00 00 00 00 23 00 08 00 62 01 00 00 00 00 00\n"
        "00 00 24 00 08 00 69 fe ff ff ff ff ff ff ff 25\n"
        "00 08 00 75 03 00 00 00 00 00 00 00 26 00 08 00\n"
        "66 00 00 c0 3f 00 00 00 00 27 00 08 00 64 00 00\n"
        "00 00 00 00 d0 3f 00 00");
}

TEST_CASE("An event with a time, a process and addresses has the bytes of the specification") {
  void* const addresses[] = {reinterpret_cast<void*>(0x401000), reinterpret_cast<void*>(0x401010)};
  const Stacktrace stack{std::span(addresses)};
  CHECK(bytes_of({.process_id = 77, .when = kWhen, .stacktrace = &stack}, 0) ==
        "40 00 00 00 ed 2f aa 69 88 77 66 55 44 33 22 11\n"
        "07 00 00 00 02 00 01 00 00 00 00 0e 15 cd 85 3d\n"
        "fe 9c 97 17 4d 00 00 00 00 00 00 00 02 00 00 00\n"
        "00 10 40 00 00 00 00 00 10 10 40 00 00 00 00 00");
}

TEST_CASE("An event with frames and an empty list of attributes has the bytes of the specification") {
  const Stacktrace stack(std::vector<Frame>{{.filename = "a.cpp",
                                             .lineno = 12,
                                             .src = "f();",
                                             .function = "main",
                                             .module = "",
                                             .build_id = "ab",
                                             .offset = 16}});
  CHECK(bytes_of({.data = std::span<const AttributeArgument>(), .stacktrace = &stack}, 0) ==
        "50 00 00 00 69 00 33 16 88 77 66 55 44 33 22 11\n"
        "07 00 00 00 02 00 01 00 00 00 00 11 01 00 00 00\n"
        "0c 00 00 00 10 00 00 00 00 00 00 00 05 00 00 00\n"
        "61 2e 63 70 70 04 00 00 00 66 28 29 3b 04 00 00\n"
        "00 6d 61 69 6e 00 00 00 00 02 00 00 00 61 62 00");
}

TEST_CASE("The end mark of a slot has the bytes of the specification") {
  Piece piece(kLane, kPosition + 120);
  append_end_of_slot(piece.lane());
  CHECK(to_spaced_hex(piece.written().substr(0, 8)) == "ff ff ff ff 70 43 d9 f5");
  CHECK(piece.lane().published == kPosition + 128);
}

TEST_CASE("A process has the bytes of the specification") {
  const std::string payload = internal::encode_process(
      {.run_ts = kWhen, .app_name = "shop", .app_vsn = "1.2", .pid = 42, .username = "ann", .fqdn = ""});
  Piece piece(internal::kCommonLane);
  REQUIRE(append_bytes(piece.lane(), internal::RecordKind::process, payload.data(), payload.size(),
                       {.ticks = TickSource::realtime, .process = 1, .flags = 0}));
  piece.stamp(0, kTicks);
  CHECK(to_spaced_hex(std::string_view(piece.bytes().data(), piece.size())) ==
        "48 00 00 00 3a 59 c2 9e 88 77 66 55 44 33 22 11\n"
        "00 00 00 00 01 00 02 00 15 cd 85 3d fe 9c 97 17\n"
        "01 2a 00 00 00 00 00 00 00 04 00 00 00 73 68 6f\n"
        "70 01 03 00 00 00 31 2e 32 00 01 03 00 00 00 61\n"
        "6e 6e 01 00 00 00 00 00");
}

TEST_CASE("A payload in a file of its own has the bytes of the specification") {
  const internal::ExternalPayload payload{.size_bytes = 70'000, .crc = 0xAABBCCDD, .unused = 0};
  Piece piece(kLane, kPosition);
  piece.lane().sequence = 7;
  REQUIRE(append_bytes(piece.lane(), internal::RecordKind::event, &payload, sizeof payload,
                       {.ticks = TickSource::realtime, .process = 2, .flags = internal::kExternal}));
  piece.stamp(0, kTicks);
  CHECK(to_spaced_hex(std::string_view(piece.bytes().data(), piece.size())) ==
        "28 00 00 00 1e e4 66 d9 88 77 66 55 44 33 22 11\n"
        "07 00 00 00 02 00 01 02 70 11 01 00 00 00 00 00\n"
        "dd cc bb aa 00 00 00 00");
}

TEST_CASE("The front file has the bytes of the specification") {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "front";
  {
    internal::Front front(opened(folder.path()).get(), 16, TickSource::counter);
    REQUIRE(front.reserve(2) == 0);
    front.begin_slot(2, kLane, kPosition);
    front.set_stored(kLane, kPosition);
  }
  const std::string bytes = read_file(file);
  CHECK(bytes.size() == 8192 + 16 * 256 * 1024);
  CHECK(to_spaced_hex(bytes.substr(0, 40)) ==
        "43 57 46 52 4f 4e 54 0a 02 00 00 00 00 00 04 00\n"
        "10 00 00 00 11 00 00 00 00 20 00 00 01 00 00 00\n"
        "c1 b9 af b3 00 00 00 00");
  CHECK(to_spaced_hex(bytes.substr(4096 + 3 * 16, 16)) == "00 10 00 00 00 00 00 00 b5 e0 94 24 00 00 00 00");
  CHECK(to_spaced_hex(bytes.substr(8192 + 2 * 256 * 1024, 64)) ==
        "43 57 53 4c 63 74 45 55 03 00 00 00 00 00 00 00\n"
        "00 10 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
        "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
        "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
}

TEST_CASE("A spill file has the bytes of the specification") {
  const TemporaryFolder folder;
  internal::Spill spill(opened(folder.path()), 1u << 20);
  internal::SpillBlock block{.lane = kLane,
                             .from = kPosition,
                             .to = kPosition + 128,
                             .ticks = TickSource::counter,
                             .clock = {internal::ClockSample{1000, 1'700'000'000'000'000'000},
                                       internal::ClockSample{3000, 1'700'000'000'000'001'000}}};
  const std::string content(128, 'x');
  REQUIRE_FALSE(spill.append(block, content));
  const std::string bytes = read_file(folder / "spill-000001");
  CHECK(bytes.size() == 16 + 64 + 128);
  CHECK(to_spaced_hex(bytes.substr(0, 16)) == "43 57 53 50 49 4c 4c 0a 01 00 00 00 2e 7f e5 a0");
  CHECK(to_spaced_hex(bytes.substr(16, 64)) ==
        "43 57 53 42 90 97 61 09 03 00 00 00 80 00 00 00\n"
        "00 10 00 00 00 00 00 00 01 00 00 00 00 00 00 00\n"
        "e8 03 00 00 00 00 00 00 00 00 2a 36 fe 9c 97 17\n"
        "b8 0b 00 00 00 00 00 00 e8 03 2a 36 fe 9c 97 17");
  CHECK(bytes.substr(80) == content);
}
