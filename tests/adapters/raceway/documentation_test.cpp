// The examples of the adapter's README, which are those of Raceway's SDK for Python, written in C++: they are
// this file's own text, and run here. The world around them is a proxy: it is every server that they name.
#include <doctest/doctest.h>
#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "adapters/raceway/collector.hpp"
#include "adapters/writing.hpp"
#include "codewake/httplib_tracing.hpp"
#include "codewake/raceway.hpp"
#include "codewake/trace_tasks.hpp"
#include "codewake/traced.hpp"
#include "support/child.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

using json = nlohmann::json;

struct World : CollectorFixture {
  Variable proxy{"http_proxy", collector.url()};
  Variable no_proxy{"no_proxy", ""};
};

/// The services that the examples call.
struct Services : World {
  Services() {
    for (const char* url : {"http://inventory-service/reserve", "http://inventory-service:3001/reserve"})
      collector.answer(url, HttpReply{.body = R"({"total": 40})"});
    for (const char* url :
         {"http://payment-service/charge", "http://payment-service:3002/charge", "http://downstream/api"})
      collector.answer(url, HttpReply{.body = "{}"});
  }
};

/// A server of cpp-httplib that listens for as long as this lives.
class Listening {
 public:
  explicit Listening(httplib::Server& server)
      : server_(server),
        port_(server.bind_to_any_port("127.0.0.1")),
        thread_([&] { server_.listen_after_bind(); }) {
    while (!server_.is_running()) std::this_thread::yield();
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
  ~Listening() {
    server_.stop();
    thread_.join();
  }

  /// The status, and the body.
  std::string post(const std::string& path, const json& body) const {
    httplib::Client client("127.0.0.1", port_);
    const auto answer = client.Post(path, body.dump(), "application/json");
    return answer ? std::to_string(answer->status) + " " + answer->body : to_string(answer.error());
  }

 private:
  httplib::Server& server_;
  const int port_;
  std::thread thread_;
};

/// All of one trace.
std::vector<json> one_trace(const World& world, std::size_t count) {
  const std::vector<json> events = world.collector.events(count);
  for (const json& event : events) CHECK(event["trace_id"] == events[0]["trace_id"]);
  return events;
}

// ── the examples ──

TEST_CASE("Documentation: the middleware") {
  World world;
  std::map<std::string, int> accounts = {{"alice", 100}};

  codewake::raceway::Client raceway(
      {.endpoint = "http://localhost:8080", .service_name = "my-service", .instance_id = "instance-1"});

  httplib::Server server;
  codewake::trace_requests(server, raceway);

  server.Post("/transfer", [&](const httplib::Request& request, httplib::Response& response) {
    const json data = json::parse(request.body);
    const std::string variable = data["from"].get<std::string>() + ".balance";
    raceway.track_function_call("transfer", data);

    int& balance = accounts[data["from"]];
    const int before = balance;
    raceway.track_state_change(variable, nullptr, before, codewake::Access::read);
    balance -= data["amount"].get<int>();
    raceway.track_state_change(variable, before, balance, codewake::Access::write);

    response.set_content(R"({"success": true})", "application/json");
  });

  {
    const Listening listening(server);
    CHECK(listening.post("/transfer", {{"from", "alice"}, {"amount", 30}}) == R"(200 {"success": true})");
  }
  CHECK(raceway.shutdown());
  const std::vector<json> events = one_trace(world, 5);
  CHECK(events[0]["kind"]["HttpRequest"]["method"] == "POST");
  CHECK(events[1]["kind"]["FunctionCall"]["args"] == json{{"from", "alice"}, {"amount", 30}});
  CHECK(events[2]["kind"]["StateChange"]["access_type"] == "Read");
  CHECK(events[3]["kind"]["StateChange"]["old_value"] == 100);
  CHECK(events[3]["kind"]["StateChange"]["new_value"] == 70);
  CHECK(events[4]["kind"]["HttpResponse"]["status"] == 200);
  CHECK(events[4]["metadata"]["service_name"] == "my-service");
  CHECK(events[4]["metadata"]["instance_id"] == "instance-1");
}

TEST_CASE("Documentation: without a key, and without more than it needs") {
  World world;
  codewake::raceway::Client raceway({.endpoint = "http://localhost:8080", .service_name = "my-service"});
  httplib::Server server;
  codewake::trace_requests(server, raceway);
  server.Post("/transfer",
              [](const httplib::Request&, httplib::Response&) { throw std::out_of_range("no"); });
  {
    const Listening listening(server);
    CHECK(listening.post("/transfer", {}).starts_with("500"));
    CHECK(listening.post("/nothing", {}).starts_with("404"));
  }
  CHECK(raceway.shutdown());
  world.collector.events(5);
  CHECK(world.collector.kinds("HttpRequest").size() == 2);
  CHECK(world.collector.kinds("Error").at(0)["message"] == "no");
  CHECK(world.collector.kinds("HttpResponse").size() == 2);
  CHECK(world.collector.authorization() == "");
}

TEST_CASE("Documentation: a key") {
  World world;
  const Variable variable("RACEWAY_API_KEY", "key");
  const char* const key = std::getenv("RACEWAY_API_KEY");

  codewake::raceway::Client raceway(
      {.endpoint = "http://localhost:8080", .service_name = "my-service", .api_key = key});

  const codewake::Scope scope(raceway);
  raceway.track_custom("note");
  CHECK(raceway.shutdown());
  world.collector.events(1);
  CHECK(world.collector.authorization() == "Bearer key");
}

TEST_CASE("Documentation: headers for calls of one's own") {
  World world;
  codewake::raceway::Client raceway({.endpoint = "http://localhost:8080", .service_name = "api-gateway"});
  std::vector<std::string> seen;
  httplib::Server both;
  const auto see = [&](const httplib::Request& request, httplib::Response& response) {
    seen.push_back(request.get_header_value("traceparent") + request.body);
    CHECK(request.has_header("raceway-clock"));
    response.set_content("{}", "application/json");
  };
  both.Post("/reserve", see);
  both.Post("/charge", see);
  const int port = both.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { both.listen_after_bind(); });
  httplib::Client inventory("127.0.0.1", port), payment("127.0.0.1", port);
  httplib::Server server;
  codewake::trace_requests(server, raceway);

