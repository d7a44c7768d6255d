// What goes wrong between a RacewayStore and its server, one thing at a time.
#include <doctest/doctest.h>
#include <unistd.h>
#include <zlib.h>

#include <atomic>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
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
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

using Json = nlohmann::json;
using Kind = StoreError::Kind;
using namespace std::chrono_literals;

/// A server that answers the first requests as it is told, and the others as a Raceway server does.
class Scripted {
 public:
  explicit Scripted(std::vector<HttpReply> first = {}) : first_(std::move(first)) {}

  std::string url() const { return server_.url(); }
  HttpServer& server() { return server_; }

  std::vector<HttpRequest> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  /// The ids of each request's events.
  std::vector<std::vector<std::string>> ids() {
    std::vector<std::vector<std::string>> result;
    for (const HttpRequest& request : requests()) {
      result.emplace_back();
      for (const Json& event : Json::parse(request.body).at("events").get<std::vector<Json>>())
        result.back().push_back(event["id"]);
    }
    return result;
  }

  /// Answers each request that nothing was told for.
  void answer_by(std::function<HttpReply(const HttpRequest&)> react) {
    const std::lock_guard lock(mutex_);
    react_ = std::move(react);
  }

 private:
  HttpReply answer(const HttpRequest& request) {
    std::function<HttpReply(const HttpRequest&)> react;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
      if (requests_.size() <= first_.size()) return first_[requests_.size() - 1];
      react = react_;
    }
    return react(request);
  }

  const std::vector<HttpReply> first_;
  std::mutex mutex_;
  std::vector<HttpRequest> requests_;
  std::function<HttpReply(const HttpRequest&)> react_ = take_request;
  HttpServer server_{[this](const HttpRequest& request) { return answer(request); }};
};

std::vector<BatchTraceEvent> numbered_events(std::uint64_t count) {
  std::vector<BatchTraceEvent> events;
  for (std::uint64_t i = 1; i <= count; ++i) events.push_back(numbered_event(i));
  return events;
}

/// The message of the error of this kind that writing these events ends with.
std::string failure(Store& store, Kind kind, std::uint64_t events = 1) {
  return store_error(kind, [&] { write_trace_events(store, numbered_events(events)); });
}

HttpReply status(int code, std::string body = "") {
  return {.status = code, .body = std::move(body)};
}

TEST_CASE("Requests go by one connection, as JSON, with the key in one header") {
  Scripted server;
  RacewayStore store({server.url(), "api_key=key-1"});
  for (int i = 0; i < 5; ++i) write_trace_events(store, {numbered_event(1)});
  RacewayStore without(server.url());
  write_trace_events(without, {numbered_event(1)});
  const auto requests = server.requests();
  REQUIRE(requests.size() == 6);
  for (const HttpRequest& request : requests) {
    const bool keyless = &request == &requests.back();
    CHECK(request.connection == (keyless ? 2 : 1));
    CHECK(request.header("authorization") == (keyless ? "" : "Bearer key-1"));
    CHECK(request.header("x-raceway-key") == "");
    CHECK(request.header("expect") == "");
    CHECK(request.header("content-encoding") == "");
    CHECK(request.header("user-agent").starts_with("codewake/"));
  }
}

TEST_CASE("A batch without events needs no server") {
  RacewayStore store("http://127.0.0.1:1");
  CHECK(store.insert_process(kShop).has_value());
  CHECK(contains(failure(store, Kind::unavailable), "Raceway server http://127.0.0.1:1: "));
}

TEST_CASE("What fails for a passing reason is sent again with the same ids") {
  for (const HttpReply& reply :
       {ingested(3, 2), status(401), status(403), status(404), status(408), status(500), status(502),
        status(503), status(200, "<html>hotel wifi</html>"), ingested(2),
        HttpReply{.way = HttpReply::Way::drop},
        HttpReply{.body = std::string(1000, ' '), .way = HttpReply::Way::cut},
        HttpReply{.way = HttpReply::Way::hang}}) {
    Scripted server({reply});
    RacewayStore store({server.url(), "timeout=300ms", "api_key=top-secret"});
    const std::string said = failure(store, Kind::unavailable, 3);
    CHECK(contains(said, server.url()));
    CHECK_FALSE(contains(said, "top-secret"));
    write_trace_events(store, numbered_events(3));
    const auto ids = server.ids();
    REQUIRE(ids.size() == 2);
    CHECK(ids[0] == ids[1]);
    CHECK(std::set(ids[0].begin(), ids[0].end()).size() == 3);
  }
}

TEST_CASE("An event that the server does not understand is rejected, unless it understands nothing") {
  const auto refuse_events = [](const HttpRequest& request) {
    return take_events(request.body).events == 0 ? take_request(request) : status(422, "missing field `new`");
  };
  Scripted server;
  server.answer_by(refuse_events);
  RacewayStore store(server.url());
  CHECK(contains(failure(store, Kind::rejected), "missing field `new`"));
  for (const int code : {400, 415, 422, 413}) {
    Scripted other;
    other.answer_by([code](const HttpRequest&) { return status(code, "plain HTTP to an HTTPS port"); });
    RacewayStore lost(other.url());
    CHECK(contains(failure(lost, Kind::unavailable), "empty list"));
  }
}

