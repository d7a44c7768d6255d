#include "support/skip.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace codewake::testing {

void report_skip(std::string_view reason) {
  fmt::print("SKIPPED: {}\n", reason);
  std::fflush(stdout);
}

}  // namespace codewake::testing
