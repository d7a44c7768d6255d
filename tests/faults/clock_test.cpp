// A wall clock that is set while programs run that are killed: each event that is recovered has the time at
// which it was logged.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>

#include "codewake/process.hpp"
#include "faults/scene.hpp"
#include "support/child.hpp"
#include "support/settable_clock.hpp"

namespace codewake::testing {
namespace {

using namespace std::chrono_literals;

/// A step is an hour. What a busy machine adds between two looks at the clock is far less.
constexpr std::int64_t kStepSeconds = 3600;
/// Nothing tells one side of the step from the other before the library has looked at the clock again.
constexpr auto kLook = 300ms;
constexpr double kMostOffSeconds = 60;

double wall_clock() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

// Steps forth and back, with the store away: all that was logged is in the journal when the program is
// killed.
[[noreturn]] void log_around_steps(const Scene& scene) {
  Config::Queue options = scene.options();
  options.durability = Durability::machine;
  Process& process =
      Process::instance({.app_name = "clock", .store = scene.target().queue(options, {.is_away = true})});
  const std::string padding(300, 'x');
  for (int i = 0;; ++i) {
    if (i % 100 == 99) {
      step_seconds = step_seconds == 0 ? kStepSeconds : 0;
      std::this_thread::sleep_for(kLook);
    }
    process.log({{"wall", fmt::format("{:.6f}", wall_clock())}, {"padding", padding}});
    if (i % 16 == 0) std::this_thread::sleep_for(500us);
  }
}

TEST_CASE(
    "What is recovered after a kill has the time at which it was logged, whichever way the clock was set") {
  const Torture torture = testing::torture(5);
  Scene scene(torture);
  for (int i = 0; i < torture.kills; ++i) {
    scene.run_for_a_while([&] { log_around_steps(scene); }, 3s);
    CHECK(wait_for(start_child([&] { recover_all(*scene.target().store(), scene.journal().path()); })) == 0);
    CHECK(scene.journal().runs().empty());
  }
  const auto rows = scene.target().rows(
      "SELECT e.when_ts, d.val FROM events e JOIN events_data d ON d.event_id = e.id WHERE d.\"key\" = "
      "'wall'");
  std::size_t off = 0;
  for (const auto& row : rows) {
    if (std::abs(std::stod(row[0]) - std::stod(row[1])) > kMostOffSeconds) ++off;
  }
  fmt::print("torture: a clock that is set, on SQLite: {} kills, {} events recovered, {} off by the step\n",
             torture.kills, rows.size(), off);
  CHECK(rows.size() > 0);
  CHECK(off == 0);
}

}  // namespace
}  // namespace codewake::testing
