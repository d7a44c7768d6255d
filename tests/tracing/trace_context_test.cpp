#include "codewake/trace_context.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace codewake {
namespace {

constexpr std::string_view kGood = "00-11111111222233334444555555555555-aaaaaaaaaaaaaaaa-01";

std::optional<TraceContext> parse(std::vector<std::string_view> parent,
                                  std::vector<std::string_view> state = {}) {
  return parse_trace_context(parent, state);
}

std::string state_of(std::vector<std::string_view> headers) {
  const auto context = parse({kGood}, std::move(headers));
  return context ? format_tracestate(*context) : "no context";
}

TEST_CASE("A traceparent is taken as it is written, and written as it was") {
  const auto context = parse({kGood});
  REQUIRE(context);
  CHECK(to_hex(context->trace_id) == "11111111222233334444555555555555");
  CHECK(to_uuid(context->trace_id) == "11111111-2222-3333-4444-555555555555");
  CHECK(to_hex(context->span_id) == "aaaaaaaaaaaaaaaa");
  CHECK(context->is_sampled());
  CHECK(format_traceparent(*context) == kGood);
  CHECK(parse({" \t00-11111111222233334444555555555555-aaaaaaaaaaaaaaaa-00 "})->flags == 0);
}

TEST_CASE("Flags that are not known are not passed on") {
  CHECK(parse({"00-11111111222233334444555555555555-aaaaaaaaaaaaaaaa-ff"})->flags == 0x03);
  CHECK(parse({"00-11111111222233334444555555555555-aaaaaaaaaaaaaaaa-fc"})->flags == 0);
}

TEST_CASE("A later version is read as far as it is known") {
  CHECK(parse({"01-11111111222233334444555555555555-aaaaaaaaaaaaaaaa-01"}));
  CHECK(parse({"cc-11111111222233334444555555555555-aaaaaaaaaaaaaaaa-01-what-the-future-will-be-like"}));
  CHECK_FALSE(parse({"cc-11111111222233334444555555555555-aaaaaaaaaaaaaaaa-01.what"}));
}

TEST_CASE("A traceparent that is bad in any way begins a new trace") {
  for (const std::string_view bad : {
           "",
           "00",
           "ff-11111111222233334444555555555555-aaaaaaaaaaaaaaaa-01",
           "00-00000000000000000000000000000000-aaaaaaaaaaaaaaaa-01",
           "00-11111111222233334444555555555555-0000000000000000-01",
           "00-11111111222233334444555555555555-AAAAAAAAAAAAAAAA-01",
           "00-1111111122223333444455555555555-aaaaaaaaaaaaaaaa-01",
           "00-111111112222333344445555555555555-aaaaaaaaaaaaaaaa-01",
           "00-11111111222233334444555555555555-aaaaaaaaaaaaaaa-01",
           "00-11111111222233334444555555555555-aaaaaaaaaaaaaaaa-1",
           "00-11111111222233334444555555555555-aaaaaaaaaaaaaaaa-0x",
           "00-11111111222233334444555555555555-aaaaaaaaaaaaaaaa-01-",
           "00-11111111222233334444555555555555-aaaaaaaaaaaaaaaa-011",
           "00_11111111222233334444555555555555_aaaaaaaaaaaaaaaa_01",
           "00-+1111111222233334444555555555555-aaaaaaaaaaaaaaaa-01",
       }) {
    CAPTURE(bad);
    CHECK_FALSE(parse({bad}));
  }
  CHECK_FALSE(parse({}));
  CHECK_FALSE(parse({kGood, kGood}));
}

TEST_CASE("The headers of a tracestate are one list") {
  CHECK(state_of({"foo=1,bar=2"}) == "foo=1,bar=2");
  CHECK(state_of({"foo=1", "bar=2,rojo=3"}) == "foo=1,bar=2,rojo=3");
  CHECK(state_of({" foo=1 \t, \tbar=2 ,"}) == "foo=1,bar=2");
  CHECK(state_of({"", "foo=1"}) == "foo=1");
  CHECK(state_of({"0foo=1,t@sys=a b,a-b_c*d/e=!"}) == "0foo=1,t@sys=a b,a-b_c*d/e=!");
  CHECK(state_of({std::string(256, 'z') + "=1"}) == std::string(256, 'z') + "=1");
}

TEST_CASE("A bad tracestate is left out, and the trace goes on") {
  const std::string long_key = std::string(257, 'z') + "=1";
  const std::string long_value = "foo=" + std::string(257, 'v');
  std::string many = "k0=1";
  for (int i = 1; i <= 32; ++i) many += ",k" + std::to_string(i) + "=1";
  for (const std::string& bad :
       {std::string("foo"), std::string("foo=1,foo=2"), std::string("Foo=1"), std::string("foo =1"),
        std::string("foo=1=2"), std::string("=1"), std::string("foo="), std::string("foo=\x7f"),
        std::string("foo=\xc3\xa9"), std::string("@foo=1"), long_key, long_value, many}) {
    CAPTURE(bad);
    CHECK(state_of({bad}) == "");
    CHECK(state_of({"good=1", bad}) == "");
  }
}

TEST_CASE("What is sent of a tracestate has 512 characters at most; long entries go first") {
  const std::string entry = "=" + std::string(120, 'v');
  const std::string large = "large=" + std::string(200, 'v');
  const std::string sent = state_of({"a" + entry + "," + large + ",b" + entry + ",c" + entry + ",d" + entry});
  CHECK(sent == "a" + entry + ",b" + entry + ",c" + entry + ",d" + entry);
  CHECK(state_of({"a" + entry + ",b" + entry + ",c" + entry + ",d" + entry + ",e" + entry}) == sent);
}

TEST_CASE("New ids are never empty, and differ") {
  CHECK(TraceId::make() != TraceId::make());
  CHECK(SpanId::make() != SpanId::make());
  CHECK(to_uuid(TraceId::make())[14] == '4');
}

}  // namespace
}  // namespace codewake
