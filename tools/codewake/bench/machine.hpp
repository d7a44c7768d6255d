// Where and with what something was measured: numbers mean little without.
#pragma once

#include <string>

namespace codewake::cli::bench {

struct Machine {
  std::string cpu;
  unsigned cores = 0;
  std::string kernel;
  double load = 0;  ///< how many threads wanted to run, in the last minute
};

Machine this_machine();

/// Whether so much else runs that a thread does not have a core to itself: then times say little.
bool is_busy(const Machine& machine) noexcept;

/// How this program was built: `release`, or `debugoptimized, with assertions` and the like.
std::string build_in_words();

/// Whether the numbers say what users will see.
bool is_release_build() noexcept;

bool is_sanitized() noexcept;

/// Of this process. Throws Error where the system does not say.
double resident_mib();

}  // namespace codewake::cli::bench
