// Saying that a test case could not run where it is.
#pragma once

#include <string_view>

namespace codewake::testing {

/// Prints `SKIPPED: <test case>: <reason>` on a line of its own; `tools/test` counts the case as skipped, not
/// as passed.
void report_skip(std::string_view reason);

/// Leaves the test case, or the void function, that it stands in.
#define CODEWAKE_SKIP(reason)                 \
  do {                                        \
    ::codewake::testing::report_skip(reason); \
    return;                                   \
  } while (false)

}  // namespace codewake::testing
