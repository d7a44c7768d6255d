// The benchmarks, and how their passes alternate.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "bench/benchmark.hpp"
#include "bench/comparison.hpp"
#include "bench/machine.hpp"
#include "bench/passes.hpp"
#include "bench/runner.hpp"
#include "codewake/throw_hook.hpp"

namespace codewake::cli::bench {
namespace {

constexpr const char* kQuill = "quill";
constexpr const char* kSpdlog = "spdlog async";
constexpr const char* kSqlite = "sqlite3 prepared";
constexpr double kSustainedRate = 200'000;

// ── the groups ──

Json calls_request(const Runner& runner, const char* pass) {
  return {{"pass", pass}, {"calls", runner.sizes().calls}};
}

std::vector<Samples> run_log(Runner& runner, const char* peer_pass, std::size_t together) {
  const auto request = [&](const char* pass) {
    Json calls = calls_request(runner, pass);
    calls["together"] = together;
    return calls;
  };
  const Answers answers =
      alternate(runner, "log", {.request = request("log_calls")}, {.request = request(peer_pass)});
  return {samples_of(answers, "median"), samples_of(answers, "p99"), samples_of(answers, "p999")};
}

Group log_group() {
  using enum Goal::Kind;
  constexpr std::size_t kTogether = 16;
  return {.benchmarks = {{"log.median", "log() with three values, median", "ns", kQuill, {ratio_at_most, 1}},
                         {"log.p99", "log(), 99th percentile", "ns", kQuill, {ratio_at_most, 1}},
                         {"log.p999", "log(), 99.9th percentile", "ns", kQuill, {ratio_at_most, 1.5}}},
          .missing = no_quill,
          .run = [](Runner& runner) { return run_log(runner, "quill_calls", kTogether); }};
}

Group log_spdlog_group() {
  using enum Goal::Kind;
  return {
      .benchmarks =
          {{"log.spdlog.median", "one log() with three values, median", "ns", kSpdlog, {ratio_at_most, 0.12}},
           {"log.spdlog.p99", "one log(), 99th percentile", "ns", kSpdlog, {}},
           {"log.spdlog.p999", "one log(), 99.9th percentile", "ns", kSpdlog, {ratio_at_most, 0.1}}},
      .missing = no_spdlog,
      .run = [](Runner& runner) { return run_log(runner, "spdlog_calls", 1); }};
}

Answers run_burst(Runner& runner, const char* peer_pass, std::size_t threads) {
  const auto request = [&](const char* pass) {
    return Json{{"pass", pass}, {"threads", threads}, {"calls", runner.sizes().burst_calls}};
  };
  return alternate(runner, fmt::format("burst, {} thread{}", threads, threads == 1 ? "" : "s"),
                   {.request = request("log_burst")}, {.request = request(peer_pass)});
}

/// Of calls a second, how long each took; of threads together, beside each other.
Samples times_of(Samples rates) {
  constexpr double kNsPerSecond = 1e9;
  for (double& value : rates.ours) value = kNsPerSecond / value;
  for (double& value : rates.peer) value = kNsPerSecond / value;
  return rates;
}

std::string name_of_burst(const char* prefix, std::size_t threads) {
  return fmt::format("{}{}thread{}", prefix, threads, threads == 1 ? "" : "s");
}

Group burst_group(std::size_t threads) {
  Goal goal;
  if (threads > 1) goal = {Goal::Kind::ratio_at_most, 0.5};
  return {.benchmarks = {{name_of_burst("burst.", threads), "time per call of log() in a burst", "ns", kQuill,
                          goal}},
          .missing = no_quill,
          .run = [threads](Runner& runner) {
            return std::vector{times_of(samples_of(run_burst(runner, "quill_burst", threads), "rate"))};
          }};
}

Group burst_spdlog_group(std::size_t threads) {
  return {.benchmarks = {{name_of_burst("burst.spdlog.", threads),
                          "calls of log() in a burst",
                          "calls/s",
                          kSpdlog,
                          {Goal::Kind::ratio_at_least, 8}}},
          .missing = no_spdlog,
          .run = [threads](Runner& runner) {
            return std::vector{samples_of(run_burst(runner, "spdlog_burst", threads), "rate")};
          }};
}

std::vector<Samples> run_shared(Runner& runner) {
  const Json request = calls_request(runner, "log_calls");
  return {samples_of(alternate(runner, "ring in shared memory", {.request = request},
                               {.request = request, .variables = {{"CODE_WAKE_QUEUE_JOURNAL", "memory"}}}),
                     "median")};
}

Group shared_group() {
  return {.benchmarks = {{"ring.shared_vs_private",
                          "one log(), the ring in shared or private memory, median",
                          "ns",
                          "private memory",
                          {Goal::Kind::ratio_at_most, 1.15}}},
          .missing = no_adapter,
          .run = run_shared};
}

std::vector<Samples> run_busy(Runner& runner) {
  const Json busy = calls_request(runner, "log_calls");
  // A long interval is not enough: the committer is woken by whoever fills a batch, too.
  Json idle = busy;
  idle["holds_database"] = true;
  const Answers answers =
      alternate(runner, "ring with a busy committer", {.request = busy}, {.request = idle});
  Samples samples = samples_of(answers, "p99");
  for (const double stored : values_of(answers.ours, "stored_meanwhile")) {
    if (stored >= 0.9 * static_cast<double>(runner.sizes().calls)) continue;
    samples.note = "the busy committer did not keep up";
    samples.counts_as_met = false;
  }
  for (const double stored : values_of(answers.peer, "stored_meanwhile")) {
    if (stored == 0) continue;
    samples.note = "the idle committer was not idle";
    samples.counts_as_met = false;
  }
  return {samples};
}

Group busy_group() {
  return {.benchmarks = {{"ring.p99_busy_vs_idle",
                          "one log() while events are committed, 99th percentile",
                          "ns",
                          "idle committer",
                          {Goal::Kind::ratio_at_most, 1.3}}},
          .missing = no_sqlite,
          .run = run_busy};
}

std::vector<Samples> run_commit(Runner& runner, std::size_t batch) {
  Samples samples;
  const std::size_t rounds = runner.sizes().rounds;
  for (std::size_t round = 0; round < rounds; ++round) {
    runner.say(fmt::format("commits of {}, round {} of {}", batch, round + 1, rounds));
    const Json answer =
        runner.run({{"pass", "sqlite_commit"}, {"events", runner.sizes().commit_events}, {"batch", batch}});
    samples.ours.push_back(answer.at("ours"));
    samples.peer.push_back(answer.at("peer"));
  }
  return {samples};
}

Group commit_group(std::size_t batch) {
  return {.benchmarks = {{fmt::format("sqlite.commit.{}", batch),
                          fmt::format("events committed in batches of {}, checkpoint included", batch),
                          "events/s",
                          kSqlite,
                          {Goal::Kind::ratio_at_least, 2}}},
          .missing = no_sqlite,
          .run = [batch](Runner& runner) { return run_commit(runner, batch); }};
}

std::vector<Samples> run_trace(Runner& runner) {
  const Answers answers = alternate(runner, "tracing", {.request = calls_request(runner, "trace_calls")},
                                    {.request = calls_request(runner, "spdlog_trace_calls")});
  return {samples_of(answers, "median")};
}

Group trace_group() {
  return {.benchmarks = {{"trace.state_change",
                          "one track_state_change with place, clock of three and lock, median",
                          "ns",
                          kSpdlog,
                          {Goal::Kind::ratio_at_most, 0.3}}},
          .missing = no_spdlog,
          .run = run_trace};
}

std::vector<Samples> run_trace_costs(Runner& runner) {
  Samples outside, headers;
  const std::size_t rounds = runner.sizes().rounds;
  for (std::size_t round = 0; round < rounds; ++round) {
    runner.say(fmt::format("tracing by itself, round {} of {}", round + 1, rounds));
    const Json answer = runner.run(calls_request(runner, "trace_costs"));
    outside.ours.push_back(answer.at("outside_ns"));
    headers.ours.push_back(answer.at("headers_ns"));
  }
  return {outside, headers};
}

Group trace_costs_group() {
  using enum Goal::Kind;
  return {.benchmarks =
              {{"trace.outside", "one track_state_change outside of traces", "ns", "", {value_at_most, 5}},
               {"trace.headers",
                "the headers of a call made and read again, clock of eight",
                "ns",
                "",
                {value_at_most, 2000}}},
          .missing = no_adapter,
          .run = run_trace_costs};
}

std::vector<Samples> run_trace_commit(Runner& runner) {
  Samples samples;
  const std::size_t rounds = runner.sizes().rounds;
  for (std::size_t round = 0; round < rounds; ++round) {
    runner.say(fmt::format("commits of trace events, round {} of {}", round + 1, rounds));
    const Json answer = runner.run(
        {{"pass", "sqlite_trace_commit"}, {"events", runner.sizes().commit_events}, {"batch", 1000}});
    samples.ours.push_back(answer.at("ours"));
  }
  return {samples};
}

Group trace_commit_group() {
  return {.benchmarks = {{"sqlite.trace_commit",
                          "trace events committed in batches of 1000",
                          "events/s",
                          "",
                          {Goal::Kind::value_at_least, 150'000}}},
          .missing = no_sqlite,
          .run = run_trace_commit};
}

std::vector<Samples> run_raceway(Runner& runner) {
  const std::size_t events = runner.sizes().commit_events;
  Samples written;
  Answers queued;
  for (std::size_t round = 0; round < runner.sizes().rounds; ++round) {
    runner.say(fmt::format("events for a Raceway server, round {} of {}", round + 1, runner.sizes().rounds));
    const Json answer = runner.run({{"pass", "raceway_write"}, {"events", events}, {"batch", 1000}});
    written.ours.push_back(answer.at("rate"));
    queued.ours.push_back(runner.run({{"pass", "raceway_queue"}, {"events", events}}));
  }
  return {written, samples_of(queued, "rate")};
}

Group raceway_group() {
  using enum Goal::Kind;
  return {.benchmarks = {{"raceway.sink.write",
                          "trace events sent to a server on loopback in batches of 1000",
                          "events/s",
                          "",
                          {value_at_least, 100'000}},
                         {"raceway.sink.queue",
                          "trace events in a burst, through the queue, until the server has them all",
                          "events/s",
                          "",
                          {value_at_least, 100'000}}},
          .missing = no_raceway,
          .run = run_raceway};
}

struct PostgresSides {
  const char* name;
  const char* what;
  const char* peer;
  std::size_t batch;
  std::size_t peer_batch;
  bool by_copy;
  double goal;
};

std::vector<Samples> run_postgres(Runner& runner, const PostgresSides& sides) {
  Samples samples;
  const std::size_t rounds = runner.sizes().rounds;
  const std::size_t all = runner.sizes().postgres_events;
  const std::size_t events = sides.by_copy ? all : all / 4;  // rows one by one take long
  for (std::size_t round = 0; round < rounds; ++round) {
    runner.say(fmt::format("{}, round {} of {}", sides.name, round + 1, rounds));
    const Json answer = runner.run({{"pass", "postgres_commit"},
                                    {"events", events},
                                    {"batch", sides.batch},
                                    {"peer_batch", sides.peer_batch},
                                    {"by_copy", sides.by_copy},
                                    {"postgres", runner.postgres()}});
    samples.ours.push_back(answer.at("ours"));
    samples.peer.push_back(answer.at("peer"));
  }
  return {samples};
}

Group postgres_group(const PostgresSides& sides) {
  return {.benchmarks =
              {{sides.name, sides.what, "events/s", sides.peer, {Goal::Kind::ratio_at_least, sides.goal}}},
          .missing = no_postgres,
          .run = [sides](Runner& runner) { return run_postgres(runner, sides); }};
}

struct AnyQuery {
  const char* name;  ///< as the pass has it
  const char* what;
};

constexpr std::array<AnyQuery, 7> kQueries = {
    {{"lookup", "get_events_by_data of a pair that five events have"},
     {"page", "a page of 100 events, newest first"},
     {"page_pair", "a page of the events that have such a pair"},
     {"page_app", "a page of an app that a hundred events are of"},
     {"page_env", "a page of an environment that a hundred events are of"},
     {"exceptions", "get_exceptions, where one event in a hundred is one"},
     {"exceptions_app", "get_exceptions of an app that has fifty"}}};

double bound_of(const std::string& database, const std::string& query) {
  if (query.starts_with("exceptions")) return 500;
  return database == "sqlite" && query == "lookup" ? 20 : 50;
}

std::vector<Samples> run_queries(Runner& runner, const std::string& database) {
  const std::size_t events = runner.sizes().lookup_events;
  runner.say(fmt::format("a database of {} events", events));
  const Json answer = runner.run({{"pass", database + "_queries"},
                                  {"events", events},
                                  {"rounds", runner.sizes().rounds},
                                  {"postgres", runner.postgres()}});
  std::vector<Samples> all;
  for (const AnyQuery& query : kQueries) {
    all.push_back({.ours = answer.at(query.name).get<std::vector<double>>(),
                   .note = fmt::format("among {} events", events)});
  }
  return all;
}

Group queries_group(const std::string& database, std::string (*missing)(const Runner&)) {
  Group group{.benchmarks = {}, .missing = missing, .run = [database](Runner& runner) {
                return run_queries(runner, database);
              }};
  for (const AnyQuery& query : kQueries) {
    group.benchmarks.push_back({database + "." + query.name,
                                query.what,
                                "ms",
                                "",
                                {Goal::Kind::value_at_most, bound_of(database, query.name)}});
  }
  return group;
}

std::vector<Samples> run_sustained(Runner& runner) {
  const std::size_t seconds = runner.sizes().sustained_seconds;
  runner.say(fmt::format("{} events a second for {} s", kSustainedRate, seconds));
  const Json answer =
      runner.run({{"pass", "log_sustained"}, {"seconds", seconds}, {"threads", 2}, {"rate", kSustainedRate}});
  const double rate = answer.at("rate");
  const std::string note = fmt::format("{:.0f} events a second for {} s", rate, seconds);
  const bool was_slow = rate < 0.95 * kSustainedRate;
  return {{.ours = {answer.at("lost")}, .note = note, .counts_as_met = !was_slow},
          {.ours = {answer.at("memory_mib")}, .note = note, .counts_as_met = !was_slow}};
}

Group sustained_group() {
  using enum Goal::Kind;
  return {.benchmarks = {{"sustained.lost",
                          "events lost of 200,000 a second from two threads",
                          "events",
                          "",
                          {value_at_most, 0}},
                         {"sustained.memory_mib",
                          "the same: resident memory above an idle process",
                          "MiB",
                          "",
                          {value_at_most, 64}}},
          .missing = no_sqlite,
          .run = run_sustained};
}

std::vector<Samples> run_analysis(Runner& runner) {
  const std::size_t events = runner.sizes().analysis_events;
  const auto analyse = [&](std::size_t count) {
    runner.say(fmt::format("races among {} trace events", count));
    return runner.run({{"pass", "race_analysis"}, {"events", count}});
  };
  const Json tenth = analyse(events / 10), all = analyse(events);
  const std::string note = fmt::format("{} trace events", events);
  return {{.ours = {all.at("seconds")}, .note = note},
          {.ours = {all.at("memory_mib")}, .note = note},
          {.ours = {all.at("seconds").get<double>() / tenth.at("seconds").get<double>()},
           .note = fmt::format("{} trace events beside {}", events, events / 10)},
          {.ours = {all.at("trace_ms")},
           .note = fmt::format("a trace of {} events", all.at("trace_events").get<std::size_t>())}};
}

Group analysis_group() {
  using enum Goal::Kind;
  return {.benchmarks =
              {{"races.seconds", "races found in a database, reading included", "s", "", {value_at_most, 60}},
               {"races.memory_mib", "the most memory of it", "MiB", "", {value_at_most, 2048}},
               {"races.growth", "time beside that for a tenth of the events", "x", "", {value_at_most, 12}},
               {"races.trace", "races found in one trace", "ms", "", {value_at_most, 200}}},
          .missing = no_adapter,
          .run = run_analysis};
}

std::vector<Json> repeat(Runner& runner, const char* name, const Json& request) {
  std::vector<Json> answers;
  const std::size_t rounds = runner.sizes().rounds;
  for (std::size_t round = 0; round < rounds; ++round) {
    runner.say(fmt::format("{}, round {} of {}", name, round + 1, rounds));
    answers.push_back(runner.run(request));
  }
  return answers;
}

Group capture_group() {
  const double goal = walks_stacks() ? 0.15 : 1.1;
  return {
      .benchmarks = {{"capture",
                      "a stack of 20 frames captured, median",
                      "ns",
                      "backtrace()",
                      {Goal::Kind::ratio_at_most, goal}}},
      .missing = nothing,
      .run = [](Runner& runner) {
        const std::vector<Json> answers =
            repeat(runner, "capture", {{"pass", "capture_stack"}, {"calls", runner.sizes().stack_calls}});
        return std::vector<Samples>{{.ours = values_of(answers, "ours"), .peer = values_of(answers, "peer")}};
      }};
}

std::vector<Samples> run_throws(Runner& runner, const char* name, bool recorded) {
  Side ours{.request = {{"pass", "throw_exceptions"},
                        {"calls", runner.sizes().stack_calls},
                        {"hooked", true},
                        {"recorded", recorded}}};
  Side peer{.request = ours.request, .variables = {{"LD_PRELOAD", path_of_runtime()}}};
  peer.request["hooked"] = false;
  const Answers answers = alternate(runner, name, ours, peer);
  return {{.ours = values_of(answers.ours, "median"), .peer = values_of(answers.peer, "median")}};
}

Group throw_group(const char* name, const char* what, bool recorded, double goal) {
  return {.benchmarks = {{name, what, "ns", "libstdc++ alone", {Goal::Kind::ratio_at_most, goal}}},
          .missing = no_hook,
          .run = [name, recorded](Runner& runner) { return run_throws(runner, name, recorded); }};
}

std::vector<Samples> run_symbolize(Runner& runner) {
  constexpr std::size_t kFrames = 1000;
  constexpr double kMostHaveLines = 0.8;
  const std::vector<Json> answers =
      repeat(runner, "symbolize", {{"pass", "symbolize_frames"}, {"frames", kFrames}});
  Samples cold{.ours = values_of(answers, "cold_ms")};
  Samples known{.ours = values_of(answers, "known_ns")};
  if (values_of(answers, "with_line").front() < kMostHaveLines) {
    cold.note = known.note = "this build has no debug information to be read; build with -Ddebug=true";
    cold.counts_as_met = known.counts_as_met = false;
  }
  return {cold, known};
}

Group symbolize_group() {
  using enum Goal::Kind;
  return {.benchmarks = {{"symbolize.cold",
                          "1,000 different frames of this program resolved, the first time",
                          "ms",
                          "",
                          {value_at_most, 2000}},
                         {"symbolize.known", "one of them, again", "ns", "", {value_at_most, 1000}}},
          .missing = nothing,
          .run = run_symbolize};
}

std::vector<Samples> run_symbolize_memory(Runner& runner) {
  const std::size_t frames = runner.sizes().stack_frames;
  runner.say(fmt::format("{} frames", frames));
  const Json answer = runner.run({{"pass", "symbolize_memory"}, {"frames", frames}});
  return {{.ours = {answer.at("memory_mib")}, .note = fmt::format("{} different frames", frames)}};
}

Group symbolize_memory_group() {
  return {.benchmarks = {{"symbolize.memory",
                          "resident memory above an idle process while frames are resolved",
                          "MiB",
                          "",
                          {Goal::Kind::value_at_most, 64}}},
          .missing = nothing,
          .run = run_symbolize_memory};
}

}  // namespace

const std::vector<Group>& all_groups() {
  static const std::vector<Group> groups = {
      log_group(),
      burst_group(1),
      burst_group(2),
      log_spdlog_group(),
      burst_spdlog_group(1),
      burst_spdlog_group(2),
      shared_group(),
      busy_group(),
      commit_group(1000),
      commit_group(10000),
      trace_group(),
      trace_costs_group(),
      trace_commit_group(),
      raceway_group(),
      queries_group("sqlite", no_adapter),
      sustained_group(),
      analysis_group(),
      capture_group(),
      throw_group("throw.recorded", "an exception thrown and caught, its stack recorded, median", true, 1.25),
      throw_group("throw.off", "an exception thrown and caught, nothing recorded, median", false, 1.05),
      symbolize_group(),
      symbolize_memory_group(),
      postgres_group({"postgres.commit.10000", "events committed in batches of 10000", "libpq COPY", 10'000,
                      10'000, true, 0.9}),
      postgres_group({"postgres.commit_vs_rows", "the same, beside prepared statements", "libpq prepared",
                      10'000, 10'000, false, 15}),
      postgres_group({"postgres.commit.50", "events committed in batches of 50, beside ones of 10000",
                      "libpq COPY", 50, 10'000, true, 0.5}),
      queries_group("postgres", no_postgres),
  };
  return groups;
}

}  // namespace codewake::cli::bench
