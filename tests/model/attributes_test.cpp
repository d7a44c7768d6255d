#include "codewake/attributes.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using codewake::Attribute;
using codewake::Attributes;
using codewake::Value;

namespace {

std::optional<std::string> text_of(Value value) {
  return Attribute({"k", value}).value;
}

}  // namespace

TEST_CASE("Numbers become the shortest text that reads back the same") {
  CHECK(text_of(0) == "0");
  CHECK(text_of(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(text_of(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
  CHECK(text_of(12.5) == "12.5");
  CHECK(text_of(0.1) == "0.1");
  CHECK(text_of(0.1f) == "0.1");
  CHECK(text_of(1e300) == "1e+300");
  CHECK(text_of(-2.2250738585072014e-308) == "-2.2250738585072014e-308");
  CHECK(text_of(std::numeric_limits<double>::infinity()) == "inf");
  CHECK(text_of(static_cast<unsigned char>(7)) == "7");
  CHECK(text_of(static_cast<short>(-7)) == "-7");
  CHECK(text_of(2.5L) == "2.5");
}

TEST_CASE("Bools, characters and text are what they look like") {
  CHECK(text_of(true) == "true");
  CHECK(text_of(false) == "false");
  CHECK(text_of('x') == "x");
  CHECK(text_of("text") == "text");
  CHECK(text_of(u8"t\u00E9xt") == "t\u00E9xt");
  CHECK(text_of(std::string("with\0nul", 8)) == std::string("with\0nul", 8));
  CHECK(text_of("") == "");
}

TEST_CASE("Nothing is NULL, which is not the empty text") {
  CHECK(text_of(nullptr) == std::nullopt);
  CHECK(text_of(std::nullopt) == std::nullopt);
  CHECK(text_of(static_cast<const char*>(nullptr)) == std::nullopt);
  CHECK(text_of(std::optional<int>()) == std::nullopt);
  CHECK(text_of(std::optional<std::string>("s")) == "s");
}

TEST_CASE("A list keeps its order and its repeated keys") {
  const Attributes list{{"b", 1}, {"a", 2}, {"b", 3}};
  REQUIRE(list.size() == 3);
  CHECK(list[0] == Attribute("b", "1"));
  CHECK(list[1] == Attribute("a", "2"));
  CHECK(list[2] == Attribute("b", "3"));
}

TEST_CASE("Maps and lists of pairs are taken as they are iterated") {
  const std::map<std::string, std::string> map{{"z", "1"}, {"a", "2"}};
  CHECK(Attributes(map) == Attributes{{"a", "2"}, {"z", "1"}});
  const std::vector<std::pair<const char*, double>> pairs{{"x", 1.5}, {"x", 2}};
  CHECK(Attributes(pairs) == Attributes{{"x", 1.5}, {"x", 2.0}});
}

TEST_CASE("set replaces the first of a key and removes the rest") {
  Attributes list{{"a", 1}, {"b", 2}, {"a", 3}};
  list.set("a", 9);
  CHECK(list == Attributes{{"a", 9}, {"b", 2}});
  list.set("c", 4);
  CHECK(list == Attributes{{"a", 9}, {"b", 2}, {"c", 4}});
  list.add("a", 5).set(list[0].key, *list[1].value);
  CHECK(list == Attributes{{"a", "2"}, {"b", 2}, {"c", 4}});
}

TEST_CASE("erase removes every one of a key, find gives the first") {
  Attributes list{{"a", 1}, {"b", 2}, {"a", 3}};
  REQUIRE(list.find("a") != nullptr);
  CHECK(list.find("a")->value == "1");
  CHECK(list.erase("a") == 2);
  CHECK(list.erase("a") == 0);
  CHECK(list.find("a") == nullptr);
  CHECK(list == Attributes{{"b", 2}});
}
