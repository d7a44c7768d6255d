// Programs killed by SIGKILL at a random moment lose nothing that log() has returned from.
//
// These go over any store (target.hpp); each program has its own.
#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "codewake/process.hpp"
#include "faults/scene.hpp"
#include "support/child.hpp"

namespace codewake::testing {
namespace {

using namespace std::chrono_literals;

std::shared_ptr<Store> steady_queue(const Scene& scene, std::uint64_t) {
  return scene.target().queue(scene.options());
}

std::shared_ptr<Store> flaky_queue(const Scene& scene, std::uint64_t seed) {
  return scene.target().queue(scene.options(), {.part = 0.3, .seed = seed});
}

// Puts everything on the disk every other millisecond, as far as there is room.
Config::Queue durable(const Scene& scene) {
  Config::Queue options = scene.options();
  options.durability = Durability::machine;
  options.limit_bytes = 1 << 20;
  return options;
}

std::shared_ptr<Store> away_queue(const Scene& scene, std::uint64_t) {
  return scene.target().queue(durable(scene), {.is_away = true});
}

std::shared_ptr<Store> flaky_durable_queue(const Scene& scene, std::uint64_t seed) {
  return scene.target().queue(durable(scene), {.part = 0.5, .seed = seed});
}

void recover(const Scene& scene, const Trouble& trouble = {}) {
  recover_all(*scene.target().store(trouble), scene.journal().path());
}

void recover_in_child(const Scene& scene, const Trouble& trouble = {}) {
  CHECK(wait_for(start_child([&] { recover(scene, trouble); })) == 0);
  CHECK(scene.journal().runs().empty());
}

// The next run of the program, which goes as soon as there are no journals but its own.
void run_next(const Scene& scene) {
  Process& process = Process::instance({.app_name = "next", .store = steady_queue(scene, 0)});
  process.log({{"next", true}});
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (scene.journal().runs().size() > 2) {
    if (std::chrono::steady_clock::now() > deadline)
      throw std::runtime_error("the next run does not recover");
    std::this_thread::sleep_for(1ms);
  }
  if (!process.shutdown(60s)) throw std::runtime_error("the next run does not store everything");
}

TEST_CASE("What log() returned from is stored exactly once after a kill at a random moment") {
  CODEWAKE_NEEDS_TARGET();
  const Torture torture = testing::torture(15);
  Scene scene(torture);
  Tally tally;
  for (int i = 0; i < torture.kills; ++i) {
    scene.run_and_kill({.make_store = steady_queue, .large_in = 500});
    recover_in_child(scene);
    tally = tally + scene.look();
  }
  scene.conclude("killed while logging", tally);
}

TEST_CASE("The next run stores what a killed one left") {
  CODEWAKE_NEEDS_TARGET();
  const Torture torture = testing::torture(5);
  Scene scene(torture);
  Tally tally;
  for (int i = 0; i < torture.kills; ++i) {
    scene.run_and_kill({.make_store = steady_queue});
    CHECK(wait_for(start_child([&] { run_next(scene); })) == 0);
    CHECK(scene.journal().runs().empty());
    tally = tally + scene.look();
  }
  scene.conclude("stored by the next run", tally);
}

TEST_CASE("A chain of runs, each killed while it stores what the ones before left, loses nothing") {
  CODEWAKE_NEEDS_TARGET();
  const Torture torture = testing::torture(10);
  Scene scene(torture);
  Tally tally;
  for (int i = 0; i < torture.kills; ++i) {
    scene.run_and_kill({.make_store = i % 2 == 0 ? steady_queue : flaky_queue});
    if (i % 10 != 9 && i + 1 != torture.kills) continue;
    recover_in_child(scene);
    tally = tally + scene.look();
  }
  scene.conclude("a chain of killed runs", tally);
}

TEST_CASE("A program that is killed while it shuts down loses nothing, and leaves nothing that stays") {
  CODEWAKE_NEEDS_TARGET();
  const Torture torture = testing::torture(15);
  Scene scene(torture);
  Tally tally;
  for (int i = 0; i < torture.kills; ++i) {
    scene.run_and_kill(
        {.make_store = steady_queue, .life = 30ms, .pause = 0us, .large_in = 100, .events = 100});
    recover_in_child(scene);
    tally = tally + scene.look();
  }
  scene.conclude("killed while shutting down", tally);
}

TEST_CASE("A store that fails at random calls, in every way, changes nothing about that") {
  CODEWAKE_NEEDS_TARGET();
  const Torture torture = testing::torture(8);
  Scene scene(torture);
  Tally tally;
  for (int i = 0; i < torture.kills; ++i) {
    scene.run_and_kill({.make_store = flaky_queue, .life = 150ms, .pause = 1ms});
    recover_in_child(scene, {.part = 0.3, .seed = scene.random()()});
    tally = tally + scene.look();
  }
  scene.conclude("with a store that fails at random", tally);
}

TEST_CASE("Recoverers that are killed in the middle of it, again and again, lose and repeat nothing") {
  CODEWAKE_NEEDS_TARGET();
  const Torture torture = testing::torture(8);
  Scene scene(torture);
  Tally tally;
  for (int i = 0; i < torture.kills; ++i) {
    scene.run_and_kill({.make_store = i % 2 == 0 ? steady_queue : away_queue, .large_in = 300});
    bool done = false;
    for (int attempt = 0; attempt < 1000 && !done; ++attempt) {
      done = scene.run_for_a_while([&] { recover(scene); }, std::chrono::milliseconds(20 + attempt));
    }
    CHECK(done);
    CHECK(scene.journal().runs().empty());
    tally = tally + scene.look();
  }
  scene.conclude("with recoverers killed", tally);
}

TEST_CASE("Several recoverers at once, and a next run, store each event once") {
  CODEWAKE_NEEDS_TARGET();
  const Torture torture = testing::torture(6);
  Scene scene(torture);
  Tally tally;
  for (int i = 0; i < torture.kills; i += 3) {
    for (int run = 0; run < 3; ++run)
      scene.run_and_kill({.make_store = run == 0 ? away_queue : steady_queue});
    std::vector<pid_t> recoverers;
    for (int r = 0; r < 3; ++r) recoverers.push_back(start_child([&] { recover(scene); }));
    recoverers.push_back(start_child([&] { run_next(scene); }));
    for (const pid_t recoverer : recoverers) CHECK(wait_for(recoverer) == 0);
    CHECK(scene.journal().runs().empty());
    tally = tally + scene.look();
  }
  scene.conclude("with several recoverers", tally);
}

TEST_CASE("What lies on the disk because the store is away survives as well") {
  CODEWAKE_NEEDS_TARGET();
  const Torture torture = testing::torture(6);
  Scene scene(torture);
  Tally tally;
  for (int i = 0; i < torture.kills; ++i) {
    scene.run_and_kill({.make_store = i % 2 == 0 ? away_queue : flaky_durable_queue,
                        .life = 300ms,
                        .longest_value = 2000,
                        .large_in = 1000});
    recover_in_child(scene);
    tally = tally + scene.look();
  }
  scene.conclude("with the journal on disk", tally);
}

TEST_CASE("What grows old because the store is away goes to the disk, and survives") {
  CODEWAKE_NEEDS_TARGET();
  const Torture torture = testing::torture(2);
  Scene scene(torture);
  Tally tally;
  const auto away = [](const Scene& s, std::uint64_t) {
    return s.target().queue(s.options(), {.is_away = true});
  };
  for (int i = 0; i < (torture.kills + 9) / 10; ++i) {
    scene.run_and_kill({.make_store = away, .life = 500ms, .least_life = 1500ms, .pause = 2ms});
    recover_in_child(scene);
    tally = tally + scene.look();
  }
  scene.conclude("with old events on disk", tally);
}

}  // namespace
}  // namespace codewake::testing
