// Runs a pass in a process of its own: this program again.
#pragma once

#include <map>
#include <string>

#include "codewake/errors.hpp"
#include "json.hpp"

namespace codewake::cli::bench {

/// Set in a child: the request, as JSON. `codewake bench` does that and nothing else then.
inline constexpr const char* kPassVariable = "CODEWAKE_BENCH_PASS";

/// The variables of a child: those of this process but for CODE_WAKE_*, and these over them.
using Environment = std::map<std::string, std::string>;

/// A signal has asked this process to end.
class Interrupted : public Error {
 public:
  using Error::Error;
};

/// The result of `run_pass(request)` there. Throws Error, with what the child says went wrong, and
/// Interrupted, where that ended the child (see Interruptible).
Json run_in_child(const Json& request, const Environment& environment);

/// The child's side: writes the result, or what went wrong, to its standard output.
std::string answer_of_pass(const std::string& request);

/// While it is there, SIGINT, SIGTERM and SIGHUP do not end the process at once: run_in_child throws, and
/// what is on disk can be removed.
class Interruptible {
 public:
  Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;
  ~Interruptible();

  /// Throws Interrupted where such a signal has come.
  static void check();
};

}  // namespace codewake::cli::bench
