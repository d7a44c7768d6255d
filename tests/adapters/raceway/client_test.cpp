// raceway::Client: its defaults, its requests, and what becomes of events while the server is away.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "adapters/raceway/collector.hpp"
#include "adapters/raceway/server.hpp"
#include "adapters/writing.hpp"
#include "codewake/codewake.hpp"
#include "codewake/raceway.hpp"
#include "codewake/raceway_store.hpp"
#include "codewake/recovery.hpp"
#include "support/child.hpp"
#include "support/journal_folder.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

using Json = nlohmann::json;
using raceway::Client;
using namespace std::chrono_literals;

/// A client of the collector, in a request with the trace of `incoming`, and a service beside it.
struct Fixture : CollectorFixture {
  Client client{{.endpoint = collector.url(),
                 .service_name = "gateway",
                 .instance_id = "gateway-1",
                 .environment = "test",
                 .flush_interval = 0.01,
                 .api_key = "top-secret"}};

  std::string service(const std::string& path) const { return collector.url() + path; }

  /// What is thrown by a request, which must be an Error.
  std::string failure(std::string_view method, const std::string& url,
                      const raceway::RequestOptions& options = {}) {
    try {
      client.request(method, url, options);
    } catch (const Error& error) {
      return error.what();
    }
    FAIL_CHECK("no Error was thrown");
    return "";
  }
};

TEST_CASE("The defaults are those of the SDK for Python") {
  const raceway::Config config;
  CHECK(config.endpoint == "http://localhost:8080");
  CHECK(config.service_name == "unknown-service");
  CHECK_FALSE(config.instance_id);
  CHECK(config.environment == "development");
  CHECK(config.batch_size == 50);
  CHECK(config.flush_interval == 1.0);
  CHECK_FALSE(config.debug);
  CHECK_FALSE(config.api_key);
  const JournalFolder journal;
  const Variable variable("CODE_WAKE_QUEUE_JOURNAL", journal.path().string());
  const Client client;
  std::string host(256, '\0');
  REQUIRE(gethostname(host.data(), host.size()) == 0);
  CHECK(client.options().instance_id == std::string(host.c_str()) + "-" + std::to_string(getpid()));
  CHECK(client.options().service_name == "unknown-service");
  CHECK(client.options().environment == "development");
  CHECK(client.store()->identity() == "raceway+http://localhost:8080");
}

TEST_CASE("RACEWAY_INSTANCE_ID and RACEWAY_API_KEY are taken where the configuration names none") {
  CollectorFixture fixture;
  const Variable instance("RACEWAY_INSTANCE_ID", "from-the-environment");
  const Variable key("RACEWAY_API_KEY", "key-of-the-environment");
  {
    Client client({.endpoint = fixture.collector.url()});
    const Scope scope(client);
    client.track_custom("note");
    CHECK(client.shutdown());
  }
  CHECK(fixture.collector.authorization() == "Bearer key-of-the-environment");
  CHECK(fixture.collector.events(1)[0]["metadata"]["instance_id"] == "from-the-environment");
  Client client({.endpoint = fixture.collector.url(), .instance_id = "own", .api_key = "own-key"});
  const Scope scope(client);
  client.track_custom("note");
  CHECK(client.shutdown());
  CHECK(fixture.collector.authorization() == "Bearer own-key");
  CHECK(fixture.collector.events(2)[1]["metadata"]["instance_id"] == "own");
}

TEST_CASE("Without a key none is sent, and an empty one is none") {
  CollectorFixture fixture;
  const Variable key("RACEWAY_API_KEY", "key-of-the-environment");
  Client client({.endpoint = fixture.collector.url(), .api_key = ""});
  const Scope scope(client);
  client.track_custom("note");
  CHECK(client.shutdown());
  fixture.collector.events(1);
  CHECK(fixture.collector.authorization() == "");
}

TEST_CASE("A configuration that makes no sense is refused") {
  const auto refuses = [](const raceway::Config& config) { CHECK_THROWS_AS(Client{config}, ConfigError); };
  refuses({.endpoint = "localhost:8080"});
  refuses({.endpoint = "ftp://localhost"});
  refuses({.endpoint = ""});
  refuses({.batch_size = 0});
  refuses({.flush_interval = 0});
  refuses({.flush_interval = -1});
  refuses({.flush_interval = std::nan("")});
  refuses({.flush_interval = 1e-9});
  refuses({.flush_interval = 1e9});
  refuses({.api_key = "two\r\nlines"});
}

