// What the fuzzers run on each input, and the replay in the ordinary suite.
#pragma once

#include <string_view>

namespace codewake::testing {

/// Take any bytes. Throw std::logic_error where something does not hold that holds for every input; an input
/// that is refused as it should be is no error.
void fuzz_config(std::string_view input);
void fuzz_dsn(std::string_view input);

}  // namespace codewake::testing
