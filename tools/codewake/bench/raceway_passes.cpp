// The Raceway stores and a server on loopback: how many events a second it gets.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "bench/batches.hpp"
#include "bench/http_sink.hpp"
#include "bench/passes.hpp"
#include "bench/trace_events.hpp"
#include "codewake/errors.hpp"
#include "codewake/plugin.hpp"

namespace codewake::cli::bench {
namespace {

using namespace std::chrono_literals;

constexpr const char* kModule = "code_wake_raceway_store";

void check_arrived(const HttpSink& sink, std::size_t count) {
  if (sink.events() != count) throw Error(fmt::format("{} of {} events arrived", sink.events(), count));
}

}  // namespace

Json raceway_write(const Json& request) {
  const auto count = request.at("events").get<std::size_t>();
  const auto batch = request.at("batch").get<std::size_t>();
  const HttpSink sink;
  Ours ours(kModule, "RacewayStore", sink.url(), request);
  TraceEvents events(batch);
  const BatchProcess process{.id = ours.process()};
  double seconds = 0;
  for (std::size_t done = 0; done < count; done += batch) {
    const auto some = events.generate(std::min(batch, count - done));
    seconds +=
        seconds_of([&] { ours.store().write({.processes = std::span(&process, 1), .trace_events = some}); });
  }
  check_arrived(sink, count);
  return {{"rate", static_cast<double>(count) / seconds}};
}

Json raceway_queue(const Json& request) {
  const auto count = request.at("events").get<std::size_t>();
  const HttpSink sink;
  // For whoever has to recover the journal, should this be interrupted.
  const std::filesystem::path note =
      std::filesystem::path(request.at("folder").get<std::string>()) / kSinkNote;
  std::ofstream(note) << sink.port();
  std::vector<std::filesystem::path> plugin_path;
  for (const Json& folder : request.at("plugin_path")) plugin_path.emplace_back(folder.get<std::string>());
  const auto store = load_store(kModule, "RacewayQueueStore", {sink.url()}, plugin_path);
  store->insert_process({.app_name = "codewake bench", .app_vsn = "1", .env_name = "bench"}, false);
  constexpr std::size_t kTurn = 1000;
  TraceEvents events(kTurn);
  const double seconds = seconds_of([&] {
    for (std::size_t done = 0; done < count; done += kTurn) {
      for (const BatchTraceEvent& event : events.generate(std::min(kTurn, count - done)))
        store->insert_trace_event({event, event.texts});
    }
    if (!store->flush(10min)) throw Error("not everything could be sent within 10 minutes");
  });
  const StoreStats stats = store->stats();
  if (!store->shutdown(10min)) throw Error("the queue did not end within 10 minutes");
  const auto lost = stats.lost_full + stats.lost_error;
  if (lost == 0) check_arrived(sink, count);
  return {{"rate", static_cast<double>(count - lost) / seconds}, {"lost", lost}};
}

}  // namespace codewake::cli::bench
