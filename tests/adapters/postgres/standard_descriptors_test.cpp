#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "standard_descriptors.hpp"

namespace codewake::testing {
namespace {

using internal::StandardDescriptors;

template <class Function>
bool holds_in_child(Function function) {
  const pid_t child = fork();
  if (child == 0) _exit(function() ? 0 : 1);
  int status = -1;
  waitpid(child, &status, 0);
  return status == 0;
}

void close_standard() {
  for (const int number : {0, 1, 2}) close(number);
}

bool are_closed() {
  return fcntl(0, F_GETFD) < 0 && fcntl(1, F_GETFD) < 0 && fcntl(2, F_GETFD) < 0;
}

}  // namespace

TEST_CASE(
    "Closed standard descriptors are taken for a while: no file gets their numbers, nor is anything "
    "printed") {
  CHECK(holds_in_child([] {
    close_standard();
    std::optional<StandardDescriptors> guard, another;
    guard.emplace();
    another.emplace();
    const bool is_beyond = open("/dev/null", O_RDWR) > 2;
    const bool fails = write(1, "x", 1) < 0 && errno == EBADF;
    guard.reset();
    const bool is_still_taken = !are_closed();
    another.reset();
    return is_beyond && fails && is_still_taken && are_closed();
  }));
}

TEST_CASE("Standard descriptors that the program has, or takes meanwhile, are left to it") {
  CHECK(holds_in_child([] {
    close_standard();
    const int own = open("/dev/null", O_RDWR);  // gets 0
    {
      const StandardDescriptors guard;
      dup2(own, 2);
    }
    return own == 0 && fcntl(0, F_GETFD) == 0 && fcntl(1, F_GETFD) < 0 && fcntl(2, F_GETFD) == 0;
  }));
}

}  // namespace codewake::testing
