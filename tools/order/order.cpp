// Three services that take an order together, for `tools/demo`: a gateway, which asks an inventory for the
// goods and a payment service for the money. Each is a process of its own; one trace goes through all of
// them.
//
//   order inventory PORT_FILE
//   order payment PORT_FILE
//   order gateway PORT_FILE INVENTORY_PORT PAYMENT_PORT
//   order place GATEWAY_PORT CUSTOMER GOODS
#include <httplib.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "codewake/codewake.hpp"
#include "codewake/httplib_tracing.hpp"
#include "codewake/visible.hpp"

namespace {

using codewake::Process;
using codewake::Tracer;
using nlohmann::json;

constexpr const char* kHost = "127.0.0.1";
constexpr const char* kJson = "application/json";

int parse_port(const std::string& text) {
  int port = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), port).ec != std::errc() || port <= 0) {
    throw std::invalid_argument("'" + text + "' is no port");
  }
  return port;
}

json ask(httplib::Client& service, const std::string& path, const json& body) {
  httplib::Request request;
  request.method = "POST";
  request.path = path;
  request.body = body.dump();
  request.set_header("Content-Type", kJson);
  const httplib::Result answer = codewake::send(service, request, Process::instance().tracer());
  if (!answer) throw std::runtime_error("no answer to " + path);
  if (answer->status != 200) throw std::runtime_error(path + " says " + std::to_string(answer->status));
  return json::parse(answer->body);
}

/// The stock is shared by all requests, and every access to it is recorded.
class Inventory {
 public:
  void serve(httplib::Server& server) {
    server.Post("/reserve", [this](const httplib::Request& request, httplib::Response& response) {
      const json order = json::parse(request.body);
      const int price =
          Process::instance().tracer().track_function("reserve", order, [&] { return reserve(); });
      response.set_content(json{{"reserved", order["goods"]}, {"price", price}}.dump(), kJson);
    });
  }

 private:
  int reserve() {
    const std::lock_guard lock(mutex_);
    if (stock_.get() == 0) throw std::runtime_error("sold out");
    stock_.update([](int stock) { return stock - 1; });
    return 40;
  }

  codewake::TracedMutex<> mutex_{"inventory"};
  codewake::Traced<int> stock_{"stock", 5};
};

void serve_payment(httplib::Server& server) {
  server.Post("/charge", [](const httplib::Request& request, httplib::Response& response) {
    const json order = json::parse(request.body);
    Tracer& tracer = Process::instance().tracer();
    const int amount = order["amount"];
    tracer.track_database_query("accounts", "UPDATE accounts SET balance = balance - ? WHERE customer = ?");
    tracer.track_state_change(order["customer"].get<std::string>() + ".balance", 100, 100 - amount);
    tracer.track_database_result("accounts", 1);
    Process::instance().log(
        {{"event", "charged"}, {"customer", order["customer"].get<std::string>()}, {"amount", amount}});
    response.set_content(json{{"charged", amount}}.dump(), kJson);
  });
}

void serve_gateway(httplib::Server& server, int inventory_port, int payment_port) {
  server.Post("/order", [=](const httplib::Request& request, httplib::Response& response) {
    json order = json::parse(request.body);
    Process::instance().tracer().track_function_call("create_order", order);
    httplib::Client inventory(kHost, inventory_port);
    order["amount"] = ask(inventory, "/reserve", order)["price"];
    auto charged = codewake::spawn(
        [order, payment_port] {
          httplib::Client payment(kHost, payment_port);
          return ask(payment, "/charge", order)["charged"].get<int>();
        },
        "charge");
    Process::instance().log({{"event", "order"}, {"customer", order["customer"].get<std::string>()}});
    response.set_content(json{{"goods", order["goods"]}, {"paid", charged.get()}}.dump(), kJson);
  });
}

// Until SIGTERM or SIGINT, which only this thread gets.
void listen(httplib::Server& server, const std::string& port_file) {
  codewake::trace_requests(server, Process::instance().tracer());
  const int port = server.bind_to_any_port(kHost);
  if (port < 0) throw std::runtime_error("no port is free");
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  std::thread listener([&] { server.listen_after_bind(); });
  // Written under another name first: whoever sees the file sees the whole number.
  std::ofstream(port_file + ".new") << port << "\n";
  std::rename((port_file + ".new").c_str(), port_file.c_str());
  int signal = 0;
  sigwait(&ends, &signal);
  server.stop();
  listener.join();
}

int place(int port, const std::string& customer, const std::string& goods) {
  httplib::Client gateway(kHost, port);
  const httplib::Result answer =
      gateway.Post("/order", json{{"customer", customer}, {"goods", goods}}.dump(), kJson);
  if (!answer) throw std::runtime_error("the gateway does not answer");
  std::printf("%d %s\n", answer->status, answer->body.c_str());
  return answer->status == 200 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int run(const std::vector<std::string>& words) {
  httplib::Server server;
  Inventory inventory;
  if (words.size() == 4 && words[0] == "place") return place(parse_port(words[1]), words[2], words[3]);
  if (words.size() == 2 && words[0] == "inventory") {
    inventory.serve(server);
  } else if (words.size() == 2 && words[0] == "payment") {
    serve_payment(server);
  } else if (words.size() == 4 && words[0] == "gateway") {
    serve_gateway(server, parse_port(words[2]), parse_port(words[3]));
  } else {
    std::fprintf(stderr,
                 "Usage: order inventory|payment PORT_FILE, order gateway PORT_FILE PORT PORT, "
                 "order place PORT CUSTOMER GOODS\n");
    return 2;
  }
  listen(server, words[1]);
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    codewake::say_on_stderr({"order: ", error.what()});
    return EXIT_FAILURE;
  }
}
