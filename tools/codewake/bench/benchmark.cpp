#include "bench/benchmark.hpp"

#include <fmt/format.h>

#include "bench/statistics.hpp"

namespace codewake::cli::bench {

std::string to_string(const Goal& goal, const std::string& unit) {
  switch (goal.kind) {
    case Goal::Kind::none:
      return {};
    case Goal::Kind::ratio_at_most:
      return fmt::format("<= {}x", goal.bound);
    case Goal::Kind::ratio_at_least:
      return fmt::format(">= {}x", goal.bound);
    case Goal::Kind::value_at_most:
      return fmt::format("<= {} {}", goal.bound, unit);
    case Goal::Kind::value_at_least:
      return fmt::format(">= {} {}", goal.bound, unit);
  }
  return {};
}

std::optional<bool> is_met(const Goal& goal, const Samples& samples) {
  if (goal.kind == Goal::Kind::none || samples.ours.empty()) return std::nullopt;
  if (!samples.counts_as_met) return false;
  if (goal.kind == Goal::Kind::value_at_most) return median_of(samples.ours) <= goal.bound;
  if (goal.kind == Goal::Kind::value_at_least) return median_of(samples.ours) >= goal.bound;
  const std::vector<double> ratios = ratios_of(samples.ours, samples.peer);
  if (ratios.empty()) return std::nullopt;
  const double ratio = median_of(ratios);
  return goal.kind == Goal::Kind::ratio_at_most ? ratio <= goal.bound : ratio >= goal.bound;
}

}  // namespace codewake::cli::bench
