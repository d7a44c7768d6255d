// Walks while modules come and go, and in the child of a fork().
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "stacktrace/unwind/stack_walk.hpp"
#include "unwind/shapes.hpp"
#include "unwind/walks.hpp"

namespace codewake::testing {
namespace {

constexpr int kRounds = 300;

thread_local TwoWalks walks;
std::atomic<int> differences{0};

void look() {
  walks.walk(true);
  differences += walks.agree() ? 0 : 1;
}

std::string object(const char* name) {
  return std::getenv("CODEWAKE_TEST_SHAPES") + std::string(name);
}

void walk_in(const std::string& path) {
  void* const handle = dlopen(path.c_str(), RTLD_NOW);
  if (handle == nullptr) {
    ++differences;
    return;
  }
  reinterpret_cast<void (*)(Look)>(dlsym(handle, "codewake_replaced"))(&look);
  dlclose(handle);
}

}  // namespace

TEST_CASE("Threads walk while others load and unload modules, in the same places and from the same cache") {
  internal::prepare_stack_walks();
  differences = 0;
  std::atomic<bool> stops{false};
  std::vector<std::thread> threads;
  for (const char* const name : {"/replaced-small.so", "/replaced-large.so"}) {
    threads.emplace_back([path = object(name)] {
      for (int round = 0; round < kRounds; ++round) walk_in(path);
    });
  }
  std::thread walker([&] {
    while (!stops) look();
  });
  for (std::thread& thread : threads) thread.join();
  stops = true;
  walker.join();
  CHECK(differences.load() == 0);
}

TEST_CASE("A child walks, whatever its parent's threads did at the fork()") {
  internal::prepare_stack_walks();
  differences = 0;
  std::atomic<bool> stops{false};
  std::thread loader([&] {
    while (!stops) {
      void* const handle = dlopen(object("/replaced-small.so").c_str(), RTLD_NOW);
      if (handle != nullptr) dlclose(handle);
      look();
    }
  });
  for (int round = 0; round < 50; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      walks.walk(true);
      _exit(walks.our_size > 3 ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  stops = true;
  loader.join();
  CHECK(differences.load() == 0);
}

namespace {

std::atomic<int> interrupted{0};
TwoWalks first_difference;
void on_timer(int) {
  TwoWalks in_handler;
  in_handler.walk(true);
  if (!in_handler.agree_as_far_as_theirs() && differences++ == 0) first_difference = in_handler;
  ++interrupted;
}

}  // namespace

TEST_CASE(
    "A handler walks where it has interrupted a walk, the dynamic linker, or the unwinder of the runtime") {
  internal::prepare_stack_walks();
  differences = 0;
  struct sigaction action {
  }, before{};
  action.sa_handler = &on_timer;
  action.sa_flags = SA_RESTART;
  sigaction(SIGPROF, &action, &before);
  itimerval often{.it_interval = {.tv_sec = 0, .tv_usec = 500}, .it_value = {.tv_sec = 0, .tv_usec = 500}};
  setitimer(ITIMER_PROF, &often, nullptr);
  while (interrupted < 100) walk_in(object("/replaced-small.so"));
  often = {};
  setitimer(ITIMER_PROF, &often, nullptr);
  sigaction(SIGPROF, &before, nullptr);
  INFO(first_difference.text());
  CHECK(differences.load() == 0);
}

}  // namespace codewake::testing