TEST_CASE("A batch that is larger than a body goes in several, in order, each as large as may be") {
  Scripted server;
  RacewayStore store({server.url(), "body_limit=16KiB"});
  write_trace_events(store, numbered_events(100));
  std::vector<std::string> all;
  const auto requests = server.requests();
  const auto ids = server.ids();
  for (std::size_t i = 0; i < requests.size(); ++i) {
    CHECK(requests[i].body.size() <= (16u << 10));
    if (i + 1 < requests.size()) CHECK(requests[i].body.size() > (15u << 10));
    all.insert(all.end(), ids[i].begin(), ids[i].end());
  }
  REQUIRE(all.size() == 100);
  for (std::uint64_t i = 0; i < all.size(); ++i) CHECK(all[i] == to_uuid(numbered_id(i + 1)));
}

TEST_CASE("A large batch goes in one body where it fits") {
  Scripted server;
  RacewayStore store({server.url(), "timeout=60s"});
  write_trace_events(store, numbered_events(2000));
  CHECK(server.requests().size() == 1);
}

TEST_CASE("An event that no body can hold is rejected without a request") {
  Scripted server;
  RacewayStore store({server.url(), "body_limit=4KiB"});
  BatchTraceEvent event = numbered_event(1);
  const std::string name(4u << 10, 'x');
  event.texts.name = name;
  CHECK(
      contains(store_error(Kind::rejected, [&] { write_trace_events(store, {event}); }), "body_limit=4096"));
  CHECK(server.requests().empty());
}

TEST_CASE("A server with a smaller limit is sent smaller bodies, and an event beyond it is rejected") {
  Scripted server;
  server.answer_by([](const HttpRequest& request) {
    return request.body.size() > 5000 ? status(413, "length limit exceeded") : take_request(request);
  });
  RacewayStore store(server.url());
  write_trace_events(store, numbered_events(200));
  std::size_t taken = 0, refused = 0;
  for (const HttpRequest& request : server.requests()) {
    if (request.body.size() > 5000) {
      ++refused;
    } else {
      taken += take_events(request.body).events;
    }
  }
  CHECK(taken == 200);
  CHECK(refused < 10);
  BatchTraceEvent event = numbered_event(1);
  const std::string name(5000, 'x');
  event.texts.name = name;
  CHECK(contains(store_error(Kind::rejected, [&] { write_trace_events(store, {event}); }), "413"));
}

TEST_CASE("A rate limit is waited for, once and for a moment") {
  Scripted server({status(429, R"({"success": false, "data": null, "error": "Too Many Requests"})")});
  RacewayStore store(server.url());
  write_trace_events(store, {numbered_event(1)});
  CHECK(server.requests().size() == 2);
  Scripted strict({status(429), status(429)});
  RacewayStore other(strict.url());
  CHECK(contains(failure(other, Kind::unavailable), "more requests"));
}

TEST_CASE("A server that wants to be left alone is, without a request") {
  char date[64];
  const std::time_t later = std::time(nullptr) + 100;
  std::tm parts{};
  std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&later, &parts));
  for (const std::string& value : {std::string("100"), std::string(date)}) {
    for (const int code : {429, 503}) {
      Scripted server({{.status = code, .headers = {{"Retry-After", value}}}});
      RacewayStore store(server.url());
      failure(store, Kind::unavailable);
      CHECK(contains(failure(store, Kind::unavailable), "left alone"));
      CHECK(server.requests().size() == 1);
    }
  }
}

TEST_CASE("A redirect is not followed, and the key goes nowhere else") {
  Scripted elsewhere;
  Scripted server({{.status = 307, .headers = {{"Location", elsewhere.url() + "/events"}}}});
  RacewayStore store({server.url(), "api_key=key-1"});
  CHECK(contains(failure(store, Kind::unavailable), elsewhere.url()));
  CHECK(elsewhere.requests().empty());
}

TEST_CASE("A key that the server repeats does not get into messages") {
  Scripted server({status(500, "you sent: Authorization: Bearer top-secret")});
  RacewayStore store({server.url(), "api_key=top-secret"});
  const std::string said = failure(store, Kind::unavailable);
  CHECK(contains(said, "***"));
  CHECK_FALSE(contains(said, "top-secret"));
}

TEST_CASE("An endless answer is cut") {
  Scripted server({status(500, std::string(50u << 20, 'x'))});
  RacewayStore store(server.url());
  const std::string said = failure(store, Kind::unavailable);
  CHECK(said.size() < 500);
  CHECK(contains(said, "it answered 500"));
}

