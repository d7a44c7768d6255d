// Textbook cases, each with its repaired twin.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <queue>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "codewake/testing/race_check.hpp"
#include "codewake/trace_tasks.hpp"
#include "codewake/traced.hpp"

namespace codewake {
namespace {

using analysis::Finding;
using analysis::RaceReport;
using analysis::Severity;
using analysis::Verdict;
using testing::check_races;
using testing::expect_no_races;

std::size_t count(const RaceReport& report, Verdict verdict) {
  return static_cast<std::size_t>(
      std::count_if(report.findings.begin(), report.findings.end(),
                    [&](const Finding& finding) { return finding.verdict == verdict; }));
}

/// Runs both on threads of their own, one after the other: which is by a latch of which the trace knows
/// nothing, so that the races are there for it, and for nobody else.
template <class A, class B>
void both(A a, B b) {
  std::latch first_is_done(1);
  auto first = spawn(
      [&] {
        a();
        first_is_done.count_down();
      },
      "first");
  auto second = spawn(
      [&] {
        first_is_done.wait();
        b();
      },
      "second");
  first.join();
  second.join();
}

void check_clean(const RaceReport& report) {
  for (const Finding& finding : report.findings) MESSAGE(describe(finding));
  CHECK(report.findings.empty());
  CHECK(report.damaged_executions == 0);
}

TEST_CASE("A bank account loses an update, and with a lock does not") {
  const RaceReport racy = check_races([] {
    Traced<int> balance("account:alice", 100);
    const auto pay = [&] { balance.set(balance.get() - 10); };
    both(pay, pay);
  });
  CHECK(count(racy, Verdict::race) >= 1);
  CHECK(racy.findings.front().severity == Severity::critical);
  CHECK(racy.findings.front().events.size() == 2);
  CHECK(racy.findings.front().events[0].line != 0);
  CHECK(racy.findings.front().variables == std::vector<std::string>{"account:alice"});
  CHECK_FALSE(racy.findings.front().is_uncertain);
  CHECK(count(racy, Verdict::check_then_act) == 1);
  check_clean(check_races([] {
    Traced<int> balance("account:alice", 100);
    TracedMutex<> mutex("lock:alice");
    const auto pay = [&] {
      const std::lock_guard lock(mutex);
      balance.set(balance.get() - 10);
    };
    both(pay, pay);
    CHECK(balance.get() == 80);
  }));
}

TEST_CASE("A check in one critical section and the act in the next leave room in between") {
  const auto withdraw = [](Traced<int>& balance, TracedMutex<>& mutex, bool is_repaired) {
    std::unique_lock lock(mutex);
    const bool is_enough = balance.get() >= 60;
    if (!is_repaired) lock.unlock();
    if (!is_enough) return;
    if (!is_repaired) lock.lock();
    balance.set(40);
  };
  for (const bool is_repaired : {false, true}) {
    const RaceReport report = check_races([&] {
      Traced<int> balance("balance", 100);
      TracedMutex<> mutex("lock");
      const auto run = [&] { withdraw(balance, mutex, is_repaired); };
      both(run, [&] {
        const std::lock_guard lock(mutex);
        balance.set(90);
      });
    });
    CHECK(count(report, Verdict::race) == 0);
    CHECK(count(report, Verdict::check_then_act) == (is_repaired ? 0 : 1));
    if (is_repaired) check_clean(report);
  }
}

TEST_CASE("Double-checked initialization needs an atomic flag") {
  const RaceReport racy = check_races([] {
    Traced<bool> is_made("is_made", false);
    Traced<int> made("made", 0);
    TracedMutex<> mutex("lock");
    const auto use = [&] {
      if (!is_made.get()) {
        const std::lock_guard lock(mutex);
        if (!is_made.get()) {
          made.set(42);
          is_made.set(true);
        }
      }
      return made.get();
    };
    both(use, use);
  });
  CHECK(count(racy, Verdict::race) >= 1);
  check_clean(check_races([] {
    Traced<std::atomic<bool>> is_made("is_made", false);
    Traced<int> made("made", 0);
    TracedMutex<> mutex("lock");
    const auto use = [&] {
      if (!is_made.load()) {
        const std::lock_guard lock(mutex);
        if (!is_made.load()) {
          made.set(42);
          is_made.store(true);
        }
      }
      return made.get();
    };
    both(use, use);
  }));
}

TEST_CASE("Two locks taken in both orders can block for ever, even where they did not") {
  for (const bool is_repaired : {false, true}) {
    const RaceReport report = check_races([&] {
      TracedMutex<> a("a"), b("b");
      // Tried, so that ThreadSanitizer does not find the deadlock, too.
      both(
          [&] {
            const std::lock_guard outer(a);
            const std::unique_lock inner(b, std::try_to_lock);
          },
          [&] {
            const std::lock_guard outer(is_repaired ? a : b);
            const std::unique_lock inner(is_repaired ? b : a, std::try_to_lock);
          });
    });
    CHECK(count(report, Verdict::lock_order) == (is_repaired ? 0 : 1));
    if (!is_repaired) {
      CHECK(report.findings.front().locks.size() == 2);
    } else {
      check_clean(report);
    }
  }
}

TEST_CASE("What goes through a queue with a lock is handed over; what goes beside it is not") {
  for (const bool is_repaired : {false, true}) {
    const RaceReport report = check_races([&] {
      Traced<int> item("item", 0);
      TracedMutex<> mutex("queue");
      std::condition_variable_any changed;
      std::queue<int> queue;
      both(
          [&] {
            item.set(7);
            if (!is_repaired) return;
            const std::lock_guard lock(mutex);
            queue.push(1);
            changed.notify_one();
          },
          [&] {
            if (is_repaired) {
              std::unique_lock lock(mutex);
              changed.wait(lock, [&] { return !queue.empty(); });
            }
            item.set(item.get() + 1);
          });
    });
    CHECK((count(report, Verdict::race) > 0) == !is_repaired);
    if (is_repaired) check_clean(report);
  }
}

TEST_CASE("A join orders what came before the end of a thread") {
  for (const bool is_repaired : {false, true}) {
    const RaceReport report = check_races([&] {
      Traced<int> result("result", 0);
      std::latch is_set(1);
      auto task = spawn([&] {
        result.set(1);
        is_set.count_down();
      });
      if (is_repaired) task.join();
      is_set.wait();
      result.get();
      task.join();
    });
    CHECK(count(report, Verdict::race) == (is_repaired ? 0 : 1));
    if (is_repaired) {
      check_clean(report);
    } else {
      CHECK(report.findings.front().severity == Severity::warning);
    }
  }
}

TEST_CASE("Readers share a lock, a writer needs it alone") {
  for (const bool is_repaired : {false, true}) {
    const RaceReport report = check_races([&] {
      Traced<int> value("value", 0);
      TracedMutex<std::shared_mutex> mutex("lock");
      both(
          [&] {
            const std::shared_lock lock(mutex);
            value.get();
          },
          [&] {
            if (is_repaired) {
              const std::unique_lock lock(mutex);
              value.set(1);
            } else {
              const std::shared_lock lock(mutex);
              value.set(1);
            }
          });
    });
    CHECK(count(report, Verdict::race) == (is_repaired ? 0 : 1));
    if (is_repaired) check_clean(report);
  }
  check_clean(check_races([] {
    Traced<int> value("value", 0);
    both([&] { value.get(); }, [&] { value.get(); });
  }));
}

TEST_CASE("Atomic accesses do not race, and publish what was written before them") {
  check_clean(check_races([] {
    Traced<std::atomic<int>> counter("counter", 0);
    both([&] { counter.fetch_add(1); }, [&] { counter.fetch_add(1); });
  }));
  check_clean(check_races([] {
    Traced<int> data("data", 0);
    Traced<std::atomic<bool>> is_ready("is_ready", false);
    both(
        [&] {
          data.set(1);
          is_ready.store(true);
        },
        [&] {
          CHECK(is_ready.load());
          data.get();
        });
  }));
  const RaceReport racy = check_races([] {
    Traced<int> data("data", 0);
    Traced<std::atomic<bool>> is_ready("is_ready", false);
    both(
        [&] {
          is_ready.store(true);
          data.set(1);  // too late
        },
        [&] {
          CHECK(is_ready.load());
          data.get();
        });
  });
  CHECK(count(racy, Verdict::race) == 1);
}

TEST_CASE("Different locks at the same variable are suspicious, whatever ordered the accesses") {
  const RaceReport report = check_races([] {
    Traced<int> value("value", 0);
    TracedMutex<> a("a"), b("b");
    spawn([&] {
      const std::lock_guard lock(a);
      value.set(1);
    }).join();
    spawn([&] {
      const std::lock_guard lock(b);
      value.set(2);
    }).join();
  });
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings.front().verdict == Verdict::potential_race);
}

TEST_CASE("expect_no_races says which places race, and lets other exceptions out") {
  CHECK_NOTHROW(expect_no_races([](Tracer& tracer) { tracer.track_custom("nothing"); }));
  CHECK_THROWS_AS(expect_no_races([] { throw std::runtime_error("of the program"); }), std::runtime_error);
  try {
    expect_no_races([] {
      Traced<int> value("value", 0);
      both([&] { value.set(1); }, [&] { value.set(2); });
    });
    FAIL("no race was found");
  } catch (const testing::RacesFound& found) {
    CHECK(found.report().findings.size() == 1);
    const std::string text = found.what();
    CHECK(text.find("textbook_test.cpp:") != text.npos);
    CHECK(text.find("value") != text.npos);
  }
}

}  // namespace
}  // namespace codewake
