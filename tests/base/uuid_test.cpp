#include "base/uuid.hpp"

#include <doctest/doctest.h>

#include <regex>
#include <set>
#include <string>

using codewake::internal::make_uuid;

TEST_CASE("A UUID has the form of a random one") {
  const std::regex form("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  for (int i = 0; i < 100; ++i) CHECK(std::regex_match(make_uuid(), form));
}

TEST_CASE("UUIDs do not repeat") {
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) seen.insert(make_uuid());
  CHECK(seen.size() == 10'000);
}
