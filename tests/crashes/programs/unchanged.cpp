// A program that knows nothing of Code Wake.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace {

int* volatile nowhere = nullptr;

[[gnu::noinline]] void guilty_write() {
  *nowhere = 1;
  std::puts("still there");
}

[[gnu::noinline]] void guilty_throw() {
  std::vector<int>().at(7);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view how = argc > 1 ? argv[1] : "";
  if (how == "write") guilty_write();
  if (how == "throw") guilty_throw();
  if (how == "exit") return 42;
  if (how == "catch") {
    for (int i = 0; i < 3; ++i) {
      try {
        guilty_throw();
      } catch (const std::out_of_range&) {
      }
    }
  }
  if (how == "echo") {
    for (int i = 2; i < argc; ++i) std::printf("[%s]", argv[i]);
    for (int c = std::getchar(); c != EOF; c = std::getchar()) std::putchar(c);
  }
  if (how == "wait") {
    std::signal(SIGTERM, [](int) { _exit(5); });
    std::puts("ready");
    std::fflush(stdout);
    pause();
  }
  if (how == "stop itself") raise(SIGTERM);
  return 0;
}
