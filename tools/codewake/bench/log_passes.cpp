// log() itself, through the real Process with the store that the environment configures.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bench/calls.hpp"
#include "bench/machine.hpp"
#include "bench/passes.hpp"
#include "bench/sqlite_peer.hpp"
#include "codewake/errors.hpp"
#include "codewake/process.hpp"

namespace codewake::cli::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto kDrainTimeout = 10min;

Process& set_up() {
  return Process::instance({.app_name = "codewake bench", .app_vsn = "1", .env_name = "bench"});
}

auto logger(Process& process) {
  return [&process](const Texts::Values& values) {
    process.log({{"reqtype", values.reqtype}, {"username", values.username}, {"target", values.target}});
  };
}

/// Stores everything, so that nothing is left of the journal; how many events are not in the store then.
std::uint64_t drain(Process& process) {
  if (!process.shutdown(kDrainTimeout)) {
    throw Error(fmt::format("not everything could be stored within {} minutes: {}", kDrainTimeout.count(),
                            process.store()->stats().problem));
  }
  const ProcessStats stats = process.stats();
  return stats.logged - stats.stored;
}

/// Logs at a steady rate, for so long. Sleeps in between: a thread that waits busily would take the
/// committer's processor.
template <class Log>
std::uint64_t log_steadily(const Texts& texts, double rate, std::chrono::seconds duration, Log log) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kTurn = 1ms;
  const auto turns = static_cast<std::uint64_t>(duration / kTurn);
  const auto per_turn = static_cast<std::uint64_t>(rate * std::chrono::duration<double>(kTurn).count());
  const auto begin = Clock::now();
  std::uint64_t calls = 0;
  for (std::uint64_t turn = 0; turn < turns; ++turn) {
    for (std::uint64_t i = 0; i < per_turn; ++i) log(texts[calls++]);
    std::this_thread::sleep_until(begin + (turn + 1) * kTurn);
  }
  return calls;
}

}  // namespace

Json log_calls(const Json& request) {
  const Texts texts;
  Process& process = set_up();
  process.flush(kDrainTimeout);  // the committer's first rounds: when they come is not to be measured
  std::this_thread::sleep_for(100ms);
  std::optional<WriteLock> lock;
  if (request.value("holds_database", false)) lock.emplace(request.at("database").get<std::string>());
  const std::uint64_t stored_before = process.stats().stored;
  const CallTimes times =
      time_calls(texts, request.at("calls"), request.value("together", 1), logger(process));
  const std::uint64_t stored_meanwhile = process.stats().stored - stored_before;
  lock.reset();
  Json answer = to_json(times);
  answer["stored_meanwhile"] = stored_meanwhile;
  answer["lost"] = drain(process);
  return answer;
}

Json log_burst(const Json& request) {
  const Texts texts;
  Process& process = set_up();
  const double rate = burst(texts, request.at("threads"), request.at("calls"), logger(process));
  return {{"rate", rate}, {"lost", drain(process)}};
}

Json log_sustained(const Json& request) {
  const Texts texts;
  const std::chrono::seconds duration(request.at("seconds").get<std::uint64_t>());
  const auto threads = request.at("threads").get<std::size_t>();
  const double rate = request.at("rate").get<double>() / static_cast<double>(threads);
  Process& process = set_up();
  std::this_thread::sleep_for(300ms);  // until its threads have nothing to do: an idle process
  const double idle_mib = resident_mib();

  std::atomic<std::uint64_t> calls{0};
  std::atomic<std::size_t> at_work{threads};
  std::vector<std::thread> running;
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < threads; ++i) {
    running.emplace_back([&] {
      calls += log_steadily(texts, rate, duration, logger(process));
      --at_work;
    });
  }
  double most_mib = idle_mib;
  while (at_work != 0) {
    most_mib = std::max(most_mib, resident_mib());
    std::this_thread::sleep_for(10ms);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  for (std::thread& thread : running) thread.join();
  most_mib = std::max(most_mib, resident_mib());
  drain(process);
  const std::uint64_t stored = count_events(request.at("database").get<std::string>());
  return {{"lost", static_cast<double>(calls) - static_cast<double>(stored)},
          {"memory_mib", most_mib - idle_mib},
          {"rate", static_cast<double>(calls) / took.count()}};
}

}  // namespace codewake::cli::bench
