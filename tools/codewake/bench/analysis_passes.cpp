// How long it takes to find the races in a store, and how much memory.
#include <fmt/format.h>
#include <malloc.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <fstream>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "bench/batches.hpp"
#include "bench/calls.hpp"
#include "bench/passes.hpp"
#include "codewake/analysis.hpp"
#include "codewake/errors.hpp"
#include "codewake/trace_event.hpp"
#include "codewake/vector_clock.hpp"

namespace codewake::cli::bench {
namespace {

/// Requests to a shop, and those that the shop then sends to its stock: 64 at a time, of 500 events each, but
/// for the first, which has 10,000. Each takes one of a hundred locks after the other, and reads and writes
/// the variables that it guards; of a thousand variables, ten are also written without a lock.
class Requests {
 public:
  static constexpr std::size_t kSlots = 64, kUsual = 500, kLong = 10'000, kVariables = 1'000, kLocks = 100;

  Requests() {
    for (std::size_t i = 0; i < kVariables; ++i)
      variables_.push_back(fmt::format("order_service.item[{}]", i));
    for (std::size_t i = 0; i < kLocks; ++i) {
      locks_[i].name = fmt::format("lock of shelf {}", i);
      locks_[i].held = fmt::format(R"(["{}"])", locks_[i].name);
    }
  }

  /// Borrowed until the next call.
  std::span<const BatchTraceEvent> generate(std::size_t count) {
    events_.resize(count);
    texts_.resize(count);
    for (std::size_t i = 0; i < count; ++i) fill(events_[i], texts_[i]);
    return events_;
  }

  const TraceId& long_trace() const noexcept { return long_trace_; }

 private:
  enum class Next { take, read, write, let_go };
  struct Slot {
    std::string_view execution;
    std::string head;  ///< the clock's, up to the own steps
    std::string told;  ///< of the clock, what the sender knew
    TraceId trace;
    SpanId span, upstream;
    TraceEventId last;
    std::size_t left = 0;
    std::uint64_t step = 0;
    Next next = Next::take;
    std::size_t lock = 0, variable = 0, accesses = 0;
  };
  struct Lock {
    std::string name, held, let_go_by;
    bool is_held = false;
  };

  void begin(std::size_t number) {
    Slot& slot = slots_[number];
    const bool is_called = number % 2 == 1;
    const Slot& caller = slots_[number - (is_called ? 1 : 0)];
    const SpanId upstream = caller.span;
    const TraceId trace = is_called ? caller.trace : TraceId::make();
    const std::string told =
        is_called ? fmt::format(R"(["{}",{}],)", caller.execution, caller.step) : std::string();
    slot = {};
    slot.trace = trace;
    slot.span = SpanId::make();
    if (is_called) slot.upstream = upstream;
    slot.execution = executions_.emplace_back(
        fmt::format("{}#{}#{}", is_called ? "stock" : "shop", is_called ? 2 : 1, to_hex(slot.span)));
    slot.told = told;
    slot.left = long_trace_.empty() ? kLong : kUsual;
    if (long_trace_.empty()) long_trace_ = trace;
    name_clock(slot, "");
  }

  static void name_clock(Slot& slot, const std::string& learned) {
    slot.head = fmt::format(R"([{}{}["{}",)", slot.told, learned, slot.execution);
  }

  void fill(BatchTraceEvent& event, std::string& clock) {
    const std::size_t number = turn_++ % kSlots;
    Slot& slot = slots_[number];
    if (slot.left == 0) begin(number);
    --slot.left;
    event = {};
    event.process = 0;
    event.id.bytes = TraceId::make().bytes;  // as random
    event.parent_id = std::exchange(slot.last, event.id);
    event.trace_id = slot.trace;
    event.span_id = slot.span;
    event.upstream_span_id = slot.upstream;
    event.step = ++slot.step;
    event.when = when_ += std::chrono::microseconds(5);
    event.texts = {.service = number % 2 == 1 ? "stock" : "shop",
                   .instance = number % 2 == 1 ? "2" : "1",
                   .environment = "bench",
                   .execution = slot.execution,
                   .thread = "worker",
                   .file = "src/order_service/shelf.cpp",
                   .data = "{}",
                   .locks = "[]"};
    act(slot, event);
    clock = fmt::format("{}{}]]", slot.head, slot.step);
    event.texts.clock = clock;
  }

