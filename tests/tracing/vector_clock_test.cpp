#include "codewake/vector_clock.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace codewake {
namespace {

using Component = VectorClock::Component;

TEST_CASE("A clock counts its own steps and learns of others") {
  VectorClock clock("me");
  CHECK(clock.tick() == 1);
  CHECK(clock.tick() == 2);
  CHECK(clock.merge(std::vector<Component>{{"a", 3}, {"b", 1}}));
  CHECK(clock.steps_of("me") == 2);
  CHECK(clock.steps_of("a") == 3);
  CHECK(clock.steps_of("stranger") == 0);
  CHECK_FALSE(clock.merge(std::vector<Component>{{"a", 2}, {"b", 1}}));
  CHECK(clock.steps_of("a") == 3);
}

TEST_CASE("Nobody knows more of an execution than itself") {
  VectorClock clock("me");
  clock.tick();
  CHECK_FALSE(clock.merge(std::vector<Component>{{"me", 100}, {"zero", 0}}));
  CHECK(clock.steps_of("me") == 1);
  CHECK(clock.others().empty());
}

TEST_CASE("What was heard of longest ago goes first, the own never") {
  VectorClock clock("me");
  clock.tick();
  for (int i = 0; i < 200; ++i) {
    clock.merge(
        std::vector<Component>{{"always", static_cast<std::uint64_t>(i + 1)}, {std::to_string(i), 1}});
  }
  CHECK(clock.others().size() == VectorClock::kMaxOthers);
  CHECK(clock.steps_of("me") == 1);
  CHECK(clock.steps_of("always") == 200);
  CHECK(clock.steps_of("199") == 1);
  CHECK(clock.steps_of("138") == 1);
  CHECK(clock.steps_of("137") == 0);
}

TEST_CASE("What is given away is merged as what is lent") {
  const std::vector<Component> said = {{"worker#1#aaaaaaaaaaaaaaaa", 3},
                                       {"worker#1#aaaaaaaaaaaaaaab", 1},
                                       {"me", 9},
                                       {"b", 0},
                                       {"worker#1#aaaaaaaaaaaaaaaa", 2},
                                       {"worker#2#aaaaaaaaaaaaaaaa", 5},
                                       {"worker#1#aaaaaaaaaaaaaaaa", 4}};
  VectorClock lent("me"), given("me");
  CHECK(lent.merge(said));
  CHECK(given.merge(std::vector(said)));
  CHECK(given.others() == lent.others());
  CHECK(given.others() == std::vector<Component>{{"worker#1#aaaaaaaaaaaaaaab", 1},
                                                 {"worker#2#aaaaaaaaaaaaaaaa", 5},
                                                 {"worker#1#aaaaaaaaaaaaaaaa", 4}});
  CHECK_FALSE(given.merge(std::vector(said)));
  std::vector<Component> many;
  for (int i = 0; i < 200; ++i) many.push_back({"execution " + std::to_string(i), 1});
  CHECK(lent.merge(many));
  CHECK(given.merge(std::move(many)));
  CHECK(given.others() == lent.others());
  CHECK(given.others().size() == VectorClock::kMaxOthers);
}

TEST_CASE("A whole clock is merged with its own component") {
  VectorClock a("a"), b("b");
  a.tick();
  b.merge(a);
  b.tick();
  VectorClock c("c");
  c.merge(b);
  CHECK(c.steps_of("a") == 1);
  CHECK(c.steps_of("b") == 1);
}

}  // namespace
}  // namespace codewake
