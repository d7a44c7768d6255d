#include "stacktrace/thrown_stacks.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "codewake/throw_hook.hpp"
#include "support/child.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"
#include "traces.hpp"

using codewake::internal::count_thrown_stacks;
using codewake::internal::drop_thrown_stack;
using codewake::internal::find_thrown_stack;
using codewake::internal::keep_thrown_stack;
using codewake::testing::Recording;

namespace {

int destroyed = 0;

struct Counted {
  Counted() = default;
  Counted(const Counted&) = default;
  ~Counted() { ++destroyed; }
};

struct Uncopyable {
  Uncopyable() = default;
  Uncopyable(const Uncopyable&) { throw std::runtime_error("cannot be copied"); }
};

}  // namespace

TEST_CASE("A stack is there as long as its exception and no longer") {
  const Recording recording;
  const std::size_t before = count_thrown_stacks();
  std::exception_ptr first;
  {
    std::exception_ptr second;
    try {
      throw std::runtime_error("x");
    } catch (...) {
      CHECK(count_thrown_stacks() == before + 1);
      first = std::current_exception();
      second = first;
    }
    CHECK(count_thrown_stacks() == before + 1);
    try {
      std::rethrow_exception(second);
    } catch (const std::runtime_error&) {
      CHECK(count_thrown_stacks() == before + 1);
    }
  }
  CHECK(count_thrown_stacks() == before + 1);
  first = nullptr;
  CHECK(count_thrown_stacks() == before);
}

TEST_CASE("The exception's own destructor still runs, once") {
  const Recording recording;
  const int before = destroyed;
  try {
    throw Counted();
  } catch (const Counted&) {
    CHECK(destroyed == before);
  }
  CHECK(destroyed == before + 1);
  {
    const std::exception_ptr pointer = std::make_exception_ptr(Counted());
    destroyed = 0;
  }
  CHECK(destroyed == 1);
}

TEST_CASE("Exceptions that die after recording has ended leave nothing behind") {
  const std::size_t before = count_thrown_stacks();
  std::vector<std::exception_ptr> kept;
  {
    const Recording recording;
    for (int i = 0; i < 1000; ++i) kept.push_back(std::make_exception_ptr(i));
  }
  CHECK(count_thrown_stacks() == before + 1000);
  kept.clear();
  CHECK(count_thrown_stacks() == before);
}

TEST_CASE("Exceptions that one thread makes and another destroys leave nothing behind") {
  const Recording recording;
  const std::size_t before = count_thrown_stacks();
  std::vector<std::vector<std::exception_ptr>> kept(8);
  std::vector<std::thread> threads;
  for (auto& mine : kept) {
    threads.emplace_back([&mine] {
      for (int i = 0; i < 500; ++i) {
        try {
          throw i;
        } catch (...) {
          mine.push_back(std::current_exception());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(count_thrown_stacks() == before + 8 * 500);
  threads.clear();
  for (auto& mine : kept) threads.emplace_back([&mine] { mine.clear(); });
  for (std::thread& thread : threads) thread.join();
  CHECK(count_thrown_stacks() == before);
}

TEST_CASE("An exception whose copy fails is replaced by the failure, with that one's stack") {
  const Recording recording;
  const Uncopyable original;
  try {
    throw original;
  } catch (const std::runtime_error& failure) {
    CHECK(codewake::Stacktrace::thrown_at(failure).has_value());
  }
}

TEST_CASE("A stack that was left behind at an address is replaced") {
  const std::size_t before = count_thrown_stacks();
  int object = 0;
  std::array<void*, 3> first = {&object, &first, nullptr};
  std::array<void*, 1> second = {&second};
  REQUIRE(keep_thrown_stack(&object, nullptr, first, 0));
  REQUIRE(keep_thrown_stack(
      &object, [](void*) {}, second, 7));
  CHECK(count_thrown_stacks() == before + 1);
  std::array<void*, 8> found{};
  const auto kept = find_thrown_stack(&object, found);
  REQUIRE(kept);
  CHECK(kept->size == 1);
  CHECK(kept->epoch == 7);
  CHECK(found[0] == second[0]);
  CHECK((drop_thrown_stack(&object) != nullptr));
  CHECK((drop_thrown_stack(&object) == nullptr));
  CHECK_FALSE(find_thrown_stack(&object, found));
  CHECK(count_thrown_stacks() == before);
}

TEST_CASE("A stack is cut to the room that there is") {
  int object = 0;
  std::array<void*, 3> stack = {&object, &stack, nullptr};
  REQUIRE(keep_thrown_stack(&object, nullptr, stack, 0));
  std::array<void*, 2> found{};
  const auto kept = find_thrown_stack(&object, found);
  REQUIRE(kept);
  CHECK(kept->size == 2);
  CHECK(std::equal(found.begin(), found.end(), stack.begin()));
  drop_thrown_stack(&object);
}

TEST_CASE("A child that is forked while threads throw can throw") {
  if (codewake::testing::kSanitized)
    CODEWAKE_SKIP("the sanitizer's own allocator does not survive such a fork");
  const Recording recording;
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&stop] {
      while (!stop) {
        try {
          throw 1;
        } catch (int) {
        }
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    const codewake::testing::ChildResult result = codewake::testing::in_child([] {
      for (int k = 0; k < 100; ++k) {
        try {
          throw std::runtime_error("child");
        } catch (const std::exception& exception) {
          if (!codewake::Stacktrace::thrown_at(exception)) throw;
        }
      }
      std::_Exit(0);
    });
    CHECK(result.exit_code == 0);
    CHECK(result.err == "");
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}
