// Programs that are linked with the C++ runtime, or the C library too, ahead of libcodewake.
#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <string>

#include "crashes/dying.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

bool has_frame(const EventRecord& event, const std::string& function) {
  return std::ranges::any_of(
      event.frames, [&](const Frame& frame) { return frame.function.find(function) != std::string::npos; });
}

}  // namespace

TEST_CASE(
    "A program that is linked in another order crashes as before, is recorded, and one line says what is "
    "missing") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  struct {
    const char* program;
    const char* missing;
  } const orders[] = {{"dying_behind_cxx", "exceptions are recorded without the stack of their throw"},
                      {"dying_behind_c", "crashes that the program has handlers for are not recorded"}};
  struct {
    const char* how;
    int signal;
    const char* type;
  } const ways[] = {
      {"write", SIGSEGV, ""}, {"throw", SIGABRT, "std::runtime_error"}, {"thread", SIGSEGV, ""}};
  for (const auto& order : orders) {
    for (const auto& way : ways) {
      CAPTURE(std::string(order.program));
      CAPTURE(std::string(way.how));
      const Deathbed bed;
      const ChildResult result = bed.run({program(order.program), way.how});
      CHECK(result.signal == way.signal);
      const std::size_t said = result.err.find(order.missing);
      CHECK(said != std::string::npos);
      CHECK(result.err.find(order.missing, said + 1) == std::string::npos);
      bed.recover();
      const auto crashes = bed.crashes();
      REQUIRE(crashes.size() == 1);
      CHECK(value(crashes[0], "exception.type") == way.type);
      CHECK(has_frame(crashes[0], "guilty_"));
    }
  }
}

TEST_CASE("A program that is linked in another order has its own handlers") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  for (const char* name : {"dying_behind_cxx", "dying_behind_c"}) {
    const Deathbed usual, other;
    for (const char* how :
         {"handler exits", "terminate handler exits", "jump", "plain jump", "terminate and jump"}) {
      CAPTURE(std::string(how));
      const ChildResult expected = usual.run({program(variants()[0]), how});
      const ChildResult found = other.run({program(name), how});
      CHECK(found.signal == expected.signal);
      CHECK(found.exit_code == expected.exit_code);
    }
  }
}

}  // namespace codewake::testing