TEST_CASE("Events arrive with service, instance, environment, and the process they are of") {
  Fixture fixture;
  const Scope scope(fixture.client);
  fixture.client.track_state_change("alice.balance", 100, 50);
  CHECK(fixture.client.shutdown());
  const Json event = fixture.collector.events(1)[0];
  CHECK(event["metadata"]["service_name"] == "gateway");
  CHECK(event["metadata"]["instance_id"] == "gateway-1");
  CHECK(event["metadata"]["environment"] == "test");
  CHECK(event["metadata"]["process_id"] == getpid());
  CHECK(event["trace_id"] == to_uuid(scope.context().tie().trace_id));
  CHECK(contains(event["kind"]["StateChange"]["location"].get<std::string>(), "client_test.cpp:"));
  CHECK(fixture.collector.authorization() == "Bearer top-secret");
}

TEST_CASE("A quiet queue waits for flush_interval, and no longer") {
  CollectorFixture fixture;
  Client client({.endpoint = fixture.collector.url(), .flush_interval = 0.2});
  const Scope scope(client);
  const auto began = std::chrono::steady_clock::now();
  client.track_custom("note");
  fixture.collector.events(1);
  CHECK(std::chrono::steady_clock::now() - began < 20s);
}

TEST_CASE("request() sends the trace's headers, the request's own win, and the key goes to nobody") {
  Fixture fixture;
  fixture.collector.answer("/reserve", HttpReply{.status = 201,
                                                 .body = R"({"total": 40})",
                                                 .headers = {{"X-Answer", " yes "}, {"Set-Cookie", "c=1"}}});
  const std::string parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const HeaderMap incoming = {{"traceparent", parent}, {"tracestate", "vendor=1"}};
  const Scope scope(fixture.client, incoming);
  const auto answer = fixture.client.request(
      "post", fixture.service("/reserve"),
      {.headers = {{"TraceState", "mine=2"}, {"X-Own", "1"}, {"X-Empty", ""}}, .json = {{"orderId", 7}}});
  CHECK(answer.status == 201);
  CHECK(answer.json()["total"] == 40);
  CHECK(answer.headers.at("x-answer") == "yes");
  const HttpRequest sent = fixture.collector.requests().at(0);
  CHECK(sent.method == "POST");
  CHECK(sent.body == R"({"orderId":7})");
  CHECK(sent.header("content-type") == "application/json");
  CHECK(sent.header("traceparent").starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
  CHECK(sent.header("traceparent") != parent);
  CHECK(sent.header("tracestate") == "mine=2");
  CHECK(sent.header("raceway-clock") != "");
  CHECK(sent.header("x-own") == "1");
  std::set<std::string> names;
  for (const auto& [name, value] : sent.headers) {
    CHECK_MESSAGE(names.insert(name).second, name);
    CHECK_MESSAGE(!contains(value, "top-secret"), name);
  }
  CHECK(names.contains("x-empty"));
  CHECK_FALSE(names.contains("authorization"));

  CHECK(fixture.client.shutdown());
  fixture.collector.events(2);
  const Json request = fixture.collector.kinds("HttpRequest").at(0);
  CHECK(request["method"] == "post");
  CHECK(request["url"] == fixture.service("/reserve"));
  CHECK(request["headers"]["X-Own"] == "1");
  CHECK(request["body"] == Json{{"orderId", 7}});
  const Json response = fixture.collector.kinds("HttpResponse").at(0);
  CHECK(response["status"] == 201);
  CHECK(response["headers"]["x-answer"] == "yes");
  CHECK(response["headers"]["set-cookie"] == "***");
}

TEST_CASE("Each request has a span of its own") {
  Fixture fixture;
  const Scope scope(fixture.client);
  std::set<std::string> parents;
  for (int i = 0; i < 3; ++i) fixture.client.request("GET", fixture.service("/none"));
  for (const HttpRequest& request : fixture.collector.requests())
    parents.insert(request.header("traceparent"));
  CHECK(parents.size() == 3);
}

TEST_CASE("What the other service did comes before what follows the answer") {
  Fixture fixture;
  Client stock({.endpoint = fixture.collector.url(), .service_name = "stock", .instance_id = "stock-1"});
  std::string execution;
  fixture.collector.answer("/reserve", [&](const HttpRequest& request) {
    execution = stock.begin_request(request.headers, request.method, request.path).execution();
    stock.track_state_change("stock", 5, 4);
    HttpReply reply;
    for (const auto& header : stock.end_request(200)) reply.headers.push_back(header);
    return reply;
  });
  const Scope scope(fixture.client);
  fixture.client.request("POST", fixture.service("/reserve"));
  fixture.client.track_custom("after");
  CHECK(fixture.client.shutdown());
  CHECK(stock.shutdown());
  bool has_seen_after = false;
  for (const Json& event : fixture.collector.events(6)) {
    CHECK(event["trace_id"] == to_uuid(scope.context().tie().trace_id));
    if (!event["kind"].contains("Custom")) continue;
    has_seen_after = true;
    const Json& clock = event["causality_vector"];
    CHECK_MESSAGE(std::ranges::find(clock, Json{execution, 3}) != clock.end(), clock.dump());
  }
  CHECK(has_seen_after);
}

TEST_CASE("Where nobody listens an Error is thrown, and recorded") {
  Fixture fixture;
  std::string nobody;
  {
    HttpServer gone([](const HttpRequest&) { return HttpReply(); });
    nobody = gone.url();
  }
  const Scope scope(fixture.client);
  CHECK(contains(fixture.failure("GET", nobody + "/x"), "GET " + nobody + "/x: "));
  CHECK(fixture.client.shutdown());
  fixture.collector.events(2);
  CHECK(fixture.collector.kinds("HttpRequest").size() == 1);
  const Json error = fixture.collector.kinds("Error").at(0);
  CHECK(error["error_type"] == "codewake::Error");
  CHECK(contains(error["message"].get<std::string>(), nobody));
}

TEST_CASE("A server that hangs, drops or cuts ends in an Error") {
  Fixture fixture;
  fixture.collector.answer("/hang", HttpReply{.way = HttpReply::Way::hang});
  fixture.collector.answer("/drop", HttpReply{.way = HttpReply::Way::drop});
  fixture.collector.answer("/cut", HttpReply{.body = std::string(100, 'x'), .way = HttpReply::Way::cut});
  CHECK(contains(fixture.failure("GET", fixture.service("/hang"), {.timeout = 100ms}), "imed out"));
  fixture.failure("GET", fixture.service("/drop"));
  fixture.failure("GET", fixture.service("/cut"));
}

TEST_CASE("Outside of a context a request is only sent") {
  Fixture fixture;
  fixture.collector.answer("/plain", HttpReply{.status = 503, .body = "busy"});
  const auto answer = fixture.client.request("GET", fixture.service("/plain"));
  CHECK(answer.status == 503);
  CHECK(answer.body == "busy");
  const HttpRequest sent = fixture.collector.requests().at(0);
  CHECK(sent.header("traceparent") == "");
  CHECK(sent.header("raceway-clock") == "");
  CHECK(sent.header("authorization") == "");
  CHECK(fixture.client.shutdown());
  CHECK(fixture.collector.events(0).empty());
}

TEST_CASE("A context of another tracer is none of its own") {
  Fixture fixture;
  Client other({.endpoint = fixture.collector.url()});
  const Scope scope(other);
  fixture.client.request("GET", fixture.service("/x"));
  CHECK(fixture.collector.requests().at(0).header("traceparent") == "");
}

TEST_CASE("A body is sent as it is, under the content type that is given and no other") {
  Fixture fixture;
  const std::string bytes("\0binary\xff\n", 9);
  fixture.client.request("PUT", fixture.service("/x"), {.body = bytes});
  fixture.client.request("POST", fixture.service("/x"));
  fixture.client.request("POST", fixture.service("/x"),
                         {.headers = {{"content-type", "application/x+json"}}, .json = Json::array()});
  fixture.client.request("PATCH", fixture.service("/x"), {.body = std::string(3u << 20, 'x')});
  fixture.client.request("POST", fixture.service("/x"), {.json = {{"text", "\xff"}}});
  fixture.client.request("HEAD", fixture.service("/x"));
  const std::vector<HttpRequest> sent = fixture.collector.requests();
  REQUIRE(sent.size() == 6);
  CHECK(sent[0].method == "PUT");
  CHECK(sent[0].body == bytes);
  CHECK(sent[0].header("content-type") == "");
  CHECK(sent[1].body == "");
  CHECK(sent[1].header("content-length") == "0");
  CHECK(sent[2].header("content-type") == "application/x+json");
  CHECK(sent[2].body == "[]");
  CHECK(sent[3].body.size() == 3u << 20);
  CHECK(sent[3].header("expect") == "");
  CHECK(sent[4].body == "{\"text\":\"\xef\xbf\xbd\"}");
  CHECK(sent[5].method == "HEAD");
}

TEST_CASE("Redirects are followed as browsers do, and secrets stay with their host") {
  Fixture fixture;
  Collector elsewhere;
  const auto to = [](int status, const std::string& where) {
    return HttpReply{.status = status, .headers = {{"Location", where}}};
  };
  fixture.collector.answer("/end", HttpReply{.body = "here"});
  elsewhere.answer("/end", HttpReply{.body = "there"});
  fixture.collector.answer("/found", to(302, "/end"));
  fixture.collector.answer("/other", to(303, "end"));
  fixture.collector.answer("/same", to(307, "/end"));
  fixture.collector.answer("/away", to(308, elsewhere.url() + "/end"));
  fixture.collector.answer("/round", to(302, "/round"));
  fixture.collector.answer("/file", to(302, "file:///etc/passwd"));
  fixture.collector.answer("/not-modified", to(304, "/end"));
  const raceway::RequestOptions options{
      .headers = {{"authorization", "mine"}, {"X-Own", "1"}, {"Private-Token", "mine"}}, .json = 7};
  const auto last = [&](std::string_view method, const std::string& path) {
    CHECK(fixture.client.request(method, fixture.service(path), options).body == "here");
    return fixture.collector.requests().back();
  };
  for (const char* path : {"/found", "/other"}) {
    const HttpRequest sent = last("POST", path);
    CHECK(sent.path == "/end");
    CHECK(sent.method == "GET");
    CHECK(sent.body == "");
    CHECK(sent.header("content-type") == "");
    CHECK(sent.header("authorization") == "mine");
    CHECK(sent.header("private-token") == "mine");
  }
  CHECK(last("PUT", "/other").method == "GET");
  const HttpRequest same = last("POST", "/same");
  CHECK(same.method == "POST");
  CHECK(same.body == "7");
  CHECK(fixture.client.request("POST", fixture.service("/away"), options).body == "there");
  const HttpRequest away = elsewhere.requests().at(0);
  CHECK(away.body == "7");
  CHECK(away.header("x-own") == "1");
  CHECK(away.header("authorization") == "");
  CHECK(away.header("private-token") == "");
  CHECK(contains(fixture.failure("GET", fixture.service("/round")), "again and again"));
  fixture.failure("GET", fixture.service("/file"));
  CHECK(fixture.client.request("GET", fixture.service("/not-modified")).status == 304);
}

TEST_CASE("Headers and methods that would be more than that are refused, and nothing is sent") {
  Fixture fixture;
  const std::string url = fixture.service("/x");
  for (const HeaderMap& headers :
       {HeaderMap{{"X", "a\r\nAuthorization: b"}}, HeaderMap{{"X", "a\nb"}}, HeaderMap{{"X\r\nY", "a"}},
        HeaderMap{{"X: Y", "a"}}, HeaderMap{{"", "a"}}, HeaderMap{{"X", std::string("a\0b", 3)}}}) {
    fixture.failure("GET", url, {.headers = headers});
  }
  fixture.failure("GET / HTTP/1.1\r\nX: y", url);
  fixture.failure("", url);
  fixture.failure("GET", url + " HTTP/1.1\r\nX: y");
  fixture.failure("GET", std::string("http://\0", 8));
  fixture.failure("GET", "");
  fixture.failure("GET", "file:///etc/passwd");
  CHECK(fixture.collector.requests().empty());
}

TEST_CASE("A password in a URL is neither recorded nor said") {
  Fixture fixture;
  const Scope scope(fixture.client);
  std::string url = fixture.service("/x");
  url.insert(7, "user:hidden-word@");
  fixture.client.request("GET", url);
  fixture.collector.stop();
  CHECK_FALSE(contains(fixture.failure("GET", url), "hidden-word"));
  fixture.collector.start();
  CHECK(fixture.client.shutdown());
  for (const Json& event : fixture.collector.events(4)) CHECK_FALSE(contains(event.dump(), "hidden-word"));
}

TEST_CASE("shutdown() sends what is left; what comes later is counted as lost") {
  CollectorFixture fixture;
  Client client({.endpoint = fixture.collector.url(), .flush_interval = 600});
  const Scope scope(client);
  for (int i = 0; i < 10; ++i) client.track_custom("note", i);
  CHECK(client.shutdown());
  CHECK(fixture.collector.kinds("Custom").size() == 10);
  CHECK(client.lost() == 0);
  client.track_custom("late");
  CHECK(client.lost() == 1);
  CHECK(client.shutdown());
}

TEST_CASE("A client that goes sends what is left") {
  CollectorFixture fixture;
  {
    Client client({.endpoint = fixture.collector.url(), .flush_interval = 600});
    const Scope scope(client);
    client.track_custom("note");
  }
  CHECK(fixture.collector.kinds("Custom").size() == 1);
}

TEST_CASE("What a server that was away has missed is sent by the next client with the same endpoint") {
  CollectorFixture fixture;
  const Variable exit_timeout("CODE_WAKE_QUEUE_EXIT_TIMEOUT", "100ms");
  const std::string url = fixture.collector.url();
  fixture.collector.stop();
  {
    Client client({.endpoint = url, .flush_interval = 0.01});
    const Scope scope(client);
    for (int i = 0; i < 20; ++i) client.track_custom("note", i);
    CHECK_FALSE(client.flush(50ms));
  }
  CHECK_FALSE(fixture.journal.runs().empty());
  fixture.collector.start();
  Client next({.endpoint = url, .flush_interval = 0.01});
  fixture.collector.events(20);
  CHECK(next.shutdown());
}

TEST_CASE("While the server is away nothing waits for it, and all is sent once it is back") {
  CollectorFixture fixture;
  const std::string url = fixture.collector.url();
  Client client({.endpoint = url, .flush_interval = 0.01});
  const Scope scope(client);
  fixture.collector.stop();
  for (int i = 0; i < 200; ++i) client.track_custom("note", i);
  CHECK_FALSE(client.flush(100ms));
  CHECK(client.store()->stats().queued == 200);
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (client.store()->stats().problem.empty() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(1ms);
  CHECK(contains(client.store()->stats().problem, url));
  fixture.collector.start();
  CHECK(client.flush(60s));
  fixture.collector.events(200);
  CHECK(client.lost() == 0);
}

TEST_CASE("What a killed program has recorded is sent by the next one") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  CollectorFixture fixture;
  const std::string url = fixture.collector.url();
  const ChildResult child = in_child([&] {
    Client client({.endpoint = url, .service_name = "killed", .flush_interval = 600});
    const Scope scope(client);
    for (int i = 0; i < 20; ++i) client.track_custom("note", i);
    kill(getpid(), SIGKILL);
  });
  REQUIRE(child.signal == SIGKILL);
  Client next({.endpoint = url, .service_name = "next", .flush_interval = 0.01});
  for (const Json& event : fixture.collector.events(20)) {
    CHECK(event["metadata"]["service_name"] == "killed");
    CHECK(event["metadata"]["process_id"] != getpid());
  }
  CHECK(next.shutdown());
}

TEST_CASE("What a killed program has recorded is sent by whoever recovers its journal") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  CollectorFixture fixture;
  const std::string url = fixture.collector.url();
  const ChildResult child = in_child([&] {
    Client client({.endpoint = url, .flush_interval = 600, .api_key = "top-secret"});
    const Scope scope(client);
    client.track_custom("note");
    kill(getpid(), SIGKILL);
  });
  REQUIRE(child.signal == SIGKILL);
  RacewayStore store(url);
  const auto runs = recover_journals(store, {.journal_folder = fixture.journal.path()});
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].state == JournalRun::State::recovered);
  CHECK(runs[0].stored_events == 1);
  fixture.collector.events(1);
}

