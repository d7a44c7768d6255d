// Prints which of the rules of stacktrace/file_trust.hpp hold for a file: for a test that makes it setgid.
#include <cstdio>

#include "stacktrace/file_trust.hpp"
#include "stacktrace/source_access.hpp"

int main(int, char** argv) {
  using namespace codewake::internal;
  const auto file = open_regular(argv[1], 1000);
  std::printf("privileged %d, ours %d, source %d, all modules %d\n", is_privileged(), file && is_ours(*file),
              open_own_source(argv[1], 1000).has_value(), module_owners(Trust::own_run).all);
}
