#include "base/file_descriptor.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace codewake::testing {
namespace {

using internal::FileDescriptor;

int open_without_standard_descriptors() {
  for (const int standard : {0, 1, 2}) close(standard);
  const FileDescriptor by_number(open("/dev/null", O_RDWR | O_CLOEXEC)), by_path("/dev/null");
  const bool are_beyond = by_number.number() > 2 && by_path.number() > 2;
  const bool is_closed_on_exec = fcntl(by_number.number(), F_GETFD) == FD_CLOEXEC;
  const bool are_free = write(0, "", 1) < 0 && write(1, "", 1) < 0 && write(2, "", 1) < 0;
  return are_beyond && is_closed_on_exec && are_free ? 0 : 1;
}

}  // namespace

TEST_CASE("A descriptor is never 0, 1 or 2") {
  const pid_t child = fork();
  if (child == 0) _exit(open_without_standard_descriptors());
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
}

TEST_CASE("A descriptor that could not be opened keeps the reason") {
  const FileDescriptor missing("/nonexistent");
  const int error = errno;
  CHECK(missing.number() < 0);
  CHECK(error == ENOENT);
}

}  // namespace codewake::testing