  server.Post("/checkout", [&](const httplib::Request& request, httplib::Response& response) {
    const json order = {{"orderId", json::parse(request.body)["orderId"]}};

    const codewake::HeaderMap added = raceway.propagation_headers();  // for one call: it has its own span
    const httplib::Headers headers(added.begin(), added.end());
    const auto reserved = inventory.Post("/reserve", headers, order.dump(), "application/json");
    if (reserved) raceway.receive(reserved->headers);

    httplib::Request charge;  // or all of that in one: headers, events, and what the answer says
    charge.method = "POST";
    charge.path = "/charge";
    charge.body = order.dump();
    const auto charged = codewake::send(payment, charge, raceway);

    response.status = reserved && charged ? 200 : 502;
  });

  {
    const Listening listening(server);
    CHECK(listening.post("/checkout", {{"orderId", 7}}).starts_with("200"));
  }
  both.stop();
  thread.join();
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].ends_with(R"({"orderId":7})"));
  CHECK(seen[1].ends_with(R"({"orderId":7})"));
  CHECK(seen[0] != seen[1]);
  CHECK(seen[0].substr(0, 35) == seen[1].substr(0, 35));
  CHECK(raceway.shutdown());
  one_trace(world, 4);
}

TEST_CASE("Documentation: the request wrapper, and headers of one's own") {
  Services world;
  codewake::raceway::Client raceway({.endpoint = "http://localhost:8080"});
  const codewake::Scope scope(raceway);
  const std::string url = "http://downstream/api";
  const json data = {{"orderId", 7}};

  const auto response = raceway.request("POST", url, {.json = data});

  const auto headers = raceway.propagation_headers({{"x-custom", "value"}});
  const auto same = raceway.request("POST", "http://downstream/api", {.headers = headers, .json = data});

  CHECK(response.status == 200);
  CHECK(same.status == 200);
  const std::vector<HttpRequest> sent = world.collector.requests();
  REQUIRE(sent.size() == 2);
  CHECK(sent[0].body == data.dump());
  CHECK(sent[1].header("x-custom") == "value");
  CHECK(sent[1].header("traceparent") == headers.at("traceparent"));
}

TEST_CASE("Documentation: outside of a request there are no headers") {
  World world;
  codewake::raceway::Client raceway;
  CHECK_THROWS_AS(raceway.propagation_headers(), std::logic_error);
}

