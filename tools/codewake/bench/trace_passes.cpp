// What tracing costs an execution: an event, a call outside of traces, and headers there and back.
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/calls.hpp"
#include "bench/passes.hpp"
#include "codewake/errors.hpp"
#include "codewake/process.hpp"
#include "codewake/tracing.hpp"

namespace codewake::cli::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kComponents = 8;

Tracer& set_up() {
  return Process::instance({.app_name = "codewake bench"}).tracer();
}

/// An execution that has heard of so many others, one service after the other.
class Chain {
 public:
  Chain(Tracer& tracer, std::size_t others) {
    scopes_.push_back(std::make_unique<Scope>(tracer));
    for (std::size_t i = 0; i < others; ++i) {
      tracer.track_custom("call");
      scopes_.push_back(std::make_unique<Scope>(tracer, tracer.propagation_headers()));
    }
  }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;
  ~Chain() {
    while (!scopes_.empty()) scopes_.pop_back();
  }

 private:
  std::vector<std::unique_ptr<Scope>> scopes_;
};

/// How long one of so many calls takes, in nanoseconds.
template <class Call>
double mean_ns(std::size_t calls, Call call) {
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < calls; ++i) call();
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
  return took.count() / static_cast<double>(calls);
}

}  // namespace

Json trace_calls(const Json& request) {
  const Texts texts;
  Tracer& tracer = set_up();
  Process::instance().flush(10min);
  const Chain chain(tracer, 2);
  tracer.track_lock_acquire("inventory");
  int stock = 0;
  const CallTimes times = time_calls(texts, request.at("calls"), 1, [&](const Texts::Values& values) {
    tracer.track_state_change(values.username, stock, stock + 1);
    ++stock;
  });
  if (!Process::instance().shutdown(10min)) throw Error("not everything could be stored within 10 minutes");
  const ProcessStats stats = Process::instance().stats();
  return {{"median", times.median},
          {"p99", times.p99},
          {"p999", times.p999},
          {"lost", tracer.lost() + stats.lost_full + stats.lost_error}};
}

Json trace_costs(const Json& request) {
  const auto calls = request.at("calls").get<std::size_t>();
  Tracer& tracer = set_up();
  const double outside = mean_ns(calls, [&] { tracer.track_state_change("stock", 5, 4); });
  const Chain chain(tracer, kComponents - 1);
  const double headers =
      mean_ns(calls / 10, [&] { const Scope called(tracer, tracer.propagation_headers()); });
  Process::instance().shutdown(10min);
  return {{"outside_ns", outside}, {"headers_ns", headers}};
}

}  // namespace codewake::cli::bench
