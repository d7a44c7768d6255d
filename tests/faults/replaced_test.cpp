// Programs killed by SIGKILL around the moment at which their database is moved away
// lose nothing that log() has returned from.
#include <doctest/doctest.h>

#include <chrono>
#include <memory>

#include "codewake/process.hpp"
#include "faults/scene.hpp"
#include "support/child.hpp"

namespace codewake::testing {
namespace {

using namespace std::chrono_literals;

TEST_CASE("A database that is moved away from under programs that are killed soon after costs no event") {
  const Torture torture = testing::torture(10);
  Scene scene(torture);
  for (int i = 0; i < torture.kills; ++i) {
    scene.run_and_kill(
        {.make_store = [](const Scene& s, std::uint64_t) { return s.target().queue(s.options()); },
         .life = 60ms,
         .large_in = 50,
         .meanwhile = [&] { scene.target().move_away(); }});
    CHECK(wait_for(start_child([&] { recover_all(*scene.target().store(), scene.journal().path()); })) == 0);
    CHECK(scene.journal().runs().empty());
  }
  scene.conclude("the database moved away", scene.look_everywhere());
}

}  // namespace
}  // namespace codewake::testing
