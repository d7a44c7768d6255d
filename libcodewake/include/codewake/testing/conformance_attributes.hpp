// Conformance: attributes and text come out of a store as they went in. Include store_conformance.hpp
// instead.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/digest.hpp"
#include "codewake/event.hpp"
#include "codewake/frame.hpp"
#include "codewake/records.hpp"
#include "codewake/stacktrace.hpp"
#include "codewake/store.hpp"
#include "codewake/testing/conformance_support.hpp"

namespace codewake::testing::conformance {

// ── attributes ──

/// Stores the attributes as an event and checks that they, and their digest, come back.
inline void check_round_trip(Store& store, Id process_id, const Attributes& data) {
  std::vector<AttributeArgument> arguments;
  for (const Attribute& attribute : data) {
    arguments.emplace_back(attribute.key, attribute.value ? Value(*attribute.value) : Value(nullptr));
  }
  const EventRecord event = add_event(store, process_id, std::span<const AttributeArgument>(arguments));
  CODEWAKE_CONFORMANCE_SAME(event, expected_event(event, process_id, data));
  CODEWAKE_CONFORMANCE_SAME(store.get_event_by_id(event.id), expected_event(event, process_id, data));
}

inline void attributes_keep_order_and_repeated_keys(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  check_round_trip(*store, process_id, {{"z", "1"}, {"a", "2"}, {"m", "3"}});
  check_round_trip(*store, process_id, {{"k", "2"}, {"k", "1"}, {"k", "2"}, {"other", "x"}, {"k", nullptr}});
  check_round_trip(*store, process_id, {{"same", "same"}, {"same", "same"}});
  check_round_trip(*store, process_id, {{"Key", "1"}, {"key", "2"}, {" key", "3"}, {"key ", "4"}});
  check_round_trip(*store, process_id, {{"", "an empty key"}, {"", ""}, {"", nullptr}});
}

inline void null_is_not_empty(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  check_round_trip(*store, process_id, {{"null", nullptr}});
  check_round_trip(*store, process_id, {{"empty", ""}});
  check_round_trip(*store, process_id, {{"null", nullptr}, {"empty", ""}, {"blank", " "}, {"word", "NULL"}});
}

inline void no_data_is_not_an_empty_list(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const auto none = store->insert_event({process_id, std::nullopt, at(0), nullptr}, true);
  DOCTEST_REQUIRE(none.has_value());
  EventRecord expected;
  expected.id = none->id;
  expected.when = at(0);
  expected.process_id = process_id;
  CODEWAKE_CONFORMANCE_SAME(*none, expected);
  CODEWAKE_CONFORMANCE_SAME(store->get_event_by_id(none->id), expected);

  const EventRecord empty = add_event(*store, process_id, {});
  DOCTEST_REQUIRE_MESSAGE(empty.digest.has_value(), "an empty list has a digest, of `le`");
  CODEWAKE_CONFORMANCE_SAME(to_hex(*empty.digest),
                            "61098a4bf2a5e216533e5f2994d8f290308b310f2efa046548a96302afe412ea");
  CODEWAKE_CONFORMANCE_SAME(store->get_event_by_id(empty.id), expected_event(empty, process_id, {}));
}

inline void digest_is_the_older_system_s(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const auto digest = [&](Arguments data) {
    const EventRecord event = add_event(*store, process_id, data);
    return event.digest ? to_hex(*event.digest) : "none";
  };
  CODEWAKE_CONFORMANCE_SAME(digest({{"k", ""}}),
                            "608cc2c48f7d4938bc45604c397975be9e69dfc5bc69f398ba0229d104920c5f");
  CODEWAKE_CONFORMANCE_SAME(digest({{"event", "order"}, {"type", "special"}, {"customer", "c-1"}}),
                            "a2de029cdb8bf793336eadfa5fd1346e3d86bcb02cb27c19f49433f26bd92e9f");
  CODEWAKE_CONFORMANCE_SAME(digest({{"k", "1"}, {"k", "2"}, {"k", "1"}}),
                            "50a8b6dc4f70461ad5da1c22d538822802011146a962d71dc5bbec652817a0b6");
}

inline void values_of_every_type_become_text(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const std::string text = "text";
  const char* no_text = nullptr;
  const EventRecord event = add_event(*store, process_id,
                                      {{"int64 min", std::numeric_limits<std::int64_t>::min()},
                                       {"int64 max", std::numeric_limits<std::int64_t>::max()},
                                       {"uint64 max", std::numeric_limits<std::uint64_t>::max()},
                                       {"zero", 0},
                                       {"short", short{-7}},
                                       {"tenth", 0.1},
                                       {"float tenth", 0.1F},
                                       {"third", 1.0 / 3},
                                       {"large", 1e300},
                                       {"whole", 12.0},
                                       {"minus zero", -0.0},
                                       {"infinity", std::numeric_limits<double>::infinity()},
                                       {"double max", std::numeric_limits<double>::max()},
                                       {"double least", std::numeric_limits<double>::denorm_min()},
                                       {"true", true},
                                       {"false", false},
                                       {"char", 'x'},
                                       {"string", text},
                                       {"u8", u8"é"},
                                       {"null pointer", no_text},
                                       {"some", std::optional<int>(7)},
                                       {"none", std::optional<int>()},
                                       {"nullptr", nullptr}});
  const Attributes expected = {{"int64 min", "-9223372036854775808"},
                               {"int64 max", "9223372036854775807"},
                               {"uint64 max", "18446744073709551615"},
                               {"zero", "0"},
                               {"short", "-7"},
                               {"tenth", "0.1"},
                               {"float tenth", "0.1"},
                               {"third", "0.3333333333333333"},
                               {"large", "1e+300"},
                               {"whole", "12"},
                               {"minus zero", "-0"},
                               {"infinity", "inf"},
                               {"double max", "1.7976931348623157e+308"},
                               {"double least", "5e-324"},
                               {"true", "true"},
                               {"false", "false"},
                               {"char", "x"},
                               {"string", "text"},
                               {"u8", "\xc3\xa9"},
                               {"null pointer", nullptr},
                               {"some", "7"},
                               {"none", nullptr},
                               {"nullptr", nullptr}};
  CODEWAKE_CONFORMANCE_SAME(store->get_event_by_id(event.id), expected_event(event, process_id, expected));
}

inline void large_events_are_kept(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  std::string large(1 << 20, 'x');
  check_round_trip(*store, process_id, {{"large", large}, {"after", "it"}});
  std::string other = large;
  other.back() = 'y';
  const EventRecord event = add_event(*store, process_id, {{"large", other}});
  CODEWAKE_CONFORMANCE_SAME(ids_of(store->get_events_by_data({{"large", other}})), {event.id});
  check_round_trip(*store, process_id, {{std::string(10'000, 'k'), "a long key"}});
  Attributes many;
  for (int i = 0; i < 1000; ++i) many.add("key " + std::to_string(i * 7919 % 1000), i);
  check_round_trip(*store, process_id, many);
}

// ── text ──

inline std::string utf8_of(std::uint32_t code_point) {
  const auto byte = [](std::uint32_t value) { return static_cast<char>(static_cast<unsigned char>(value)); };
  if (code_point < 0x80) return {byte(code_point)};
  if (code_point < 0x800) return {byte(0xC0 | code_point >> 6), byte(0x80 | (code_point & 0x3F))};
  if (code_point < 0x10000) {
    return {byte(0xE0 | code_point >> 12), byte(0x80 | (code_point >> 6 & 0x3F)),
            byte(0x80 | (code_point & 0x3F))};
  }
  return {byte(0xF0 | code_point >> 18), byte(0x80 | (code_point >> 12 & 0x3F)),
          byte(0x80 | (code_point >> 6 & 0x3F)), byte(0x80 | (code_point & 0x3F))};
}

inline void every_plane_of_unicode_is_kept(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  Attributes all;
  for (std::uint32_t plane = 0; plane <= 16; ++plane) {
    std::string text;
    for (const std::uint32_t in_plane : {0x0001U, 0x00E9U, 0x1234U, 0x4E2DU, 0xF600U, 0xFFFDU, 0xFFFFU}) {
      text += utf8_of(plane << 16 | in_plane);
    }
    all.add(text, text);
  }
  all.add("every ASCII character", [] {
    std::string ascii;
    for (char c = 1; c < 0x7F; ++c) ascii += c;
    return ascii + '\x7F';
  }());
  check_round_trip(*store, process_id, all);
  for (const Attribute& attribute : all) {
    CODEWAKE_CONFORMANCE_SAME(store->get_events_by_data({attribute}).size(), 1);
  }
  ProcessInfo info = process_info("магазин 🛒");
  info.app_vsn = "β";
  info.env_name = "生产";
  const auto process = store->get_process_by_id(add_process(*store, info));
  DOCTEST_REQUIRE((process && process->app_vsn && process->environment));
  CODEWAKE_CONFORMANCE_SAME(process->app.name, info.app_name);
  CODEWAKE_CONFORMANCE_SAME(process->app_vsn->vsn, *info.app_vsn);
  CODEWAKE_CONFORMANCE_SAME(process->environment->name, *info.env_name);
}

inline void text_is_not_normalized(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  const std::string composed = "caf\xc3\xa9";
  const std::string combining = "cafe\xcc\x81";
  check_round_trip(*store, process_id, {{composed, combining}, {combining, composed}});
  const EventRecord a = add_event(*store, process_id, {{"place", composed}});
  const EventRecord b = add_event(*store, process_id, {{"place", combining}});
  CODEWAKE_CONFORMANCE_SAME(ids_of(store->get_events_by_data({{"place", composed}})), {a.id});
  CODEWAKE_CONFORMANCE_SAME(ids_of(store->get_events_by_data({{"place", combining}})), {b.id});
}

/// Bytes, and the text that every store makes of them.
struct MadeFit {
  std::string_view bytes;
  std::string_view text;
};

#define CODEWAKE_FFFD "\xef\xbf\xbd"
inline constexpr MadeFit kMadeFit[] = {
    {"a\xff"
     "b",
     "a" CODEWAKE_FFFD "b"},
    {"\x80", CODEWAKE_FFFD},
    {"\xc3", CODEWAKE_FFFD},
    {"\xc3(", CODEWAKE_FFFD "("},
    {"\xe2\x82", CODEWAKE_FFFD},
    {"\xe2\x82"
     "A",
     CODEWAKE_FFFD "A"},
    {"\xf0\x9f\x98", CODEWAKE_FFFD},
    {"\xf0\x9f\xe2\x82\xac", CODEWAKE_FFFD "\xe2\x82\xac"},
    {"\xc0\xaf", CODEWAKE_FFFD CODEWAKE_FFFD},                                      // overlong
    {"\xed\xa0\x80", CODEWAKE_FFFD CODEWAKE_FFFD CODEWAKE_FFFD},                    // a surrogate
    {"\xf4\x90\x80\x80", CODEWAKE_FFFD CODEWAKE_FFFD CODEWAKE_FFFD CODEWAKE_FFFD},  // above U+10FFFF
    {"\xf5", CODEWAKE_FFFD},
    {std::string_view("\0", 1), "\xe2\x90\x80"},
    {std::string_view("a\0b\0", 4),
     "a\xe2\x90\x80"
     "b\xe2\x90\x80"},
    {std::string_view("\xe2\x82\0", 3), CODEWAKE_FFFD "\xe2\x90\x80"},
};
#undef CODEWAKE_FFFD

inline void bad_text_is_made_fit(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  for (const MadeFit& sample : kMadeFit) {
    DOCTEST_CAPTURE(shown(sample.bytes));
    const EventRecord event = add_event(*store, process_id, {{sample.bytes, "key"}, {"value", sample.bytes}});
    const Attributes expected = {{sample.text, "key"}, {"value", sample.text}};
    CODEWAKE_CONFORMANCE_SAME(event, expected_event(event, process_id, expected));
    CODEWAKE_CONFORMANCE_SAME(store->get_event_by_id(event.id), event);
  }
}

inline void bad_text_of_names_and_frames_is_made_fit(const Storage& storage) {
  const auto store = storage.open();
  for (const MadeFit& sample : kMadeFit) {
    DOCTEST_CAPTURE(shown(sample.bytes));
    const std::string bytes(sample.bytes);
    const std::string text(sample.text);
    ProcessInfo info = process_info("app " + bytes);
    info.app_vsn = info.env_name = info.username = info.fqdn = info.exe_path = bytes;
    const auto process = store->insert_process(info, true);
    DOCTEST_REQUIRE((process && process->app_vsn && process->environment));
    CODEWAKE_CONFORMANCE_SAME(process->app.name, "app " + text);
    CODEWAKE_CONFORMANCE_SAME(process->app_vsn->vsn, text);
    CODEWAKE_CONFORMANCE_SAME(process->environment->name, text);
    CODEWAKE_CONFORMANCE_SAME(process->username, text);
    CODEWAKE_CONFORMANCE_SAME(process->fqdn, text);
    CODEWAKE_CONFORMANCE_SAME(process->exe_path, text);
    CODEWAKE_CONFORMANCE_SAME(store->insert_app("app " + bytes, bytes), {process->app, process->app_vsn});

    const Stacktrace stack(std::vector<Frame>{{bytes, 3, bytes, bytes, bytes, "ab12", 9}});
    const EventRecord event = add_event(*store, process->id, {}, at(0), &stack);
    CODEWAKE_CONFORMANCE_SAME(event.frames, {{text, 3, text, text, text, "ab12", 9}});
  }
}

inline void awkward_text_is_only_text(const Storage& storage) {
  const auto store = storage.open();
  const Id process_id = add_process(*store);
  std::vector<Id> ids;
  for (const std::string_view text : kAwkwardTexts) {
    const EventRecord event = add_event(*store, process_id, {{text, text}, {"k", text}});
    CODEWAKE_CONFORMANCE_SAME(event, expected_event(event, process_id, {{text, text}, {"k", text}}));
    ids.push_back(event.id);
  }
  for (std::size_t i = 0; i < kAwkwardTexts.size(); ++i) {
    const std::string text(kAwkwardTexts[i]);
    DOCTEST_CAPTURE(shown(text));
    CODEWAKE_CONFORMANCE_SAME(ids_of(store->get_events_by_data({{text, text}})), {ids[i]});
    EventQuery query;
    query.where = {{"k", text}};
    CODEWAKE_CONFORMANCE_SAME(ids_of(store->get_events(query).events), {ids[i]});
    ProcessInfo info = process_info(text);
    info.app_vsn = info.env_name = info.username = text;
    const auto process = store->get_process_by_id(add_process(*store, info));
    DOCTEST_REQUIRE((process && process->app_vsn && process->environment));
    CODEWAKE_CONFORMANCE_SAME(process->app.name, text);
    CODEWAKE_CONFORMANCE_SAME(process->app_vsn->vsn, text);
    CODEWAKE_CONFORMANCE_SAME(process->environment->name, text);
    const EventRecord event = add_event(*store, process->id, {{"app", "awkward"}});
    query.where = {};
    query.app_name = query.env_name = text;
    CODEWAKE_CONFORMANCE_SAME(ids_of(store->get_events(query).events), {event.id});
  }
}

}  // namespace codewake::testing::conformance