TEST_CASE("A client that is never destroyed loses nothing at the program's end") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  CollectorFixture fixture;
  const std::string url = fixture.collector.url();
  const ChildResult child = in_child([&] {
    auto& client = *new Client({.endpoint = url, .flush_interval = 600});
    const Scope scope(client);
    client.track_custom("note");
  });
  REQUIRE_MESSAGE(child.exit_code == 0, child.err);
  Client next({.endpoint = url, .flush_interval = 0.01});
  fixture.collector.events(1);
  CHECK(next.shutdown());
}

TEST_CASE("debug says what is not recorded for want of a context, and nothing else does") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  CollectorFixture fixture;
  const std::string url = fixture.collector.url();
  for (const bool debug : {false, true}) {
    const ChildResult child = in_child([&] {
      Client client({.endpoint = url, .debug = debug});
      client.track_state_change("counter", 5, 6);
      client.request("GET", url + "/x");
    });
    CHECK(child.exit_code == 0);
    CHECK(child.err == (debug ? "codewake: track_state_change outside of a context: not recorded\n" : ""));
  }
}

TEST_CASE("The tracer of a process sends to the endpoint of its configuration") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  CollectorFixture fixture;
  const Collector others;
  const std::string url = fixture.collector.url();
  const ChildResult child = in_child([&] {
    setenv("CODE_WAKE_CONFIG", "", 1);
    setenv("CODE_WAKE_TRACING_ENDPOINT", url.c_str(), 1);
    setenv("RACEWAY_INSTANCE_ID", "shop-3", 1);
    setenv("RACEWAY_API_KEY", "key-of-the-environment", 1);
    const auto store = std::make_shared<RacewayStore>(others.url());
    Process& process = Process::instance({.app_name = "shop", .env_name = "production", .store = store});
    const Scope scope(process.tracer());
    process.tracer().track_state_change("stock", 5, 4);
    process.log({{"event", "order"}});
    if (!process.flush(30s)) throw std::runtime_error("not flushed");
    if (process.tracer().store()->identity() != "raceway+" + url) throw std::runtime_error("another store");
  });
  REQUIRE_MESSAGE(child.exit_code == 0, child.err);
  const Json event = fixture.collector.events(1)[0];
  CHECK(event["kind"]["StateChange"]["variable"] == "stock");
  CHECK(event["metadata"]["service_name"] == "shop");
  CHECK(event["metadata"]["environment"] == "production");
  CHECK(event["metadata"]["instance_id"] == "shop-3");
  CHECK(fixture.collector.authorization() == "Bearer key-of-the-environment");
  others.events(1);
  CHECK(others.kinds("Custom").at(0)["data"]["attributes"]["event"] == "order");
}

