// Programs killed by SIGKILL at a random moment lose nothing that log() has returned from.
#include <doctest/doctest.h>

#include <chrono>
#include <memory>

#include "codewake/sqlite_store.hpp"
#include "faults/flaky_store.hpp"
#include "faults/scene.hpp"

namespace codewake::testing {
namespace {

using namespace std::chrono_literals;

std::shared_ptr<Store> sqlite_queue(const Scene& scene, std::uint64_t) {
  return std::make_shared<SqliteQueueStore>(scene.options(), scene.dsn());
}

void recover_once(Scene& scene) {
  const bool done = scene.run_for_a_while(
      [&] {
        SqliteStore store(scene.dsn());
        recover_all(store, scene.journal().path());
      },
      100s);
  CHECK(done);
  CHECK(scene.journal().runs().empty());
}

TEST_CASE("What log() returned from is stored exactly once after a kill at a random moment") {
  const Torture torture = testing::torture(20);
  Scene scene(torture.seed);
  Tally tally;
  for (int i = 0; i < torture.kills; ++i) {
    scene.run_and_kill({.make_store = sqlite_queue, .large_in = 500});
    recover_once(scene);
    tally = tally + scene.look();
  }
  conclude("killed while logging", torture, tally);
}

}  // namespace
}  // namespace codewake::testing
