// The results, as people and programs read them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "bench/benchmark.hpp"
#include "bench/machine.hpp"
#include "command.hpp"
#include "listing.hpp"

namespace codewake::cli::bench {

/// A group with those of its benchmarks that were asked for.
struct Chosen {
  const Group* group = nullptr;
  std::vector<std::size_t> places;
};

/// What can be measured. Thread-bound.
class BenchmarkList {
 public:
  BenchmarkList(Output& output, const CommonOptions& options);
  void add(const Benchmark& benchmark);
  void finish() { listing_.finish(); }

 private:
  Listing listing_;
};

/// What was measured, under what can be said of the machine; every record has that, too. Thread-bound.
class Report {
 public:
  Report(Output& output, const CommonOptions& options, std::size_t rounds);
  void add(const Benchmark& benchmark, const Samples& samples);
  void finish();

 private:
  void write_heading();
  Json record_of(const Benchmark& benchmark, const Samples& samples) const;

  Output& output_;
  Format format_;
  std::size_t rounds_;
  std::string date_;
  Machine machine_;
  Listing listing_;
  std::vector<std::string> notes_;
};

}  // namespace codewake::cli::bench
