// What is said of many measurements of one thing.
#pragma once

#include <vector>

namespace codewake::cli::bench {

/// The middle, and how far it reaches to both sides.
struct Spread {
  double median = 0;
  double low = 0;   ///< the smallest
  double high = 0;  ///< the largest
};

/// `values` has one at least; `part` is 0 for the smallest to 1 for the largest. Sorts no further than
/// needed.
double quantile_of(std::vector<double>& values, double part);

/// The smallest difference of readings that are not equal; 0 where all are. Readings that are one apart count
/// as equal, here and below: a counter that goes in steps of 24.5 ticks gives 73 and 74.
double smallest_step_of(std::vector<double> values);

/// The same of readings of a clock that counts in steps: the readings that equal the quantile are taken as
/// spread evenly over one step, since each is off by a part of it. So a median of many is finer than the
/// clock.
double quantile_of_steps(std::vector<double>& values, double part, double step);

double median_of(std::vector<double> values);

Spread spread_of(const std::vector<double>& values);

/// Each of the first by its fellow of the second: rounds that ran side by side met the same machine, so these
/// ratios differ less than the rounds do.
std::vector<double> ratios_of(const std::vector<double>& ours, const std::vector<double>& peer);

}  // namespace codewake::cli::bench
