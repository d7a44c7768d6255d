#include <dlfcn.h>
#include <doctest/doctest.h>
#include <signal.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "stacktrace/unwind/stack_walk.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"
#include "unwind/shapes.hpp"
#include "unwind/walks.hpp"

namespace codewake::testing {
namespace {

/// A shared object with shapes.
class Shapes {
 public:
  explicit Shapes(const std::string& path) : handle_(dlopen(path.c_str(), RTLD_LAZY)) {
    internal::prepare_stack_walks();
    REQUIRE_MESSAGE(handle_ != nullptr, dlerror());
    const auto shapes = reinterpret_cast<decltype(&codewake_shapes)>(dlsym(handle_, "codewake_shapes"));
    REQUIRE(static_cast<bool>(shapes != nullptr));
    first_ = shapes();
  }
  Shapes(const Shapes&) = delete;
  Shapes& operator=(const Shapes&) = delete;
  ~Shapes() { dlclose(handle_); }

  template <class Visit>
  void for_each(Visit visit) const {
    for (const Shape* shape = first_; shape->name != nullptr; ++shape) visit(*shape);
  }

 private:
  void* handle_;
  const Shape* first_ = nullptr;
};

std::vector<std::string> shape_objects() {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(std::getenv("CODEWAKE_TEST_SHAPES"))) {
    if (entry.path().filename().string().starts_with("shapes-")) found.push_back(entry.path());
  }
  REQUIRE(!found.empty());
  return found;
}

// Of the current shape, filled in without allocation: a look may be in a signal handler.
TwoWalks first_difference, walks;
std::size_t looks = 0;
std::size_t differences = 0;

void note(const TwoWalks& seen) {
  ++looks;
  if (!seen.agree() && differences++ == 0) first_difference = seen;
}

[[gnu::noinline]] void look() {
  for (const bool quickly : {false, true, true}) {  // the first quick one may find nothing in the cache
    walks.walk(quickly);
    note(walks);
  }
}

void look_at_nothing() {}

// Steps through the program: the processor traps after each instruction while the flag is set.
constexpr greg_t kTrapFlag = 0x100;
void on_step(int, siginfo_t*, void* context) {
  if (looks == 0) static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] |= kTrapFlag;
  walks.walk(looks % 2 == 0);
  note(walks);
}

bool stops_stepping = false;
void on_step_or_stop(int signal, siginfo_t* info, void* context) {
  if (stops_stepping) {
    static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~kTrapFlag;
  } else {
    on_step(signal, info, context);
  }
}

void step_through(const Shape& shape) {
  struct sigaction action {
  }, before{};
  action.sa_sigaction = &on_step_or_stop;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGTRAP, &action, &before);
  stops_stepping = false;
  raise(SIGTRAP);
  shape.run(&look_at_nothing);
  stops_stepping = true;
  asm volatile("nop\n\tnop");
  sigaction(SIGTRAP, &before, nullptr);
}

void check(const std::string& object, const Shape& shape) {
  CAPTURE(object);
  CAPTURE(std::string(shape.name));
  CHECK(looks > 0);
  INFO(first_difference.text());
  CHECK(differences == 0);
  looks = differences = 0;
  first_difference = {};
}

}  // namespace

TEST_CASE("A walk finds the frames that the runtime's unwinder finds, whatever compiled them") {
  for (const std::string& object : shape_objects()) {
    Shapes(object).for_each([&](const Shape& shape) {
      shape.run(&look);
      check(object, shape);
    });
  }
}

TEST_CASE("A walk finds the frames from every single instruction") {
  if (kSanitized) CODEWAKE_SKIP("a sanitizer takes minutes for it");
  for (const std::string& object : shape_objects()) {
    if (!object.ends_with("O2.so") && !object.ends_with("Os.so")) continue;
    Shapes(object).for_each([&](const Shape& shape) {
      const std::string name = shape.name;
      // Threads and other contexts do not inherit the flag; an exception takes too many instructions, a deep
      // stack too long at each.
      if (name == "exception" || name == "thread" || name == "coroutine" || name == "recursion") return;
      step_through(shape);
      check(object, shape);
    });
  }
}

}  // namespace codewake::testing
