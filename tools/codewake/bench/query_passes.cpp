// How fast the stores answer, among many events.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/batches.hpp"
#include "bench/passes.hpp"
#include "bench/postgres_peer.hpp"
#include "codewake/errors.hpp"
#include "codewake/frame.hpp"
#include "codewake/stacktrace.hpp"
#include "codewake/store.hpp"

namespace codewake::cli::bench {
namespace {

constexpr std::size_t kBatch = 10'000;
constexpr std::size_t kPairs = 20;
constexpr std::size_t kMatches = 5;       ///< of each of these pairs
constexpr std::size_t kRareEvents = 100;  ///< of the rare app
constexpr std::size_t kRareProcesses = 10;
constexpr std::size_t kExceptionEvery = 100;  ///< one event in so many has a stack trace
constexpr std::size_t kTraces = 3'000;
constexpr std::size_t kPage = 100;

std::string sought(std::size_t pair) {
  return "Sought" + std::to_string(pair);
}

/// Different stack traces, as deep as real ones.
std::vector<Stacktrace> make_traces() {
  constexpr std::uint32_t kFrames = 20;
  std::vector<Stacktrace> traces;
  for (std::uint32_t trace = 0; trace < kTraces; ++trace) {
    std::vector<Frame> frames;
    for (std::uint32_t i = 0; i < kFrames; ++i) {
      frames.push_back({.filename = "/src/shop/orders.cpp",
                        .lineno = 1 + i + (i == 0 ? trace : 0),
                        .src = "create_order(customer, basket);",
                        .function = "shop::create_order(shop::Customer const&, shop::Basket const&)",
                        .module = "/usr/bin/shop",
                        .offset = trace + i});
    }
    traces.emplace_back(std::move(frames));
  }
  return traces;
}

/// Events as programs record them: nearly all of one app, with an exception now and then; a few, spread over
/// the whole, of an app and an environment that are rare, every other of them an exception; and pairs that
/// few events have.
class Mixture {
 public:
  explicit Mixture(std::size_t count) : count_(count), traces_(make_traces()) {
    for (std::size_t pair = 0; pair < kPairs; ++pair) sought_[pair] = sought(pair);
  }

  void write_into(Store& store) {
    const ProcessInfo common{.app_name = "common", .app_vsn = "1", .env_name = "common"};
    const ProcessInfo rare{.app_name = "rare", .app_vsn = "1", .env_name = "rare"};
    std::vector<BatchProcess> processes(1 + kRareProcesses, {.info = &rare});
    processes.front().info = &common;
    const std::vector<Id> ids = store.write({.processes = processes}).process_ids;
    for (std::size_t i = 0; i < processes.size(); ++i) processes[i] = {.id = ids.at(i)};
    Events events(kBatch);
    for (std::size_t done = 0; done < count_; done += kBatch) {
      events.generate(std::min(kBatch, count_ - done));
      batch_.assign(events.all().begin(), events.all().end());
      for (std::size_t i = 0; i < batch_.size(); ++i) shape(done + i, events.data(i), batch_[i]);
      store.write({.processes = processes, .events = batch_});
    }
  }

 private:
  /// Whether `number` is one of so many events that are spread over the whole, and which.
  std::optional<std::size_t> place_among(std::size_t many, std::size_t number) const {
    const std::size_t distance = std::max<std::size_t>(count_ / many, 1);
    if (number % distance != distance / 2 || number / distance >= many) return std::nullopt;
    return number / distance;
  }

  void shape(std::size_t number, std::span<AttributeView> data, BatchEvent& event) {
    if (const auto place = place_among(kPairs * kMatches, number)) {
      data.back().value = sought_[*place % kPairs];
    }
    const auto rare = place_among(kRareEvents, number + 1);
    if (rare) event.process = static_cast<std::uint32_t>(1 + *rare % kRareProcesses);
    if (number % kExceptionEvery != 0 && (!rare || *rare % 2 != 0)) return;
    const std::size_t exception = number / kExceptionEvery;
    event.stacktrace = &traces_[exception % kTraces];
    data[0] = {.key = "exception.type", .value = exception % 7 < 3 ? "std::logic_error" : "std::range_error"};
    data[1] = {.key = "exception.message", .value = "the order has no customer"};
  }

  const std::size_t count_;
  std::vector<Stacktrace> traces_;
  std::vector<BatchEvent> batch_;
  std::array<std::string, kPairs> sought_;
};

void check_found(std::size_t found, std::size_t wanted) {
  if (found == wanted) return;
  throw Error("the store found " + std::to_string(found) + " of " + std::to_string(wanted));
}

/// Asks as often as there are rounds; milliseconds.
class Times {
 public:
  explicit Times(std::size_t rounds) : rounds_(rounds) {}

  template <class Ask>
  void measure(const char* name, std::size_t wanted, Ask ask) {
    Json& times = times_[name];
    for (std::size_t round = 0; round < rounds_; ++round) {
      std::size_t found = 0;
      times.push_back(1000 * seconds_of([&] { found = ask(); }));
      check_found(found, wanted);
    }
  }

  const Json& all() const noexcept { return times_; }

 private:
  std::size_t rounds_;
  Json times_ = Json::object();
};

Json ask(Store& store, std::size_t rounds) {
  Times times(rounds);
  for (std::size_t pair = 0; pair < kPairs; ++pair) {
    const Attribute term(kKeys.back(), sought(pair));
    times.measure("lookup", kMatches, [&] { return store.get_events_by_data({term}).size(); });
    times.measure("page_pair", kMatches, [&] { return store.get_events({.where = {term}}).events.size(); });
  }
  const auto page_of = [&](const EventQuery& query) { return store.get_events(query).events.size(); };
  std::string cursor;
  times.measure("page", kPage, [&] {
    EventPage page = store.get_events({.limit = kPage, .cursor = cursor});
    cursor = page.next;
    return page.events.size();
  });
  times.measure("page_app", kPage / 2, [&] { return page_of({.app_name = "rare", .limit = kPage / 2}); });
  times.measure("page_env", kPage / 2, [&] { return page_of({.env_name = "rare", .limit = kPage / 2}); });
  times.measure("exceptions", kPage, [&] { return store.get_exceptions({.limit = kPage}).size(); });
  times.measure("exceptions_app", kRareEvents / 2, [&] {
    std::size_t exceptions = 0;
    for (const ExceptionGroup& group : store.get_exceptions({.app_name = "rare"})) exceptions += group.count;
    return exceptions;
  });
  return times.all();
}

}  // namespace

Json sqlite_queries(const Json& request) {
  const auto count = request.at("events").get<std::size_t>();
  const auto file = std::filesystem::path(request.at("folder").get<std::string>()) / "queries.sqlite";
  Ours ours("code_wake_sqlite_store", "SqliteStore", "sqlite:///" + file.string(), request);
  Mixture(count).write_into(ours.store());
  return ask(ours.store(), request.at("rounds"));
}

Json postgres_queries(const Json& request) {
  const auto count = request.at("events").get<std::size_t>();
  const PostgresSchema schema(request.at("postgres").get<std::string>(),
                              "codewake_bench_queries_" + std::to_string(::getpid()));
  Ours ours("code_wake_postgres_store", "PostgresStore", schema.url(), request);
  Mixture(count).write_into(ours.store());
  return ask(ours.store(), request.at("rounds"));
}

}  // namespace codewake::cli::bench
