#include "tracing/raceway_clock.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/base64url.hpp"

namespace codewake::internal {
namespace {

using Components = std::vector<VectorClock::Component>;

const TraceId kTrace = *parse_trace_id("11111111-2222-3333-4444-555555555555");

Components parse(std::string_view header) {
  return parse_raceway_clock({&header, 1}, kTrace);
}

std::string header_of(const std::string& json) {
  return "v1;" + encode_base64url(json);
}

TEST_CASE("A raceway-clock of the older SDK is read") {
  const Components said = parse(
      "v1;"
      "eyJ0cmFjZV9pZCI6IjExMTExMTExLTIyMjItMzMzMy00NDQ0LTU1NTU1NTU1NTU1NSIsInNwYW5faWQiOiJmMGZlMjFhYjFlNmYyZj"
      "k0Iiwi"
      "cGFyZW50X3NwYW5faWQiOiJhYWFhYWFhYWFhYWFhYWFhIiwic2VydmljZSI6InN2Yy1hIiwiaW5zdGFuY2UiOiJpbnN0LTEiLCJjbG"
      "9jayI6W1si"
      "dXAjMSIsM10sWyJzdmMtYSNpbnN0LTEiLDFdXX0");
  CHECK(said == Components{{"up#1", 3}, {"svc-a#inst-1", 1}});
}

TEST_CASE("A raceway-clock is written as the older SDK writes it, the own component last") {
  VectorClock clock("svc-a#inst-1#x");
  clock.tick();
  clock.merge(Components{{"up#1", 3}});
  const ClockSender sender{.trace_id = kTrace,
                           .span_id = *parse_span_id("f0fe21ab1e6f2f94"),
                           .parent_span_id = *parse_span_id("aaaaaaaaaaaaaaaa"),
                           .service = "svc-a",
                           .instance = "inst-1"};
  const std::string header = format_raceway_clock(sender, clock);
  REQUIRE(header.starts_with("v1;"));
  CHECK(decode_base64url(header.substr(3)) ==
        "{\"trace_id\":\"11111111-2222-3333-4444-555555555555\",\"span_id\":\"f0fe21ab1e6f2f94\","
        "\"parent_span_id\":\"aaaaaaaaaaaaaaaa\",\"service\":\"svc-a\",\"instance\":\"inst-1\","
        "\"clock\":[[\"up#1\",3],[\"svc-a#inst-1#x\",1]]}");
  CHECK(parse(header) == Components{{"up#1", 3}, {"svc-a#inst-1#x", 1}});
}

TEST_CASE("A raceway-clock that is bad in any way says nothing") {
  const std::string id = "\"trace_id\":\"11111111-2222-3333-4444-555555555555\"";
  CHECK(parse(header_of("{" + id + ",\"clock\":[[\"a\",1]]}")) == Components{{"a", 1}});
  for (const std::string& json :
       {std::string("null"), std::string("[]"), std::string("{"), "{" + id + "}", "{" + id + ",\"clock\":{}}",
        "{" + id + ",\"clock\":[[\"a\"]]}", "{" + id + ",\"clock\":[[\"a\",-1]]}",
        "{" + id + ",\"clock\":[[\"a\",1.5]]}", "{" + id + ",\"clock\":[[1,1]]}",
        "{" + id + ",\"clock\":[[\"\",1]]}", "{" + id + ",\"clock\":[[\"a\",1e400]]}",
        "{" + id + ",\"clock\":[[\"a\",18446744073709551616]]}", "{" + id + ",\"clock\":[[\"a\",1,1]]}",
        std::string("{\"trace_id\":\"21111111-2222-3333-4444-555555555555\",\"clock\":[[\"a\",1]]}"),
        std::string("{\"trace_id\":7,\"clock\":[[\"a\",1]]}"),
        "{" + id + ",\"clock\":[[\"" + std::string(600, 'x') + "\",1]]}", std::string(4000, '[')}) {
    CAPTURE(json);
    CHECK(parse(header_of(json)).empty());
  }
  const std::string good = header_of("{" + id + ",\"clock\":[[\"a\",1]]}");
  CHECK(parse("v2" + good.substr(2)).empty());
  CHECK(parse(good.substr(3)).empty());
  CHECK(parse(good + "!").empty());
  CHECK(parse("").empty());
  CHECK(parse("v1;").empty());
  CHECK(parse("v1;" + std::string(20'000, 'A')).empty());
  const std::vector<std::string_view> doubled = {good, good};
  CHECK(parse_raceway_clock(doubled, kTrace).empty());
}

TEST_CASE("A name comes back whatever is in it, and wherever") {
  for (std::size_t at = 0; at < 20; ++at) {
    for (const std::string& some :
         {std::string("\""), std::string("\\"), std::string("\n"), std::string("\x1F"), std::string("\x7F"),
          std::string("~"), std::string(" "), std::string("\xC3\xBC"), std::string("\xF0\x9F\x90\x99")}) {
      std::string name(20, 'n');
      name.insert(at, some);
      CAPTURE(name);
      VectorClock clock(name);
      clock.tick();
      const std::string header = format_raceway_clock(
          {.trace_id = kTrace, .span_id = {}, .parent_span_id = {}, .service = name, .instance = name},
          clock);
      CHECK(parse(header) == Components{{name, 1}});
    }
  }
}

TEST_CASE("However much is known, what is sent and taken is bounded") {
  VectorClock clock("me");
  clock.tick();
  for (int i = 0; i < 200; ++i) clock.merge(Components{{std::string(400, 'n') + std::to_string(i), 1}});
  const std::string header = format_raceway_clock(
      {.trace_id = kTrace, .span_id = {}, .parent_span_id = {}, .service = "s", .instance = "i"}, clock);
  CHECK(header.size() <= kMostSentClockBytes);
  const Components said = parse(header);
  REQUIRE(said.size() > 2);
  CHECK(said.back() == VectorClock::Component{"me", 1});
  CHECK(said[said.size() - 2].execution.ends_with("199"));

  nlohmann::json many = nlohmann::json::array();
  for (int i = 0; i < 300; ++i) many.push_back({std::to_string(i), 1});
  const Components taken =
      parse(header_of(nlohmann::json{{"trace_id", to_uuid(kTrace)}, {"clock", many}}.dump()));
  REQUIRE(taken.size() == VectorClock::kMaxOthers);
  CHECK(taken.back().execution == "299");
}

}  // namespace
}  // namespace codewake::internal