TEST_CASE("The section tracing has a say of its own, and the program's exit sends what is left") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  CollectorFixture fixture;
  const auto file = fixture.journal.parent().write(
      "code_wake.conf",
      fmt::format("tracing: {{endpoint: '{}', service_name: traced, instance_id: traced-1,\n"
                  "  environment: staging, batch_size: 10, flush_interval: 10m,\n"
                  "  api_key: key-of-the-file}}\n",
                  fixture.collector.url()));
  const ChildResult child = in_child([&] {
    setenv("CODE_WAKE_CONFIG", file.c_str(), 1);
    Process& process = Process::instance(
        {.app_name = "shop", .store = std::make_shared<RacewayStore>(fixture.collector.url())});
    const Scope scope(process.tracer());
    process.tracer().track_custom("note");
  });
  REQUIRE_MESSAGE(child.exit_code == 0, child.err);
  const std::vector<Json> events = fixture.collector.kinds("Custom");
  REQUIRE(events.size() == 1);
  const Json event = fixture.collector.events(1)[0];
  CHECK(event["metadata"]["service_name"] == "traced");
  CHECK(event["metadata"]["environment"] == "staging");
  CHECK(event["metadata"]["instance_id"] == "traced-1");
  CHECK(fixture.collector.authorization() == "Bearer key-of-the-file");
}

TEST_CASE("An endpoint that is none is refused when the tracer is asked for") {
  const ChildResult child = in_child([&] {
    setenv("CODE_WAKE_CONFIG", "", 1);
    setenv("CODE_WAKE_TRACING_ENDPOINT", "no server", 1);
    Process& process = Process::instance(
        {.app_name = "shop", .store = std::make_shared<RacewayStore>("http://127.0.0.1:9")});
    try {
      process.tracer();
    } catch (const PluginError& error) {
      if (contains(error.what(), "no server")) return;
      throw;
    }
    throw std::runtime_error("no PluginError");
  });
  CHECK_MESSAGE(child.exit_code == 0, child.err);
}

}  // namespace
}  // namespace codewake::testing
