// Through a queue: every event arrives, whatever the server does, and each time with the same id.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "adapters/raceway/contract.hpp"
#include "adapters/raceway/server.hpp"
#include "adapters/raceway/support.hpp"
#include "adapters/writing.hpp"
#include "codewake/raceway_store.hpp"
#include "support/child.hpp"
#include "support/journal_folder.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

using Json = nlohmann::json;
using namespace std::chrono_literals;

constexpr std::chrono::seconds kLong{120};

/// What the server has kept, under ids.
class Kept {
 public:
  void keep(Json event) {
    const Json kind = event["kind"];
    // Who recovers a journal may know no more of its process than the executable.
    if (kind.contains("Custom")) event["metadata"].erase("service_name");
    if (kind.contains("Custom")) event["metadata"].erase("environment");
    const std::lock_guard lock(mutex_);
    const auto [known, added] = events_.try_emplace(event["id"].get<std::string>(), event);
    if (!added) {
      ++resent_;
      CHECK_MESSAGE(known->second == event, "the same id, and another event");
    }
    if (kind.contains("Custom")) {
      const std::string n = kind["Custom"]["data"]["attributes"].value("n", "");
      ids_by_n_[n].insert(event["id"].get<std::string>());
    }
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return events_.size();
  }
  std::size_t resent() const {
    const std::lock_guard lock(mutex_);
    return resent_;
  }
  bool has(const TraceEventId& id) const {
    const std::lock_guard lock(mutex_);
    return events_.contains(to_uuid(id));
  }
  std::map<std::string, std::set<std::string>> ids_by_n() const {
    const std::lock_guard lock(mutex_);
    return ids_by_n_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Json> events_;
  std::map<std::string, std::set<std::string>> ids_by_n_;
  std::size_t resent_ = 0;
};

HttpReply keep_all(Kept& kept, const HttpRequest& request) {
  const HttpReply reply = take_request(request);
  CHECK_MESSAGE(reply.status == 200, reply.body);
  if (reply.status == 200) {
    for (const Json& event : Json::parse(request.body).at("events").get<std::vector<Json>>())
      kept.keep(event);
  }
  return reply;
}

Config::Queue options(const JournalFolder& journal) {
  Config::Queue made;
  made.journal = journal.path().string();
  made.interval = 1ms;
  made.batch = 200;
  return made;
}

void log_numbered(RacewayQueueStore& store, int n) {
  const AttributeArgument data("n", n);
  store.insert_event({.data = std::span(&data, 1)});
}

TEST_CASE("Trace events and ordinary ones arrive through the queue, and a sync log has its record") {
  Kept kept;
  HttpServer server([&](const HttpRequest& request) { return keep_all(kept, request); });
  const JournalFolder journal;
  RacewayQueueStore store(options(journal), server.url());
  store.insert_process(kShop);
  for (std::uint64_t i = 1; i <= 500; ++i) store.insert_trace_event(input_of(numbered_event(i)));
  const AttributeArgument data("n", 1);
  const auto record = store.insert_event({.data = std::span(&data, 1)}, true);
  REQUIRE(record);
  CHECK(record->data[0].value == "1");
  REQUIRE(store.flush(kLong));
  CHECK(kept.size() == 501);
  CHECK(store.stats().stored == 501);
  CHECK(store.stats().problem == "");
  CHECK(store.shutdown(kLong));
}

/// Does everything that a server can do wrong, by chance, but never takes an event wrongly.
class Unreliable {
 public:
  explicit Unreliable(Kept& kept) : kept_(kept) {}