TEST_CASE("Documentation: the configuration") {
  const JournalFolder journal;
  const Variable variable("CODE_WAKE_QUEUE_JOURNAL", journal.path().string());

  const codewake::raceway::Config config{.endpoint = "http://localhost:8080",
                                         .service_name = "unknown-service",
                                         .instance_id = std::nullopt,  // $RACEWAY_INSTANCE_ID, or host-PID
                                         .environment = "development",
                                         .batch_size = 50,
                                         .flush_interval = 1.0,  // seconds
                                         .debug = false,
                                         .api_key = std::nullopt};  // $RACEWAY_API_KEY, or none

  codewake::raceway::Client raceway(config);
  CHECK(raceway.options().service_name == codewake::raceway::Config().service_name);
}

TEST_CASE("Documentation: what can be tracked") {
  World world;
  codewake::raceway::Client raceway({.endpoint = "http://localhost:8080"});
  const codewake::Scope scope(raceway);

  raceway.track_state_change("counter", nullptr, 5, codewake::Access::read);
  raceway.track_state_change("counter", 5, 6, codewake::Access::write);

  raceway.track_function_call("process_payment", {{"userId", 123}, {"amount", 50}});

  raceway.track_http_request("POST", "/api/users");

  raceway.track_http_response(200, {}, nullptr, std::chrono::milliseconds(45));

  CHECK(raceway.shutdown());
  const std::vector<json> events = one_trace(world, 5);
  CHECK(events[0]["kind"]["StateChange"]["old_value"].is_null());
  CHECK(events[0]["kind"]["StateChange"]["new_value"] == 5);
  CHECK(events[1]["kind"]["StateChange"]["access_type"] == "Write");
  CHECK(events[2]["kind"]["FunctionCall"]["args"] == json{{"userId", 123}, {"amount", 50}});
  CHECK(events[3]["kind"]["HttpRequest"]["url"] == "/api/users");
  CHECK(events[4]["kind"]["HttpResponse"]["duration_ms"] == 45);
}

TEST_CASE("Documentation: the other types of events") {
  World world;
  codewake::raceway::Client raceway({.endpoint = "http://localhost:8080"});
  const codewake::Scope scope(raceway);
  const auto charge = [] { return 50; };

  raceway.track_function_return("process_payment", {{"paid", true}});
  raceway.track_function("charge", {{"amount", 50}}, charge);  // call, and return or error

  const codewake::TraceEventId task = raceway.track_async_spawn("send_mail");
  raceway.track_async_await(task);

  raceway.track_lock_acquire("accounts");
  raceway.track_lock_release("accounts");

  raceway.track_error("PaymentError", "card declined");
  raceway.track_error(std::runtime_error("card declined"));

  raceway.track_database_query("shop", "SELECT 1");
  raceway.track_database_result("shop", 1);
  raceway.track_custom("checked", {{"rule", 7}});

  CHECK(raceway.shutdown());
  const std::vector<json> events = one_trace(world, 12);
  CHECK(events[0]["kind"]["Custom"]["name"] == "FunctionReturn");
  CHECK(events[1]["kind"]["FunctionCall"]["function_name"] == "charge");
  CHECK(events[2]["kind"]["Custom"]["data"]["return_value"] == 50);
  CHECK(events[3]["kind"]["AsyncSpawn"]["task_id"] == events[4]["kind"]["AsyncAwait"]["future_id"]);
  CHECK(events[5]["kind"]["LockAcquire"]["lock_id"] == "accounts");
  CHECK(events[6]["kind"].contains("LockRelease"));
  CHECK(events[7]["kind"]["Error"]["error_type"] == "PaymentError");
  CHECK(events[8]["kind"]["Error"]["error_type"] == "std::runtime_error");
  CHECK(events[9]["kind"]["DatabaseQuery"]["query"] == "SELECT 1");
  CHECK(events[10]["kind"]["DatabaseResult"]["rows_affected"] == 1);
  CHECK(events[11]["kind"]["Custom"]["data"]["rule"] == 7);
}

