#include "event_line.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "codewake/attributes.hpp"

using codewake::Attribute;
using codewake::cli::EventLineError;
using codewake::cli::parse_event_line;

TEST_CASE("An object's keys and values are read in their order") {
  CHECK(parse_event_line(R"({"event": "order", "amount": 12.5, "n": -3,)"
                         R"( "big": 18446744073709551615, "vip": true, "x": null})") ==
        std::vector<Attribute>{{"event", "order"},
                               {"amount", "12.5"},
                               {"n", "-3"},
                               {"big", "18446744073709551615"},
                               {"vip", "true"},
                               {"x", std::nullopt}});
  CHECK(parse_event_line("{}").empty());
}

TEST_CASE("Keys that repeat are kept, in both forms") {
  const std::vector<Attribute> expected = {{"k", "1"}, {"k", "2"}, {"k", "1"}};
  CHECK(parse_event_line(R"({"k": "1", "k": "2", "k": "1"})") == expected);
  CHECK(parse_event_line(R"([["k", "1"], ["k", "2"], ["k", 1]])") == expected);
}

TEST_CASE("An integer beyond 64 bits keeps its digits") {
  CHECK(parse_event_line(R"({"n": 123456789012345678901234567890})") ==
        std::vector<Attribute>{{"n", "123456789012345678901234567890"}});
}

TEST_CASE("Escapes and international text are read") {
  CHECK(parse_event_line("{\"\": \"\\u2603\\n\", \"ключ\": \"😀\"}") ==
        std::vector<Attribute>{{"", "☃\n"}, {"ключ", "😀"}});
}

TEST_CASE("A pair is text and a value, neither less nor more") {
  constexpr const char* kNotAPair = "a list must be of [\"key\", value] pairs";
  for (const char* line : {R"(["k", "v"])", R"([["k"]])", "[[]]", R"([["k", 1, 2]])", R"([[1, "k"]])",
                           R"([{"k": "v"}])", R"([[["k"], "v"]])", R"([["k", "v"], 3])"}) {
    CAPTURE(line);
    CHECK_THROWS_WITH_AS(parse_event_line(line), kNotAPair, EventLineError);
  }
}

TEST_CASE("A value that is no scalar is refused by its key") {
  constexpr const char* kNested = "the value of 'k' is a list or an object; write it as text";
  CHECK_THROWS_WITH_AS(parse_event_line(R"({"k": {}})"), kNested, EventLineError);
  CHECK_THROWS_WITH_AS(parse_event_line(R"({"k": [1]})"), kNested, EventLineError);
  CHECK_THROWS_WITH_AS(parse_event_line(R"([["k", []]])"), kNested, EventLineError);
}

TEST_CASE("What is no event is refused with the form that is one") {
  constexpr const char* kNoEvent = "not an event; write {\"key\": value, …} or [[\"key\", value], …]";
  for (const char* line : {"3", "\"text\"", "null", "true"}) {
    CHECK_THROWS_WITH_AS(parse_event_line(line), kNoEvent, EventLineError);
  }
}

TEST_CASE("What is no JSON is refused with the place where it breaks") {
  CHECK_THROWS_WITH_AS(parse_event_line("{\"k\": }"), "not JSON: it breaks at character 7", EventLineError);
  for (const char* line : {"", "{", "{\"k\": 1} {", "event=order", "{\"k\": \"\xff\"}", "{'k': 1}"}) {
    CAPTURE(line);
    CHECK_THROWS_AS(parse_event_line(line), EventLineError);
  }
}
