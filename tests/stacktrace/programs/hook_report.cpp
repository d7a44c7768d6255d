// Says whether the throw hook is in force, and shows the stack of a throw. Linked in several ways.
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <vector>
#include "codewake/stacktrace.hpp"
#include "codewake/throw_hook.hpp"

namespace {

[[gnu::noinline]] void guilty(std::vector<int>& empty) {
  empty.at(3) = 1;
  asm volatile("");
}

}  // namespace

int main() {
  std::printf("in force: %s\n", codewake::throw_hook_in_force() ? "yes" : "no");
  std::printf("problem: %s\n", codewake::throw_hook_problem().c_str());
  codewake::record_throws(true);
  try {
    std::vector<int> empty;
    guilty(empty);
  } catch (const std::out_of_range& exception) {
    const std::optional<codewake::Stacktrace> trace = codewake::Stacktrace::thrown_at(exception);
    std::printf("frames: %zu\n", trace ? trace->frames().size() : 0);
    if (!trace) return 0;
    for (const codewake::Frame& frame : trace->frames()) {
      std::printf("%s|%s|%u|%s|%s\n", frame.module.c_str(), frame.filename.c_str(), frame.lineno,
                  frame.src.c_str(), frame.function.c_str());
    }
  }
}
