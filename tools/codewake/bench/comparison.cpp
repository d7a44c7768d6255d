#include "bench/comparison.hpp"

#include <fmt/format.h>

#include <cstddef>

#include "bench/machine.hpp"
#include "bench/passes.hpp"
#include "codewake/throw_hook.hpp"

namespace codewake::cli::bench {

// ── what may be missing ──

std::string no_adapter(const Runner& runner) {
  return runner.adapter_problem();
}

std::string no_quill(const Runner& runner) {
  if (!has_quill()) return "this program was built without quill";
  return no_adapter(runner);
}

std::string no_spdlog(const Runner& runner) {
  if (!has_spdlog()) return "this program was built without spdlog";
  return no_adapter(runner);
}

std::string no_sqlite(const Runner& runner) {
  if (!has_sqlite()) return "this program was built without SQLite";
  return no_adapter(runner);
}

std::string no_postgres(const Runner& runner) {
  if (!has_postgres()) return "this program was built without libpq";
  if (runner.postgres().empty()) return "--postgres names no database";
  return runner.problem_of("code_wake_postgres_store");
}

std::string no_raceway(const Runner& runner) {
  return runner.problem_of("code_wake_raceway_store");
}

std::string nothing(const Runner&) {
  return {};
}

std::string no_hook(const Runner&) {
  if (is_sanitized()) return "a sanitizer hooks throws, too";
  if (path_of_runtime().empty()) return "the C++ runtime is not libstdc++.so.6";
  return throw_hook_problem();
}

// ── what several have in common ──

Answers alternate(Runner& runner, const std::string& name, const Side& ours, const Side& peer) {
  Answers answers;
  const std::size_t rounds = runner.sizes().rounds;
  for (std::size_t round = 0; round < rounds; ++round) {
    runner.say(fmt::format("{}, round {} of {}", name, round + 1, rounds));
    const bool ours_first = round % 2 == 0;
    if (ours_first) answers.ours.push_back(runner.run(ours.request, ours.variables));
    answers.peer.push_back(runner.run(peer.request, peer.variables));
    if (!ours_first) answers.ours.push_back(runner.run(ours.request, ours.variables));
  }
  return answers;
}

std::vector<double> values_of(const std::vector<Json>& answers, const char* key) {
  std::vector<double> values;
  for (const Json& answer : answers) values.push_back(answer.at(key));
  return values;
}

Samples samples_of(const Answers& answers, const char* key) {
  Samples samples{.ours = values_of(answers.ours, key), .peer = values_of(answers.peer, key)};
  double lost = 0;
  for (const double value : values_of(answers.ours, "lost")) lost += value;
  if (lost > 0) {
    samples.note = fmt::format("{} events were lost", lost);
    samples.counts_as_met = false;
  }
  return samples;
}

}  // namespace codewake::cli::bench
