// Records what a function throws that was inlined, below so many calls of another one. To be stripped.
#include <cstdlib>
#include <stdexcept>

#include "codewake/codewake.hpp"

namespace {

[[gnu::always_inline]] inline void take(int count) {
  if (count >= 0) throw std::out_of_range("no article left");
}

[[gnu::noinline]] void sell(int depth) {
  if (depth > 1) {
    sell(depth - 1);
  } else {
    take(depth);
  }
  asm volatile("");  // no tail call
}

}  // namespace

int main(int argc, char** argv) {
  auto& process = codewake::Process::instance();
  const int deepest = argc > 1 ? std::atoi(argv[1]) : 1;
  for (int depth = 1; depth <= deepest; ++depth) {
    try {
      sell(depth);
    } catch (const std::exception& exception) {
      process.log({{"event", "fault"}, {"depth", depth}}, exception);
    }
  }
}
