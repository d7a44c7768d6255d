// What there is to measure, and what came out of it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace codewake::cli::bench {

class Runner;

/// What a result should be.
struct Goal {
  enum class Kind { none, ratio_at_most, ratio_at_least, value_at_most, value_at_least };

  Kind kind = Kind::none;
  double bound = 0;
};

/// `<= 0.12x`, `>= 2x`, `<= 64 MiB`; empty where there is none.
std::string to_string(const Goal& goal, const std::string& unit);

/// One line of the result, before it is measured.
struct Benchmark {
  std::string name;
  std::string what;
  std::string unit;  ///< of ours and of the peer's
  std::string peer;  ///< what it is compared with; empty: nothing
  Goal goal;
};

/// What was measured, a value a round.
struct Samples {
  std::vector<double> ours = {};  ///< empty: it was not measured, `note` says why
  std::vector<double> peer = {};  ///< empty: it has no peer
  std::string note = {};          ///< what one should know of it
  bool counts_as_met = true;      ///< false: something went wrong, whatever the numbers say
};

/// Benchmarks that are measured together.
struct Group {
  std::vector<Benchmark> benchmarks;
  /// What this program lacks to measure them; empty where it lacks nothing.
  std::function<std::string(const Runner&)> missing;
  /// Samples of each, in their order. Throws.
  std::function<std::vector<Samples>(Runner&)> run;
};

const std::vector<Group>& all_groups();

/// Whether a result is as it should be; empty where nothing was measured, or it has no goal.
std::optional<bool> is_met(const Goal& goal, const Samples& samples);

}  // namespace codewake::cli::bench
