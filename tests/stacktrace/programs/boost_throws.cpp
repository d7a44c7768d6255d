// Shows where an exception was thrown, by Boost's capture of each throw and by the throw hook. Linked in both
// orders with libboost_stacktrace_from_exception, where Boost has that.
#include <boost/stacktrace.hpp>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <thread>

#include "codewake/boost_stacktrace.hpp"
#include "codewake/throw_hook.hpp"

namespace {

[[gnu::noinline]] void culprit() {
  throw std::logic_error("no customer");
}

[[gnu::noinline]] void take_order() {
  culprit();
  asm volatile("");
}

void show(const char* who, const codewake::Stacktrace& stack) {
  std::printf("%s:", who);
  for (const codewake::Frame& frame : stack.frames()) {
    if (frame.function.find("culprit") != frame.function.npos) std::printf(" culprit");
    if (frame.function.find("take_order") != frame.function.npos) std::printf(" take_order");
  }
  std::printf("\n");
}

void show_both(const std::exception& exception) {
  show("boost", codewake::from_boost(boost::stacktrace::stacktrace::from_current_exception()));
  show("codewake", codewake::Stacktrace::thrown_at(exception).value_or(codewake::Stacktrace()));
}

}  // namespace

int main() {
  std::printf("in force: %s\n", codewake::throw_hook_in_force() ? "yes" : "no");
  codewake::record_throws(true);
  std::exception_ptr kept;
  try {
    take_order();
  } catch (const std::exception& exception) {
    show_both(exception);
  }
  std::thread([&] {
    try {
      take_order();
    } catch (...) {
      kept = std::current_exception();
    }
  }).join();
  try {
    std::rethrow_exception(kept);
  } catch (const std::exception& exception) {
    show_both(exception);
  }
}
