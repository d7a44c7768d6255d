// The SQLite store without a queue: how fast it commits, and how fast it finds.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "bench/passes.hpp"
#include "bench/sqlite_peer.hpp"
#include "bench/texts.hpp"
#include "codewake/digest.hpp"
#include "codewake/errors.hpp"
#include "codewake/plugin.hpp"
#include "codewake/store.hpp"
#include "codewake/time.hpp"

namespace codewake::cli::bench {
namespace {

using Clock = std::chrono::steady_clock;

/// Events of one turn, with values that no other turn has.
class Events {
 public:
  explicit Events(std::size_t most)
      : values_(most * kKeys.size()), attributes_(values_.size()), events_(most), digests_(most) {}

  void generate(std::size_t count) {
    count_ = count;
    for (std::size_t i = 0; i < count * kKeys.size(); ++i) {
      values_[i] = random_word(random_, 8, 16);
      attributes_[i] = {.key = kKeys[i % kKeys.size()], .value = values_[i]};
    }
    for (std::size_t i = 0; i < count; ++i) {
      when_ += std::chrono::microseconds(10);
      events_[i] = {.when = when_, .has_data = true, .data = data(i)};
    }
  }
  void compute_digests() {
    for (std::size_t i = 0; i < count_; ++i) digests_[i] = digest_of(events_[i].data);
  }

  std::span<AttributeView> data(std::size_t event) {
    return std::span(attributes_).subspan(event * kKeys.size(), kKeys.size());
  }
  std::span<const BatchEvent> all() const { return std::span(events_).first(count_); }
  std::span<const Digest> digests() const { return std::span(digests_).first(count_); }

 private:
  std::mt19937_64 random_{7};
  Time when_ = now();
  std::size_t count_ = 0;
  std::vector<std::string> values_;
  std::vector<AttributeView> attributes_;
  std::vector<BatchEvent> events_;
  std::vector<Digest> digests_;
};

/// The store, and the process in it that the events belong to.
class Ours {
 public:
  Ours(const std::string& file, const Json& request) : process_{} {
    std::vector<std::filesystem::path> plugin_path;
    for (const Json& folder : request.at("plugin_path")) plugin_path.emplace_back(folder.get<std::string>());
    store_ = load_store("code_wake_sqlite_store", "SqliteStore", {"sqlite:///" + file}, plugin_path);
    const ProcessInfo info{.app_name = "codewake bench", .app_vsn = "1", .env_name = "bench"};
    const BatchProcess first{.info = &info};
    process_.id = store_->write({.processes = std::span(&first, 1)}).process_ids.at(0);
  }

  Store& store() { return *store_; }
  Id process() const noexcept { return process_.id; }
  void write(std::span<const BatchEvent> events) {
    store_->write({.processes = std::span(&process_, 1), .events = events});
  }

 private:
  std::shared_ptr<Store> store_;
  BatchProcess process_;
};

template <class Work>
double seconds_of(Work work) {
  const auto begin = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Calls `write(first, count)` for each batch of `events`.
template <class Write>
double write_in_batches(std::size_t events, std::size_t batch, Write write) {
  return seconds_of([&] {
    for (std::size_t i = 0; i < events; i += batch) write(i, std::min(batch, events - i));
  });
}

std::string database_in(const Json& request, const char* name) {
  return (std::filesystem::path(request.at("folder").get<std::string>()) / name).string();
}

}  // namespace

// In turns, so that both sides meet the same machine; who is first changes with each.
Json sqlite_commit(const Json& request) {
  constexpr std::size_t kTurn = 10'000;
  const auto count = request.at("events").get<std::size_t>();
  const auto batch = request.at("batch").get<std::size_t>();
  const std::string our_file = database_in(request, "ours.sqlite");
  const std::string peer_file = database_in(request, "peer.sqlite");
  Ours ours(our_file, request);
  const Id process = Ours(peer_file, request).process();  // the store makes the peer's tables, too
  SqlitePeer peer(peer_file, process);

  Events events(kTurn);
  double our_seconds = 0;
  double peer_seconds = 0;
  const auto write_ours = [&] {
    our_seconds += write_in_batches(events.all().size(), batch, [&](std::size_t first, std::size_t size) {
      ours.write(events.all().subspan(first, size));
    });
  };
  const auto write_peers = [&] {
    peer_seconds += write_in_batches(events.all().size(), batch, [&](std::size_t first, std::size_t size) {
      peer.write(events.all().subspan(first, size), events.digests().subspan(first, size));
    });
  };
  for (std::size_t done = 0; done < count; done += kTurn) {
    events.generate(std::min(kTurn, count - done));
    events.compute_digests();
    const bool ours_first = done / kTurn % 2 == 0;
    if (ours_first) write_ours();
    write_peers();
    if (!ours_first) write_ours();
  }
  our_seconds += seconds_of([&] { checkpoint(our_file); });
  peer_seconds += seconds_of([&] { checkpoint(peer_file); });
  for (const std::string& file : {our_file, peer_file}) {
    if (count_events(file) != count) throw Error("events are missing in " + file);
  }
  return {{"ours", static_cast<double>(count) / our_seconds},
          {"peer", static_cast<double>(count) / peer_seconds}};
}

Json sqlite_lookup(const Json& request) {
  constexpr std::size_t kBatch = 10'000;
  constexpr std::size_t kPairs = 20;
  constexpr std::size_t kMatches = 5;
  const auto count = request.at("events").get<std::size_t>();
  const auto rounds = request.at("rounds").get<std::size_t>();
  const std::string file = database_in(request, "lookup.sqlite");
  Ours ours(file, request);

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
