#include "bench/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace codewake::cli::bench {
namespace {

constexpr double kSameReading = 1;

}  // namespace

double quantile_of(std::vector<double>& values, double part) {
  const auto place = static_cast<std::ptrdiff_t>(std::llround(part * static_cast<double>(values.size() - 1)));
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return values[static_cast<std::size_t>(place)];
}

double smallest_step_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  double step = 0;
  for (std::size_t i = 1; i < values.size(); ++i) {
    const double difference = values[i] - values[i - 1];
    if (difference > kSameReading && (step == 0 || difference < step)) step = difference;
  }
  return step;
}

double quantile_of_steps(std::vector<double>& values, double part, double step) {
  const double reading = quantile_of(values, part);
  const auto below =
      std::count_if(values.begin(), values.end(), [&](double v) { return v < reading - kSameReading; });
  const auto equal = std::count_if(values.begin(), values.end(),
                                   [&](double v) { return std::abs(v - reading) <= kSameReading; });
  const double place = part * static_cast<double>(values.size()) - static_cast<double>(below);
  return reading + step * (std::clamp(place / static_cast<double>(equal), 0.0, 1.0) - 0.5);
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
