// The hook in programs that are linked in other ways than this one.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "support/child.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

using codewake::testing::ChildResult;
using codewake::testing::in_child;

namespace {

ChildResult run(const std::string& program, const char* argument = nullptr) {
  const std::string path = std::string(std::getenv("CODEWAKE_TEST_PROGRAMS")) + "/" + program;
  return in_child([&] {
    execl(path.c_str(), path.c_str(), argument, nullptr);
    std::_Exit(127);
  });
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE(
    "A program that was optimized and stripped has a hook in force, and frames with module and offset") {
  const ChildResult result = run("stripped_program");
  REQUIRE(result.exit_code == 0);
  CAPTURE(result.out);
  CHECK(contains(result.out, "in force: yes\nproblem: \n"));
  CHECK(contains(result.out, "stripped_program|+0x") == false);
  CHECK(contains(result.out, "stripped_program|0|+0x"));
  CHECK_FALSE(contains(result.out, "libcodewake.so"));
}

TEST_CASE("With the standard library ahead in the link order the hook says so") {
  if (codewake::testing::kSanitized) CODEWAKE_SKIP("the sanitizer's library comes ahead of both");
  const ChildResult result = run("late_program");
  REQUIRE(result.exit_code == 0);
  CAPTURE(result.out);
  CHECK(contains(result.out, "in force: no\n"));
  CHECK(contains(result.out, "libstdc++.so.6 comes ahead of libcodewake: put -lcodewake ahead of -lstdc++"));
  CHECK(contains(result.out, "frames: 0\n"));
}

TEST_CASE("With a static standard library the hook says so") {
  const ChildResult result = run("static_runtime_program");
  REQUIRE(result.exit_code == 0);
  CAPTURE(result.out);
  CHECK(contains(result.out, "in force: no\n"));
  CHECK(contains(result.out, "link it without -static-libstdc++"));
  CHECK(contains(result.out, "frames: 0\n"));
}

TEST_CASE("Opened with dlopen the hook is not in force") {
  const ChildResult result = run("opening_program", std::getenv("CODEWAKE_TEST_LIBRARY"));
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(result.out == "in force: no\n");
}

TEST_CASE("Boost's capture of throws and the hook see each throw, whichever is linked first") {
  if (std::string(std::getenv("CODEWAKE_TEST_BOOST_THROWS")) != "yes")
    CODEWAKE_SKIP("Boost has libboost_stacktrace_from_exception since 1.85, and it is not installed here");
  for (const char* program : {"boost_throws_first", "boost_throws_last"}) {
    CAPTURE(program);
    const ChildResult result = run(program);
    CHECK(result.exit_code == 0);
    CHECK(result.err == "");
    CHECK(result.out ==
          "in force: yes\n"
          "boost: culprit take_order\ncodewake: culprit take_order\n"
          "boost: culprit take_order\ncodewake: culprit take_order\n");
  }
}
