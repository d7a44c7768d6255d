// Requests whose handlers throw, in servers of cpp-httplib.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <httplib.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "codewake/httplib_tracing.hpp"
#include "codewake/process.hpp"
#include "process/scripted_store.hpp"
#include "process/show.hpp"
#include "support/child.hpp"

namespace codewake::testing {
namespace {

class OutOfStock : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[gnu::noinline]] void take_from_shelf(int shelf) {
  if (shelf > 8) throw OutOfStock("shelf 9\r\nis empty");
  if (shelf < 0) throw shelf;
}

/// Listens for as long as it lives.
class Listening {
 public:
  explicit Listening(httplib::Server& server) : server_(server), port_(server.bind_to_any_port("127.0.0.1")) {
    thread_ = std::thread([&server] { server.listen_after_bind(); });
    while (!server.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
  ~Listening() {
    server_.stop();
    thread_.join();
  }

  std::string get(const std::string& path) const {
    httplib::Client client("127.0.0.1", port_);
    client.set_read_timeout(
        std::chrono::minutes(2));  // a first stack that is resolved under load takes a while
    const auto answer = client.Get(path);
    if (!answer) return "no answer";
    return fmt::format("{} {} {}", answer->status, answer->get_header_value("EXCEPTION_WHAT"), answer->body);
  }

 private:
  httplib::Server& server_;
  int port_;
  std::thread thread_;
};

void add_shelves(httplib::Server& server) {
  server.Get("/shelf/9", [](const auto&, auto&) { take_from_shelf(9); });
  server.Get("/shelf/none", [](const auto&, auto&) { take_from_shelf(-1); });
  server.Get("/shelf/1", [](const auto&, auto& response) {
    take_from_shelf(1);
    response.set_content("a book", "text/plain");
  });
}

template <class Body>
ChildResult with_process(Body body) {
  return in_child([&] {
    const auto store = std::make_shared<ScriptedStore>();
    body(Process::instance({.store = store}), *store);
  });
}

/// What was recorded of the traces, and the events with their traces.
void print_all(ScriptedStore& store) {
  for (const TraceEventRecord& event : store.get_trace_events({}).events)
    fmt::print("{} {}\n", to_string(event.kind), event.texts.name);
  const auto traces = store.get_traces({});
  for (const TraceSummary& trace : traces) fmt::print("errors {}\n", trace.errors);
  for (const EventRecord& event : store.get_events_by_data({})) {
    const bool is_of_trace = event.trace && traces.size() == 1 && event.trace->trace_id == traces[0].trace_id;
    fmt::print("{}{}\n", show(event.data), is_of_trace ? " of the trace" : "");
    for (const Frame& frame : event.frames) {
      if (frame.function.find("take_from_shelf") != std::string::npos) fmt::print("  {}\n", frame.function);
    }
  }
}

constexpr const char* kFunction = "  codewake::testing::(anonymous namespace)::take_from_shelf(int)\n";

}  // namespace

TEST_CASE("A request's handler that throws is recorded with type, message and stack, and answered with 500") {
  const ChildResult child = with_process([](Process& process, ScriptedStore& store) {
    httplib::Server server;
    trace_requests(server, process.tracer());
    add_shelves(server);
    fmt::print("{}\n", Listening(server).get("/shelf/9"));
    print_all(store);
  });
  CHECK(child.err == "");
  CHECK(child.out == std::string("500 shelf 9\\r\\nis empty \n"
                                 "HttpRequest GET /shelf/9\n"
                                 "Error codewake::testing::(anonymous namespace)::OutOfStock\n"
                                 "HttpResponse 500\n"
                                 "errors 1\n"
                                 "event=codewake.failed_request http.method=GET http.path=/shelf/9 "
                                 "exception.type=codewake::testing::(anonymous namespace)::OutOfStock "
                                 "exception.message=shelf 9\r\nis empty of the trace\n") +
                         kFunction);
}

TEST_CASE("A request's handler that throws something else, and one that does not") {
  const ChildResult child = with_process([](Process& process, ScriptedStore& store) {
    httplib::Server server;
    trace_requests(server, process.tracer());
    add_shelves(server);
    const Listening listening(server);
    fmt::print("{}\n{}\n", listening.get("/shelf/none"), listening.get("/shelf/1"));
    for (const EventRecord& event : store.get_events_by_data({})) fmt::print("{}\n", show(event.data));
  });
  CHECK(child.err == "");
  CHECK(child.out ==
        "500 UNKNOWN \n"
        "200  a book\n"
        "event=codewake.failed_request http.method=GET http.path=/shelf/none exception.type=int\n");
}

TEST_CASE("A program's own handler of exceptions answers, and the exception is recorded all the same") {
  const ChildResult child = with_process([](Process& process, ScriptedStore& store) {
    httplib::Server server;
    trace_requests(server, process.tracer(), {}, {}, [](const auto&, auto& response, auto&&) {
      response.status = 503;
      response.set_content("come back later", "text/plain");
    });
    add_shelves(server);
    fmt::print("{}\n", Listening(server).get("/shelf/9"));
    for (const TraceSummary& trace : store.get_traces({})) fmt::print("errors {}\n", trace.errors);
    fmt::print("{} event\n", store.get_events_by_data({}).size());
  });
  CHECK(child.err == "");
  CHECK(child.out == "503  come back later\nerrors 1\n1 event\n");
}

}  // namespace codewake::testing
