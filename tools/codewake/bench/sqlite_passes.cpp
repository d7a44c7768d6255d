// The SQLite store without a queue: how fast it commits, and how fast it finds.
#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "bench/batches.hpp"
#include "bench/passes.hpp"
#include "bench/sqlite_peer.hpp"
#include "bench/texts.hpp"
#include "codewake/errors.hpp"
#include "codewake/store.hpp"

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

Json sqlite_lookup(const Json& request) {
  constexpr std::size_t kBatch = 10'000;
  constexpr std::size_t kPairs = 20;
  constexpr std::size_t kMatches = 5;
  const auto count = request.at("events").get<std::size_t>();
  const auto rounds = request.at("rounds").get<std::size_t>();
  const std::string file = database_in(request, "lookup.sqlite");
  Ours ours(kModule, kClass, sqlite_url(file), request);

  // Sought values, five events of each, spread over the whole.
  std::array<std::string, kPairs> sought;
  for (std::size_t i = 0; i < kPairs; ++i) sought[i] = "Sought" + std::to_string(i);
  const std::size_t distance = std::max<std::size_t>(count / (kPairs * kMatches), 1);
  Events events(kBatch);
  for (std::size_t done = 0; done < count; done += kBatch) {
    events.generate(std::min(kBatch, count - done));
    for (std::size_t i = 0; i < events.all().size(); ++i) {
      const std::size_t place = (done + i) / distance;
      if ((done + i) % distance == distance / 2 && place < kPairs * kMatches) {
        events.data(i).back().value = sought[place % kPairs];
      }
    }
    ours.write(events.all());
  }

  std::vector<double> times;
  for (std::size_t round = 0; round < rounds; ++round) {
    for (const std::string& value : sought) {
      std::size_t found = 0;
      times.push_back(1000 * seconds_of([&] {
                        found = ours.store().get_events_by_data({{kKeys.back(), value}}).size();
                      }));
      if (found != kMatches) throw Error("the store found " + std::to_string(found) + " events of 5");
    }
  }
  return {{"times", times}};
}

}  // namespace codewake::cli::bench
