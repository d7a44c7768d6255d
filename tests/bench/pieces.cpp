// The pieces of an event's way, one by one: written to the journal, read from it, given its digest.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "base/crc32c.hpp"
#include "codewake/digest.hpp"
#include "codewake/event.hpp"
#include "codewake/stacktrace.hpp"
#include "journal/event_codec.hpp"
#include "journal/lane.hpp"
#include "journal/live_journal.hpp"

namespace codewake {
namespace {

using internal::Lane;
using internal::LiveJournal;

internal::JournalOptions in_memory() {
  internal::JournalOptions options;
  options.in_memory = true;
  options.about.run = "bench";
  return options;
}

const std::vector<std::string>& values() {
  static const std::vector<std::string> all = {"GET /index", "somebody", "a.service:8080",
                                               std::string(200, 'x')};
  return all;
}

std::vector<AttributeArgument> attributes(std::size_t count) {
  static const std::vector<std::string> keys = [] {
    std::vector<std::string> made;
    for (int i = 0; i < 64; ++i) made.push_back("key_" + std::to_string(i));
    return made;
  }();
  std::vector<AttributeArgument> made;
  for (std::size_t i = 0; i < count; ++i) made.emplace_back(keys[i], values()[i % 3]);
  return made;
}

/// Writes the event, and lets go of what was written where there is no more room, which is not timed.
class Writer {
 public:
  explicit Writer(benchmark::State& state)
      : state_(state), journal_(in_memory()), lane_(journal_.acquire_lane()) {
    journal_.keep({});
  }

  void write(const EventInput& event) {
    const internal::RecordContext context{.ticks = journal_.ticks(), .process = 1, .flags = 0};
    if (internal::append_event(*lane_, event, context)) [[likely]]
      return;
    state_.PauseTiming();
    drop_all();
    std::uint64_t position = 0;
    if (journal_.append(*lane_, event, context, position) != internal::Accepted::yes) {
      state_.SkipWithError("the journal took no event");
    }
    state_.ResumeTiming();
  }

  void drop_all() {
    journal_.collect([](const internal::TakenRecord&) { return true; });
    journal_.settle();
    journal_.keep({});
  }

 private:
  benchmark::State& state_;
  LiveJournal journal_;
  Lane* lane_;
};

void append_event(benchmark::State& state) {
  const std::vector<AttributeArgument> data = attributes(static_cast<std::size_t>(state.range(0)));
  Writer writer(state);
  for (auto _ : state) writer.write({.data = data});
}
BENCHMARK(append_event)->Arg(0)->Arg(1)->Arg(3)->Arg(10)->Arg(50);

void append_event_with_stack(benchmark::State& state) {
  const std::vector<AttributeArgument> data = attributes(3);
  std::vector<void*> addresses(static_cast<std::size_t>(state.range(0)));
  for (std::size_t i = 0; i < addresses.size(); ++i) addresses[i] = reinterpret_cast<void*>(0x1000 + 16 * i);
  const Stacktrace stack{std::span<void* const>(addresses)};
  Writer writer(state);
  for (auto _ : state) writer.write({.data = data, .stacktrace = &stack});
}
BENCHMARK(append_event_with_stack)->Arg(20)->Arg(100);

/// What the committer does first: records of several threads, put in the order of time and decoded.
void collect_events(benchmark::State& state) {
  constexpr std::size_t kEvents = 1000;
  const std::vector<AttributeArgument> data = attributes(3);
  LiveJournal journal(in_memory());
  journal.keep({});
  std::vector<Lane*> lanes;
  for (std::int64_t i = 0; i < state.range(0); ++i) lanes.push_back(journal.acquire_lane());
  const internal::RecordContext context{.ticks = journal.ticks(), .process = 1, .flags = 0};
  internal::DecodedEvent event;
  for (auto _ : state) {
    state.PauseTiming();
    for (std::size_t i = 0; i < kEvents; ++i) {
      Lane& lane = *lanes[i % lanes.size()];
      std::uint64_t position = 0;
      if (!internal::append_event(lane, {.data = data}, context)) {
        journal.append(lane, {.data = data}, context, position);
      }
    }
    state.ResumeTiming();
    std::size_t decoded = 0;
    journal.collect([&](const internal::TakenRecord& record) {
      decoded += internal::decode_event(record.payload, event);
      return true;
    });
    if (decoded != kEvents) state.SkipWithError("not every event was read");
    state.PauseTiming();
    journal.settle();
    journal.keep({});
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kEvents));
}
BENCHMARK(collect_events)->Arg(1)->Arg(2)->Arg(8);

void checksum(benchmark::State& state) {
  const std::vector<std::uint64_t> words(static_cast<std::size_t>(state.range(0)) / sizeof(std::uint64_t), 7);
  for (auto _ : state) {
    benchmark::DoNotOptimize(internal::record_crc(words.data(), words.size() * sizeof(std::uint64_t), 1));
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(checksum)->Arg(104)->Arg(4096);

void digest_of_data(benchmark::State& state) {
  std::vector<AttributeView> data;
  for (const AttributeArgument& attribute : attributes(static_cast<std::size_t>(state.range(0)))) {
    data.push_back({attribute.key, attribute.value.borrowed_text()});
  }
  for (auto _ : state) benchmark::DoNotOptimize(digest_of(data));
}
BENCHMARK(digest_of_data)->Arg(3)->Arg(10);

}  // namespace
}  // namespace codewake

BENCHMARK_MAIN();