  HttpReply operator()(const HttpRequest& request) {
    const unsigned dice = is_well ? 99 : roll();
    switch (dice) {
      case 0:
        return {.way = HttpReply::Way::hang};
      case 1:
        return {.way = HttpReply::Way::drop};
      case 2:
        keep_all(kept_, request);  // and the answer is lost
        return {.way = HttpReply::Way::drop};
      case 3: {
        HttpReply reply = keep_all(kept_, request);
        reply.way = HttpReply::Way::cut;
        return reply;
      }
      case 4:
      case 5:
        return keep_some(request);
      case 6:
        return {.status = 500, .body = "no"};
      case 7:
        return {.status = 503, .body = std::string(100'000, 'x')};
      case 8:
        return {.status = 401, .body = R"({"success": false, "data": null, "error": "Unauthorized"})"};
      case 9:  // which of one event would be a word about that event
        if (take_events(request.body).events < 2) return keep_all(kept_, request);
        return {.status = 413, .body = "too large"};
      case 10:
        return {.status = 200, .body = "<html>"};
      default:
        return keep_all(kept_, request);
    }
  }

  std::atomic<bool> is_well{false};

 private:
  unsigned roll() {
    const std::lock_guard lock(mutex_);
    return static_cast<unsigned>(random_() % 30);
  }

  HttpReply keep_some(const HttpRequest& request) {
    const Json events = Json::parse(request.body)["events"];
    std::size_t dropped = 0;
    for (const Json& event : events) {
      if (roll() < 10) {
        ++dropped;
      } else {
        kept_.keep(event);
      }
    }
    return ingested(events.size(), std::max<std::size_t>(dropped, 1));
  }

  Kept& kept_;
  std::mutex mutex_;
  std::mt19937 random_{20261126};
};

TEST_CASE("A server that refuses, hangs, drops, lies and dies receives every event, each time under one id") {
  constexpr std::uint64_t kEach = 1500;
  Kept kept;
  Unreliable unreliable(kept);
  HttpServer server([&](const HttpRequest& request) { return unreliable(request); });
  const JournalFolder journal;
  RacewayQueueStore store(options(journal),
                          std::vector<std::string>{server.url(), "timeout=1s", "body_limit=64KiB"});
  store.insert_process(kShop);
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 1; i <= kEach; ++i) {
        store.insert_trace_event(input_of(numbered_event(t * kEach + i)));
        if (i % 10 == 0) log_numbered(store, static_cast<int>(t * kEach + i));
        if (i % 50 == 0) std::this_thread::sleep_for(1ms);
      }
    });
  }
  for (int i = 0; i < 4; ++i) {
    store.flush(200ms);
    server.stop();
    store.flush(20ms);
    server.start();
  }
  for (std::thread& thread : threads) thread.join();
  store.flush(3s);
  unreliable.is_well = true;
  CHECK(store.flush(kLong));
  for (std::uint64_t i = 1; i <= 2 * kEach; ++i) REQUIRE(kept.has(numbered_id(i)));
  const auto ordinary = kept.ids_by_n();
  CHECK(ordinary.size() == 2 * kEach / 10);
  for (const auto& [n, ids] : ordinary) CHECK(ids.size() == 1);
  CHECK(kept.size() == 2 * kEach + 2 * kEach / 10);
  CHECK(kept.resent() > 0);
  CHECK(store.stats().rejected == 0);
  CHECK(store.shutdown(kLong));
}

TEST_CASE("What a killed program left behind arrives from the next one, under the same ids") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  Kept kept;
  std::atomic<bool> loses_answers{true};
  HttpServer server([&](const HttpRequest& request) {
    HttpReply reply = keep_all(kept, request);
    if (loses_answers) reply.way = HttpReply::Way::drop;
    return reply;
  });
  const JournalFolder journal;
  const ChildResult child = in_child([&] {
    RacewayQueueStore store(options(journal), server.url());
    store.insert_process({.app_name = "shop", .pid = getpid()});
    for (std::uint64_t i = 1; i <= 100; ++i) {
      store.insert_trace_event(input_of(numbered_event(i)));
      log_numbered(store, static_cast<int>(i));
    }
    while (store.stats().problem.empty()) store.flush(10ms);  // until an answer was lost
    kill(getpid(), SIGKILL);
  });
  CHECK(child.signal == SIGKILL);
  loses_answers = false;
  RacewayQueueStore store(options(journal), std::vector<std::string>{server.url(), "api_key=another"});
  store.insert_process(ProcessInfo{.app_name = "next"});
  const auto deadline = std::chrono::steady_clock::now() + kLong;
  while (!journal.runs().empty() && kept.size() < 200 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(1ms);
  CHECK(store.flush(kLong));
  CHECK(store.shutdown(kLong));
  for (std::uint64_t i = 1; i <= 100; ++i) CHECK(kept.has(numbered_id(i)));
  CHECK(kept.ids_by_n().size() == 100);
  CHECK(kept.size() == 200);
  CHECK(kept.resent() > 0);
}

TEST_CASE("Bad events among good ones are set aside, and hold up none") {
  Kept kept;
  HttpServer server([&](const HttpRequest& request) { return keep_all(kept, request); });
  const JournalFolder journal;
  RacewayQueueStore store(options(journal), server.url());
  store.insert_process(kShop);
  for (std::uint64_t i = 1; i <= 300; ++i) {
    BatchTraceEvent event = numbered_event(i);
    if (i % 100 == 50) event.texts.data = R"({"new_value":NaN})";
    store.insert_trace_event(input_of(event));
  }
  REQUIRE(store.flush(kLong));
  CHECK(kept.size() == 297);
  CHECK(store.stats().rejected == 3);
  CHECK(store.stats().stored == 297);
  CHECK(std::filesystem::exists(journal.path() / "dead"));
  CHECK(store.shutdown(kLong));
}

TEST_CASE("No key gets into the journal, nor into what a queue says") {
  HttpServer server(
      [&](const HttpRequest&) { return HttpReply{.status = 401, .body = "Bearer top-secret?"}; });
  const JournalFolder journal;
  RacewayQueueStore store(options(journal), std::vector<std::string>{server.url(), "api_key=top-secret"});
  store.insert_process(kShop);
  store.insert_trace_event(input_of(numbered_event(1)));
  CHECK_FALSE(store.flush(300ms));
  CHECK(contains(store.stats().problem, "401"));
  CHECK_FALSE(contains(store.stats().problem, "top-secret"));
  constexpr std::uintmax_t kMostNote = 1u << 20;  // the others are memory for events
  for (const std::filesystem::path& file : journal.files()) {
    if (std::filesystem::file_size(file) > kMostNote) continue;
    CHECK_MESSAGE(!contains(read_file(file), "top-secret"), file.string());
  }
  store.shutdown(0s);
}

}  // namespace
}  // namespace codewake::testing
