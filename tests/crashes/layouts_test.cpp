// Programs as linkers lay them out: where code lies in memory, and where in its file.
#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>
#include <sstream>
#include <string>

#include "crashes/dying.hpp"
#include "support/skip.hpp"

namespace codewake::testing {

TEST_CASE("A crash names the function that it was in, however the program was linked") {
  const char* const layouts = std::getenv("CODEWAKE_TEST_LAYOUTS");
  if (layouts == nullptr || *layouts == '\0') CODEWAKE_SKIP("sanitizers have handlers of their own");
  std::istringstream names(layouts);
  for (std::string name; std::getline(names, name, ',');) {
    CAPTURE(name);
    const Deathbed bed;
    const ChildResult result = bed.run({program(name)});
    CHECK(result.signal == SIGSEGV);
    CHECK(result.err == "");
    bed.recover();
    const auto crashes = bed.crashes();
    REQUIRE(crashes.size() == 1);
    REQUIRE(crashes[0].frames.size() >= 2);
    CHECK(crashes[0].frames[0].function == "guilty");
    CHECK(crashes[0].frames[1].function == "main");
    CHECK(crashes[0].frames[0].module == program(name).string());
    CHECK(crashes[0].frames[0].build_id.size() == 40);
  }
}

}  // namespace codewake::testing
