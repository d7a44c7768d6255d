#include "bench/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace codewake::cli::bench {

double quantile_of(std::vector<double>& values, double part) {
  const auto place = static_cast<std::ptrdiff_t>(std::llround(part * static_cast<double>(values.size() - 1)));
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return values[static_cast<std::size_t>(place)];
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Spread spread_of(const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {.median = median_of(values), .low = *low, .high = *high};
}

std::vector<double> ratios_of(const std::vector<double>& ours, const std::vector<double>& peer) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(ours.size(), peer.size()); ++i) {
    if (peer[i] > 0) ratios.push_back(ours[i] / peer[i]);
  }
  return ratios;
}

}  // namespace codewake::cli::bench
