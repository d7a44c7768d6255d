// Reading JSON where it lies, beside a parser that everybody trusts.
#include "raceway/json_cursor.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>

namespace codewake::testing {
namespace {

using internal::JsonCursor;
using internal::JsonValue;

bool accepts(const std::string& text) {
  JsonCursor cursor(text);
  JsonValue value;
  return cursor.value(value) && cursor.at_end();
}

TEST_CASE("JSON is taken to the letter") {
  for (const char* good :
       {"null", " true ", "[]", "{}", "-0", "0.5e+3", "[1,[2,{\"a\":[]}]]", R"("\u0000\n\\\"\/")",
        R"("\ud83d\ude00")", R"({"a":1,"a":2})", "1e-400", "18446744073709551616"}) {
    CHECK_MESSAGE(accepts(good), good);
  }
  for (const char* bad :
       {"",           "nul",      "01",     "1.",          ".5",          "+1",
        "1e",         "--1",      "NaN",    "Infinity",    "[1,]",        "{\"a\"}",
        "{a:1}",      "[1 2]",    "\"",     "\"\t\"",      R"("\x")",     R"("\u12")",
        "true false", "1e400",    "-1e400", R"("\ud800")", R"("\ude00")", R"("\ud800\u0041")",
        R"("\ud800)", "{\"a\":1", "]"}) {
    CHECK_MESSAGE(!accepts(bad), bad);
  }
}

TEST_CASE("Nesting is taken to a depth that a server can take, too") {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(accepts(nested(JsonCursor::kMostDepth)));
  CHECK_FALSE(accepts(nested(JsonCursor::kMostDepth + 1)));
  CHECK_FALSE(accepts(std::string(1'000'000, '[')));
}

TEST_CASE("Whatever is made of valid JSON by chance is taken exactly where nlohmann's parser takes it") {
  std::mt19937 random(7);
  const std::string seeds[] = {R"({"a":[1,2.5e3,-0,null,true],"b\u00e9":"x\n\ud83d\ude00","c":{"d":[]}})",
                               R"([["svc#1",3],["svc#2",18446744073709551615]])", R"(["l1","l\"2"])"};
  constexpr std::string_view kBytes = "{}[],:\"\\0123456789eE+-.untrfalse \n\tdD";
  int taken = 0;
  for (int round = 0; round < 60'000; ++round) {
    std::string text = seeds[random() % std::size(seeds)];
    for (auto changes = random() % 3 + 1; changes > 0; --changes) {
      const std::size_t at = random() % text.size();
      const char c = kBytes[random() % kBytes.size()];
      switch (random() % 3) {
        case 0:
          text[at] = c;
          break;
        case 1:
          text.insert(at, 1, c);
          break;
        default:
          text.erase(at, 1);
      }
    }
    const bool theirs = nlohmann::json::accept(text);
    taken += theirs ? 1 : 0;
    REQUIRE_MESSAGE(accepts(text) == theirs, text);
  }
  CHECK(taken > 1000);
}

}  // namespace
}  // namespace codewake::testing