TEST_CASE("Documentation: threads, and what records itself") {
  World world;
  codewake::raceway::Client raceway({.endpoint = "http://localhost:8080"});
  const codewake::Scope scope(raceway);

  codewake::TracedMutex<> mutex("accounts");
  codewake::Traced<int> balance("alice.balance", 100);

  auto paid = codewake::spawn([&] {  // a std::thread with an execution of its own
    const std::lock_guard lock(mutex);
    return balance.update([](int before) { return before - 30; });
  });
  std::jthread worker(codewake::bind([&] { raceway.track_custom("mail sent"); }));

  CHECK(paid.get() == 70);  // from here on, all of it lies before

  worker.join();
  CHECK(raceway.shutdown());
  const std::vector<json> events = one_trace(world, 8);
  CHECK(world.collector.kinds("AsyncSpawn").size() == 2);
  CHECK(world.collector.kinds("AsyncAwait").size() == 1);
  for (const json& event : events) {
    if (event["kind"].contains("StateChange")) CHECK(event["lock_set"] == json{"accounts"});
  }
}

TEST_CASE("Documentation: the end of a program") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  World world;
  const ChildResult child = in_child([] {
    codewake::raceway::Client raceway({.endpoint = "http://localhost:8080", .flush_interval = 600});
    const codewake::Scope scope(raceway);
    raceway.track_custom("note");

    raceway.shutdown();
  });
  CHECK_MESSAGE(child.exit_code == 0, child.err);
  CHECK(world.collector.kinds("Custom").size() == 1);
}

TEST_CASE("Documentation: a service in the middle") {
  Services world;

  codewake::raceway::Client raceway(
      {.endpoint = "http://localhost:8080", .service_name = "api-gateway", .instance_id = "gateway-1"});

  httplib::Server server;
  codewake::trace_requests(server, raceway);

  server.Post("/order", [&](const httplib::Request& request, httplib::Response& response) {
    const json order_id = json::parse(request.body)["orderId"];
    raceway.track_function_call("createOrder", {{"orderId", order_id}});

    const auto inventory =
        raceway.request("POST", "http://inventory-service:3001/reserve", {.json = {{"orderId", order_id}}});
    const json total = inventory.json()["total"];
    raceway.request("POST", "http://payment-service:3002/charge",
                    {.json = {{"orderId", order_id}, {"amount", total}}});

    response.set_content(json{{"success", true}, {"orderId", order_id}}.dump(), "application/json");
  });

  {
    const Listening listening(server);
    CHECK(listening.post("/order", {{"orderId", 7}}) == R"(200 {"orderId":7,"success":true})");
  }
  CHECK(raceway.shutdown());
  const std::vector<json> events = one_trace(world, 7);
  CHECK(events[1]["kind"]["FunctionCall"]["args"]["orderId"] == 7);
  CHECK(world.collector.kinds("HttpRequest").size() == 3);
  CHECK(world.collector.kinds("HttpResponse").size() == 3);
  const std::vector<HttpRequest> calls = world.collector.requests();
  REQUIRE(calls.size() == 2);
  CHECK(calls[1].body == R"({"amount":40,"orderId":7})");
  CHECK(calls[0].header("traceparent").substr(0, 35) == calls[1].header("traceparent").substr(0, 35));
  CHECK(calls[0].header("traceparent") != calls[1].header("traceparent"));
}

TEST_CASE("Documentation: what debug says") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  World world;
  const ChildResult child = in_child([] {
    codewake::raceway::Client raceway({.debug = true});
    raceway.track_state_change("counter", 5, 6);
  });
  CHECK(contains(child.err, "track_state_change outside of a context"));
}

// ── and the text ──

std::string_view trimmed(std::string_view line) {
  const std::size_t begin = std::min(line.find_first_not_of(' '), line.size());
  return line.substr(begin);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.emplace_back(trimmed(line));
  return lines;
}

TEST_CASE("Each example of the adapter's README is the text of code that is compiled and run") {
  const std::vector<std::string> readme = lines_of(read_file(test_data("../../adapters/raceway/README.md")));
  std::vector<std::string> code;
  for (const char* source : {"documentation_test.cpp", "beast_test.cpp"}) {
    const std::string path = std::string("../adapters/raceway/") + source;
    for (std::string& line : lines_of(read_file(test_data(path)))) code.push_back(std::move(line));
  }
  int blocks = 0;
  auto begin = std::ranges::find(readme, "```cpp");
  while (begin != readme.end()) {
    const auto end = std::find(++begin, readme.end(), "```");
    REQUIRE(end != readme.end());
    const bool is_there = std::search(code.begin(), code.end(), begin, end) != code.end();
    CHECK_MESSAGE(is_there, "the example that begins with: " << *begin);
    ++blocks;
    begin = std::find(end, readme.end(), "```cpp");
  }
  CHECK(blocks >= 14);
}

}  // namespace
}  // namespace codewake::testing
