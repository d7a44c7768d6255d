// A test of a program: fails where the payments race. `race_free` is well, `race_free racy` finds it out.
#include <cstdio>
#include <mutex>

#include "codewake/testing/race_check.hpp"
#include "codewake/trace_tasks.hpp"
#include "codewake/traced.hpp"

int main(int argc, char**) {
  const bool is_racy = argc > 1;
  try {
    codewake::testing::expect_no_races([&] {
      codewake::Traced<int> balance("balance", 100);
      codewake::TracedMutex<> mutex("mutex");
      const auto pay = [&](int amount) {
        std::unique_lock lock(mutex, std::defer_lock);
        if (!is_racy) lock.lock();
        balance.set(balance.get() - amount);
      };
      auto rent = codewake::spawn([&] { pay(30); });
      auto food = codewake::spawn([&] { pay(20); });
      rent.join();
      food.join();
    });
    return is_racy ? 1 : 0;
  } catch (const codewake::testing::RacesFound& found) {
    std::puts(found.what());
    return is_racy ? 0 : 1;
  }
}