  void act(Slot& slot, BatchTraceEvent& event) {
    Lock& lock = locks_[slot.lock];
    switch (slot.next) {
      case Next::take: {
        slot.lock = random_() % kLocks;
        Lock& wanted = locks_[slot.lock];
        event.kind = TraceKind::function_call;
        event.texts.name = "reserve";
        event.line = 10;
        if (random_() % 50 == 0) return access(event, random_() % 10, Access::write, 30);  // without a lock
        // Who is about to end lets go of what it has.
        if (wanted.is_held || slot.left < 6) return;
        event.kind = TraceKind::lock_acquire;
        event.texts.name = wanted.name;
        event.texts.data = R"({"lock_type":"Mutex"})";
        event.texts.locks = wanted.held;
        wanted.is_held = true;
        name_clock(slot, wanted.let_go_by);
        slot.next = Next::read;
        slot.accesses = 0;
        return;
      }
      case Next::read:
        slot.variable = slot.lock + kLocks * (random_() % (kVariables / kLocks));
        event.texts.locks = lock.held;
        slot.next = Next::write;
        return access(event, slot.variable, Access::read, 20);
      case Next::write:
        event.texts.locks = lock.held;
        slot.next = ++slot.accesses == 2 ? Next::let_go : Next::read;
        return access(event, slot.variable, Access::write, 22);
      case Next::let_go:
        event.kind = TraceKind::lock_release;
        event.texts.name = lock.name;
        event.texts.data = R"({"lock_type":"Mutex"})";
        event.texts.locks = lock.held;
        lock.is_held = false;
        lock.let_go_by = fmt::format(R"(["{}",{}],)", slot.execution, slot.step);
        slot.next = Next::take;
        return;
    }
  }

  void access(BatchTraceEvent& event, std::size_t variable, Access access, std::uint32_t line) {
    event.kind = TraceKind::state_change;
    event.access = access;
    event.texts.name = variables_[variable];
    event.texts.data = R"({"old_value":41,"new_value":42})";
    event.line = line;
  }

  std::mt19937_64 random_{7};
  std::array<Slot, kSlots> slots_;
  std::array<Lock, kLocks> locks_;
  std::vector<std::string> variables_, texts_;
  std::deque<std::string> executions_;  // names, which events borrow
  std::vector<BatchTraceEvent> events_;
  std::size_t turn_ = 0;
  TraceId long_trace_;
  Time when_ = now();
};

/// The most memory that the process had, from the last call of `forget_most_memory` on.
double most_memory_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
  }
  throw Error("the system does not say how much memory there was");
}

void forget_most_memory() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << 5;
}

}  // namespace

Json race_analysis(const Json& request) {
  const auto count = request.at("events").get<std::size_t>();
  constexpr std::size_t kBatch = 10'000;
  const auto file = std::filesystem::path(request.at("folder").get<std::string>()) / "races.sqlite";
  Ours ours("code_wake_sqlite_store", "SqliteStore", "sqlite:///" + file.string(), request);
  TraceId long_trace;
  {
    Requests requests;
    const BatchProcess process{.id = ours.process()};
    for (std::size_t done = 0; done < count; done += kBatch) {
      const auto events = requests.generate(std::min(kBatch, count - done));
      ours.store().write({.processes = std::span(&process, 1), .trace_events = events});
    }
    long_trace = requests.long_trace();
  }
  forget_most_memory();
  analysis::RaceReport report;
  const double seconds = seconds_of([&] { report = analysis::find_races(ours.store()); });
  const double memory = most_memory_mib();
  if (report.events != count || report.findings.empty()) throw Error("events or races are missing");
  const double of_trace =
      seconds_of([&] { report = analysis::find_races(ours.store(), {.trace_id = long_trace}); });
  if (report.traces != 1) throw Error("the trace is missing");
  return {{"seconds", seconds},
          {"memory_mib", memory},
          {"trace_ms", of_trace * 1000},
          {"trace_events", report.events}};
}

}  // namespace codewake::cli::bench
