// How many trace events a second reach a server on loopback that takes everything and looks at nothing.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "adapters/raceway/server.hpp"
#include "adapters/raceway/support.hpp"
#include "codewake/raceway_store.hpp"
#include "support/journal_folder.hpp"

namespace codewake::testing {
namespace {

using Clock = std::chrono::steady_clock;

HttpReply take_anything(const HttpRequest&) {
  return {.body = R"({"success":true,"data":"taken","error":null})"};
}

void report(const char* what, std::uint64_t events, Clock::time_point begin) {
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::printf("%-36s %9.0f events/s\n", what, static_cast<double>(events) / seconds);
}

void write_batches(std::size_t batch) {
  constexpr std::uint64_t kEvents = 300'000;
  HttpServer server(take_anything);
  RacewayStore store(server.url());
  std::vector<BatchTraceEvent> events;
  for (std::uint64_t i = 1; i <= batch; ++i) events.push_back(numbered_event(i));
  const auto begin = Clock::now();
  for (std::uint64_t sent = 0; sent < kEvents; sent += batch) write_trace_events(store, events);
  const std::string what = "write, batches of " + std::to_string(batch);
  report(what.c_str(), kEvents, begin);
}

/// As many as lie in the memory of the journal: more go to the disk first, and that is another measurement.
void drain_queue() {
  constexpr std::uint64_t kEvents = 100'000;
  const JournalFolder journal;
  HttpServer server(take_anything);
  Config::Queue options;
  options.journal = journal.path().string();
  RacewayQueueStore store(options, server.url());
  store.insert_process(kShop);
  const BatchTraceEvent event = numbered_event(1);
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < kEvents; ++i) store.insert_trace_event(input_of(event));
  store.flush(std::chrono::minutes(2));
  report("through the queue, until all arrived", store.stats().stored, begin);
  store.shutdown(std::chrono::seconds(10));
}

}  // namespace
}  // namespace codewake::testing

int main() {
  for (int round = 0; round < 3; ++round) {
    codewake::testing::write_batches(1000);
    codewake::testing::write_batches(50);
    codewake::testing::drain_queue();
  }
}
