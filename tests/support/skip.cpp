#include "support/skip.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdio>

namespace codewake::testing {

void report_skip(std::string_view reason) {
  fmt::print("SKIPPED: {}: {}\n", doctest::getContextOptions()->currentTest->m_name, reason);
  std::fflush(stdout);
}

}  // namespace codewake::testing
