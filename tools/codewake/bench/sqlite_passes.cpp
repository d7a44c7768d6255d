// The SQLite store without a queue: how fast it commits.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "bench/batches.hpp"
#include "bench/passes.hpp"
#include "bench/sqlite_peer.hpp"
#include "bench/trace_events.hpp"
#include "codewake/errors.hpp"

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
