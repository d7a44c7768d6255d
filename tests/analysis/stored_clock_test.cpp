#include "stored_clock.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace codewake::analysis;

namespace {

std::vector<std::pair<std::string, std::uint64_t>> read(std::string_view text) {
  StoredClockReader reader;
  std::vector<std::pair<std::string, std::uint64_t>> components;
  for (const StoredComponent& component : reader.read(text)) {
    components.emplace_back(component.execution, component.steps);
  }
  return components;
}

using Components = std::vector<std::pair<std::string, std::uint64_t>>;

}  // namespace

TEST_CASE("A clock is read whoever wrote it") {
  CHECK(read(R"([["a#b#1",3],["c#d#2",18446744073709551615]])") ==
        Components{{"a#b#1", 3}, {"c#d#2", 18446744073709551615u}});
  CHECK(read(R"( [ ["a#b", 3], ["c", 1] ] )") == Components{{"a#b", 3}, {"c", 1}});
  CHECK(read(R"([["a\"#\u00e9",3]])") == Components{{"a\"#é", 3}});
  CHECK(read(R"([["a",3,"more"]])") == Components{{"a", 3}});
  CHECK(read("[]").empty());
}

TEST_CASE("Of a clock that is damaged, what makes no sense is left out") {
  CHECK(read("").empty());
  CHECK(read("{}").empty());
  CHECK(read("null").empty());
  CHECK(read(R"([["a",-1],["b",1.5],["c","2"],[3,4],"d",["e"],[],["f",7]])") == Components{{"f", 7}});
  const std::string whole = R"([["a#b#1",3],["c#d#2",4]])";
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK(read(whole.substr(0, size)).empty());
  CHECK(read(whole + "x").empty());
  CHECK(read(std::string(100'000, '[')).empty());
  CHECK(read(R"([["a",99999999999999999999999]])").empty());
}

TEST_CASE("A reader may be used again") {
  StoredClockReader reader;
  CHECK(reader.read(R"([["a",1],["b",2]])").size() == 2);
  CHECK(reader.read(R"([["\u0061",1]])").size() == 1);
  CHECK(reader.read("").empty());
}

TEST_CASE("Clocks say the same of others where they differ in the last steps alone") {
  CHECK(says_the_same_of_others(R"([["a",1],["b",2]])", R"([["a",1],["b",3]])"));
  CHECK_FALSE(says_the_same_of_others(R"([["a",1],["b",2]])", R"([["a",2],["b",2]])"));
  CHECK_FALSE(says_the_same_of_others(R"([["a",1],["b",2]])", R"([["b",2]])"));
}

TEST_CASE("A component is an execution's, or its service's") {
  CHECK_FALSE(is_shared_component("a#b#c"));
  CHECK_FALSE(is_shared_component("a#b#c#d"));
  CHECK(is_shared_component("a#b"));
  CHECK_FALSE(is_shared_component("a"));
  CHECK(service_of_component("a#b#c") == "a");
  CHECK(service_of_component("a") == "a");
  CHECK(service_of_component("").empty());
}
