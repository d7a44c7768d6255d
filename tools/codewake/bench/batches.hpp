// Batches of events, and a store that takes them without a queue.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "bench/texts.hpp"
#include "codewake/digest.hpp"
#include "codewake/event.hpp"
#include "codewake/plugin.hpp"
#include "codewake/store.hpp"
#include "codewake/time.hpp"
#include "json.hpp"

namespace codewake::cli::bench {

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
  /// `request["plugin_path"]`: where to look for the module.
  Ours(const char* module, const char* class_name, const std::string& url, const Json& request) : process_{} {
    std::vector<std::filesystem::path> plugin_path;
    for (const Json& folder : request.at("plugin_path")) plugin_path.emplace_back(folder.get<std::string>());
    store_ = load_store(module, class_name, {url}, plugin_path);
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
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Calls `write(first, count)` for each batch of `events`.
template <class Write>
double write_in_batches(std::size_t events, std::size_t batch, Write write) {
  return seconds_of([&] {
    for (std::size_t i = 0; i < events; i += batch) write(i, std::min(batch, events - i));
  });
}

struct BothSeconds {
  double ours = 0;
  double peer = 0;
};

/// Writes so many events to both sides in turns, so that both meet the same machine; who is first changes
/// with each. `peer(events, digests)` is given the digests, which the store computes by itself.
template <class Peer>
BothSeconds write_in_turns(std::size_t count, Ours& ours, std::size_t our_batch, Peer peer,
                           std::size_t peer_batch) {
  constexpr std::size_t kTurn = 10'000;
  Events events(kTurn);
  BothSeconds seconds;
  const auto write_ours = [&] {
    seconds.ours += write_in_batches(
        events.all().size(), our_batch,
        [&](std::size_t first, std::size_t size) { ours.write(events.all().subspan(first, size)); });
  };
  for (std::size_t done = 0; done < count; done += kTurn) {
    events.generate(std::min(kTurn, count - done));
    events.compute_digests();
    const bool ours_first = done / kTurn % 2 == 0;
    if (ours_first) write_ours();
    seconds.peer +=
        write_in_batches(events.all().size(), peer_batch, [&](std::size_t first, std::size_t size) {
          peer(events.all().subspan(first, size), events.digests().subspan(first, size));
        });
    if (!ours_first) write_ours();
  }
  return seconds;
}

}  // namespace codewake::cli::bench
