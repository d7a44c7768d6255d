// The SQLite store without a queue: how fast it commits.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "bench/batches.hpp"
#include "bench/passes.hpp"
#include "bench/sqlite_peer.hpp"
#include "codewake/errors.hpp"
#include "codewake/trace_context.hpp"
#include "codewake/trace_event.hpp"

namespace codewake::cli::bench {
namespace {

constexpr const char* kModule = "code_wake_sqlite_store";
constexpr const char* kClass = "SqliteStore";

std::string sqlite_url(const std::string& file) {
  return "sqlite:///" + file;
}

std::string database_in(const Json& request, const char* name) {
  return (std::filesystem::path(request.at("folder").get<std::string>()) / name).string();
}

/// As a service records them: twenty in each trace, half of them accesses to one of a hundred variables.
class TraceEvents {
 public:
  explicit TraceEvents(std::size_t batch) : events_(batch) {
    for (std::size_t i = 0; i < kVariables; ++i) {
      names_.push_back(fmt::format("order_service.cart.items[{:02}].quantity_in_stock_of_the_item", i));
    }
  }

  std::span<const BatchTraceEvent> generate(std::size_t count) {
    for (BatchTraceEvent& event : std::span(events_).first(count)) {
      if (number_ % kOfTrace == 0) {
        trace_ = TraceId::make();
        span_ = SpanId::make();
      }
      const bool is_access = number_ % 2 == 1;
      const TraceEventId before = event.id;
      event = {};
      event.kind = is_access ? TraceKind::state_change : TraceKind::function_call;
      if (is_access) event.access = Access::write;
      event.id.bytes = TraceId::make().bytes;  // as random
      event.parent_id = before;
      event.trace_id = trace_;
      event.span_id = event.upstream_span_id = span_;
      event.step = ++number_;
      event.line = 42;
      event.when = when_ += std::chrono::microseconds(5);
      event.texts = {.service = "inventory",
                     .instance = "inventory-1",
                     .environment = "production",
                     .execution = "inventory#inventory-1#1734",
                     .thread = "worker-3",
                     .name = names_[number_ % kVariables],
                     .file = "src/inventory/cart_service.cpp",
                     .data = R"({"old_value":41,"new_value":42})",
                     .clock = R"([["gateway#gateway-1#522",17],["payment#payment-1#17",7],)"
                              R"(["inventory#inventory-1#1734",42]])",
                     .locks = R"(["cart mutex"])"};
    }
    return std::span(events_).first(count);
  }

 private:
  static constexpr std::size_t kVariables = 100, kOfTrace = 20;

  std::vector<BatchTraceEvent> events_;
  std::vector<std::string> names_;
  std::uint64_t number_ = 0;
  Time when_ = now();
  TraceId trace_;
  SpanId span_;
};

}  // namespace

Json sqlite_trace_commit(const Json& request) {
  const auto count = request.at("events").get<std::size_t>();
  const auto batch = request.at("batch").get<std::size_t>();
  Ours ours(kModule, kClass, sqlite_url(database_in(request, "traces.sqlite")), request);
  TraceEvents events(batch);
  const BatchProcess process{.id = ours.process()};
  double seconds = 0;
  for (std::size_t done = 0; done < count; done += batch) {
    const auto some = events.generate(std::min(batch, count - done));
    seconds +=
        seconds_of([&] { ours.store().write({.processes = std::span(&process, 1), .trace_events = some}); });
  }
  if (ours.store().count_older(now() + std::chrono::hours(1)).trace_events != count)
    throw Error("trace events are missing");
  return {{"ours", static_cast<double>(count) / seconds}};
}

Json sqlite_commit(const Json& request) {
  const auto count = request.at("events").get<std::size_t>();
  const auto batch = request.at("batch").get<std::size_t>();
  const std::string our_file = database_in(request, "ours.sqlite");
  const std::string peer_file = database_in(request, "peer.sqlite");
  Ours ours(kModule, kClass, sqlite_url(our_file), request);
  // The store makes the peer's tables, too.
  const Id process = Ours(kModule, kClass, sqlite_url(peer_file), request).process();
  SqlitePeer peer(peer_file, process);

  const auto write_peer = [&](std::span<const BatchEvent> events, std::span<const Digest> digests) {
    peer.write(events, digests);
  };
  BothSeconds seconds = write_in_turns(count, ours, batch, write_peer, batch);
  seconds.ours += seconds_of([&] { checkpoint(our_file); });
  seconds.peer += seconds_of([&] { checkpoint(peer_file); });
  for (const std::string& file : {our_file, peer_file}) {
    if (count_events(file) != count) throw Error("events are missing in " + file);
  }
  return {{"ours", static_cast<double>(count) / seconds.ours},
          {"peer", static_cast<double>(count) / seconds.peer}};
}

}  // namespace codewake::cli::bench