TEST_CASE("An answer with endless headers is refused") {
  HttpReply reply;
  for (int i = 0; i < 100; ++i)
    reply.headers.emplace_back("X-" + std::to_string(i), std::string(10'000, 'x'));
  Scripted server({reply});
  RacewayStore store(server.url());
  const std::string said = failure(store, Kind::unavailable);
  CHECK(contains(said, "header"));
}

TEST_CASE("A proxy of the environment is used") {
  Scripted proxy;
  proxy.answer_by([](const HttpRequest& request) {
    CHECK(request.path == "http://raceway.invalid/events");
    return ingested(take_events(request.body).events);
  });
  const ChildResult child = in_child([&] {
    setenv("http_proxy", proxy.url().c_str(), 1);
    unsetenv("no_proxy");
    RacewayStore store("http://raceway.invalid");
    write_trace_events(store, {numbered_event(1)});
  });
  CHECK_MESSAGE(child.exit_code == 0, child.err);
  CHECK(proxy.requests().size() == 1);
}

std::string unpacked(const std::string& packed) {
  z_stream stream{};
  REQUIRE(inflateInit2(&stream, 15 + 16) == Z_OK);
  std::string out(4u << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = inflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return result == Z_STREAM_END ? out : "";
}

TEST_CASE("Bodies are compressed where the server has shown that it understands that") {
  Scripted knows;
  knows.answer_by([](HttpRequest request) {
    if (request.header("content-encoding") == "gzip") request.body = unpacked(request.body);
    return take_request(request);
  });
  RacewayStore store({knows.url(), "compression=auto"});
  for (int i = 0; i < 2; ++i) write_trace_events(store, numbered_events(100));
  write_trace_events(store, {numbered_event(1)});
  const auto requests = knows.requests();
  REQUIRE(requests.size() == 4);
  CHECK(unpacked(requests[0].body) == R"({"events":[]})");
  CHECK(take_events(unpacked(requests[1].body)).events == 100);
  CHECK(requests[1].body.size() < 10'000);
  CHECK(requests[3].header("content-encoding") == "");
}

TEST_CASE(
    "A server that does not know of compression gets its bodies plain, also one that knew of it before") {
  Scripted plain;
  RacewayStore store({plain.url(), "compression=auto"});
  for (int i = 0; i < 2; ++i) write_trace_events(store, numbered_events(100));
  REQUIRE(plain.requests().size() == 3);
  CHECK(take_events(plain.requests()[1].body).events == 100);
  Scripted changed({ingested(0)});
  RacewayStore other({changed.url(), "compression=auto"});
  for (int i = 0; i < 2; ++i) write_trace_events(other, numbered_events(100));
  const auto requests = changed.requests();
  REQUIRE(requests.size() == 4);
  CHECK(requests[1].header("content-encoding") == "gzip");
  CHECK(requests[2].header("content-encoding") == "");
  CHECK(requests[3].header("content-encoding") == "");
}

TEST_CASE("A server that comes back on its port is found again") {
  Scripted server;
  RacewayStore store({server.url(), "timeout=2s"});
  write_trace_events(store, {numbered_event(1)});
  server.server().stop();
  failure(store, Kind::unavailable);
  server.server().start();
  write_trace_events(store, {numbered_event(1)});
  CHECK(server.requests().size() == 2);
}

TEST_CASE("After shutdown writes are refused") {
  Scripted server;
  RacewayStore store(server.url());
  write_trace_events(store, {numbered_event(1)});
  CHECK(store.shutdown(1s));
  CHECK(contains(failure(store, Kind::unavailable), "shut down"));
}

TEST_CASE("A shutdown does not wait for a server that hangs") {
  std::promise<void> reached;
  Scripted server;
  server.answer_by([&](const HttpRequest&) {
    reached.set_value();
    return HttpReply{.way = HttpReply::Way::hang};
  });
  RacewayStore store({server.url(), "timeout=60s"});
  std::thread writer([&] { failure(store, Kind::unavailable); });
  reached.get_future().wait();
  const auto begin = std::chrono::steady_clock::now();
  CHECK_FALSE(store.shutdown(10ms));
  writer.join();
  CHECK(std::chrono::steady_clock::now() - begin < 20s);
}

TEST_CASE("After a fork parent and child each have a connection of their own") {
  Scripted server;
  RacewayStore store(server.url());
  write_trace_events(store, {numbered_event(1)});
  store.at_fork(ForkPhase::before);
  const pid_t child = fork();
  if (child == 0) {
    store.at_fork(ForkPhase::after_in_child);
    try {
      write_trace_events(store, {numbered_event(2)});
    } catch (...) {
      _exit(1);
    }
    _exit(0);
  }
  store.at_fork(ForkPhase::after_in_parent);
  CHECK(wait_for(child) == 0);
  write_trace_events(store, {numbered_event(3)});
  std::set<int> connections;
  for (const HttpRequest& request : server.requests()) connections.insert(request.connection);
  CHECK(server.requests().size() == 3);
  CHECK(connections.size() == 3);
}

TEST_CASE("Any number of threads may write at once") {
  Scripted server;
  RacewayStore store(server.url());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 50; ++i) write_trace_events(store, {numbered_event(t * 50 + i + 1)});
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> ids;
  for (const auto& of_one : server.ids()) ids.insert(of_one.begin(), of_one.end());
  CHECK(ids.size() == 200);
}

}  // namespace
}  // namespace codewake::testing
