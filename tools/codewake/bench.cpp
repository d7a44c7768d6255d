// `codewake bench`: how fast log() and the stores are, beside what one would use otherwise.
#include <fmt/format.h>
#include <fnmatch.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/benchmark.hpp"
#include "bench/child.hpp"
#include "bench/report.hpp"
#include "bench/runner.hpp"
#include "codewake/config.hpp"
#include "command.hpp"

namespace codewake::cli {
namespace {

using namespace bench;

struct BenchOptions {
  std::string filter = {};
  std::size_t rounds = 0;  ///< 0: as the sizes have it
  bool quick = false;
  bool large = false;
  bool list = false;
  bool check = false;
  std::string folder = {};
  std::string postgres = {};
};

bool matches(const std::string& filter, const std::string& name) {
  if (filter.find_first_of("*?[") == std::string::npos) return name.find(filter) != std::string::npos;
  return ::fnmatch(filter.c_str(), name.c_str(), 0) == 0;
}

/// The groups that have something to measure, with that alone.
std::vector<Chosen> choose(const BenchOptions& options) {
  std::vector<Chosen> all;
  for (const Group& group : all_groups()) {
    Chosen chosen{.group = &group, .places = {}};
    for (std::size_t i = 0; i < group.benchmarks.size(); ++i) {
      if (matches(options.filter, group.benchmarks[i].name)) chosen.places.push_back(i);
    }
    if (!chosen.places.empty()) all.push_back(std::move(chosen));
  }
  if (all.empty()) {
    throw UsageError(
        fmt::format("--filter: no benchmark is named '{}'; --list shows which there are", options.filter));
  }
  return all;
}

Sizes sizes_for(const BenchOptions& options) {
  if (options.quick && options.large) throw UsageError("--quick and --large exclude each other");
  Sizes sizes;
  if (options.quick) {
    sizes = {.rounds = 2,
             .calls = 5'000,
             .burst_calls = 20'000,
             .commit_events = 200'000,
             .postgres_events = 10'000,
             .lookup_events = 20'000,
             .analysis_events = 100'000,
             .sustained_seconds = 1,
             .stack_calls = 2'000,
             .stack_frames = 2'000};
  } else if (options.large) {
    sizes.lookup_events = 10'000'000;
    sizes.analysis_events = 10'000'000;
    sizes.sustained_seconds = 60;
    sizes.stack_frames = 500'000;
  }
  if (options.rounds != 0) sizes.rounds = options.rounds;
  return sizes;
}

/// Samples of what was chosen of a group. What goes wrong is in their notes.
std::vector<Samples> measure(const Chosen& chosen, Runner& runner, bool& failed) {
  std::vector<Samples> samples;
  std::string problem = chosen.group->missing(runner);
  if (problem.empty()) {
    try {
      const std::vector<Samples> all = chosen.group->run(runner);
      for (const std::size_t place : chosen.places) samples.push_back(all.at(place));
      return samples;
    } catch (const Interrupted&) {
      throw;
    } catch (const std::exception& error) {
      problem = fmt::format("failed: {}", error.what());
      failed = true;
    }
  } else {
    problem = fmt::format("skipped: {}", problem);
  }
  samples.assign(chosen.places.size(), Samples{.note = problem});
  return samples;
}

int run_list(Session& session, const std::vector<Chosen>& chosen) {
  BenchmarkList list(session.out, session.options);
  for (const Chosen& group : chosen) {
    for (const std::size_t place : group.places) list.add(group.group->benchmarks[place]);
  }
  list.finish();
  return kSuccess;
}

int run_bench(Session& session, const BenchOptions& options) {
  if (const char* const request = secure_getenv(kPassVariable)) {
    session.out.write_raw(answer_of_pass(request));
    return kSuccess;
  }
  const std::vector<Chosen> chosen = choose(options);
  if (options.list) return run_list(session, chosen);
  const Sizes sizes = sizes_for(options);
  const Interruptible interruptible;
  Runner runner(sizes, options.folder, load_config(session.options).plugin_path, options.postgres);
  Report report(session.out, session.options, sizes.rounds);
  bool failed = false;
  bool missed = false;
  try {
    for (const Chosen& group : chosen) {
      const std::vector<Samples> samples = measure(group, runner, failed);
      for (std::size_t i = 0; i < samples.size(); ++i) {
        const Benchmark& benchmark = group.group->benchmarks[group.places[i]];
        missed = missed || is_met(benchmark.goal, samples[i]) == false;
        report.add(benchmark, samples[i]);
      }
    }
  } catch (const Interrupted& interrupted) {
    report.finish();  // minutes went into what was measured before
    complain(interrupted.what());
    return kFailed;
  }
  report.finish();
  return failed || (options.check && missed) ? kFailed : kSuccess;
}

}  // namespace

void add_bench_command(CLI::App& app, Session& session) {
  const auto options = std::make_shared<BenchOptions>();
  CLI::App* const command =
      add_command(app, "bench", "Measure how fast this machine records and stores events, beside others",
                  {"codewake bench", "codewake bench --list", "codewake bench --filter 'log.*' --rounds 9",
                   "codewake bench --check --format json > bench.json"});
  command->add_option("--filter", options->filter, "Measure only what has this in its name, or matches it")
      ->type_name("TEXT|GLOB");
  command->add_option("--rounds", options->rounds, "How often to measure each side (default: 5)")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1000}));
  command->add_flag("--quick", options->quick, "Measure little: whether it works, not how fast it is");
  command->add_flag("--large", options->large, "Look up among 10 million events, and record for a minute");
  command->add_flag("--list", options->list, "Show what can be measured, and measure nothing");
  command->add_flag("--check", options->check, "Fail where a goal is missed");
  command
      ->add_option("--folder", options->folder,
                   "Make the databases in this folder (default: where temporary files go)")
      ->type_name("DIR");
  command
      ->add_option("--postgres", options->postgres,
                   "Measure PostgreSQL, too, in schemas of its own in this database")
      ->type_name("URL");
  add_output_options(command, session);
  on_run(command, session, options, run_bench);
}

}  // namespace codewake::cli
