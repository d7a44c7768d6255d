// What the benchmarks that compare two sides have in common.
#pragma once

#include <string>
#include <vector>

#include "bench/benchmark.hpp"
#include "bench/runner.hpp"

namespace codewake::cli::bench {

// ── why a benchmark cannot be run; empty where it can ──

std::string no_adapter(const Runner& runner);
std::string no_quill(const Runner& runner);
std::string no_spdlog(const Runner& runner);
std::string no_sqlite(const Runner& runner);
std::string no_postgres(const Runner& runner);
std::string no_raceway(const Runner& runner);
std::string nothing(const Runner& runner);
std::string no_hook(const Runner& runner);

/// One side of a comparison.
struct Side {
  Json request;
  Environment variables = {};
};

struct Answers {
  std::vector<Json> ours, peer;
};

/// Both sides, in turn; which is first changes with each round.
Answers alternate(Runner& runner, const std::string& name, const Side& ours, const Side& peer);

std::vector<double> values_of(const std::vector<Json>& answers, const char* key);

/// The samples of one number of the answers; events that were lost on our side spoil them.
Samples samples_of(const Answers& answers, const char* key);

}  // namespace codewake::cli::bench
