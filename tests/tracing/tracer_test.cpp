#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "codewake/process.hpp"
#include "support/child.hpp"
#include "traced_program.hpp"

namespace codewake::testing {
namespace {

const HeaderMap kIncoming = {{"Traceparent", "00-11111111222233334444555555555555-aaaaaaaaaaaaaaaa-00"},
                             {"TRACESTATE", "v=1,w=2"}};

TEST_CASE("Outside of a context nothing is recorded, and there are no headers") {
  TracedProgram program;
  program.tracer.track_state_change("x", 1, 2);
  program.tracer.track_function_call("f");
  program.tracer.track_lock_acquire("l");
  program.tracer.receive(kIncoming);
  CHECK(program.tracer.end_request(200).empty());
  CHECK(program.events().empty());
  CHECK_THROWS_AS(program.tracer.propagation_headers(), std::logic_error);
  CHECK_FALSE(Context::current());
}

TEST_CASE("A context of another tracer is none") {
  TracedProgram ours, theirs;
  const Scope scope(theirs.tracer);
  ours.tracer.track_custom("not ours");
  CHECK(ours.events().empty());
  CHECK_THROWS_AS(ours.tracer.propagation_headers(), std::logic_error);
}

TEST_CASE("An event has its place, its order, and who it is of") {
  TracedProgram program;
  const Scope scope(program.tracer);
  program.tracer.track_state_change("counter", 5, 6);
  const int line = __LINE__ - 1;
  program.tracer.track_state_change("counter", nullptr, 6, Access::read);
  const auto events = program.events();
  REQUIRE(events.size() == 2);
  const TraceEventRecord& write = events[0];
  CHECK(write.kind == TraceKind::state_change);
  CHECK(write.access == Access::write);
  CHECK(write.texts.name == "counter");
  CHECK(write.line == line);
  CHECK(write.texts.file.ends_with("tracer_test.cpp"));
  CHECK(write.texts.service == "shop");
  CHECK(write.texts.instance == "one");
  CHECK(write.texts.environment == "test");
  CHECK(write.texts.execution == "shop#one#" + to_hex(write.span_id));
  CHECK(write.step == 1);
  CHECK(write.parent_id.empty());
  CHECK(write.upstream_span_id.empty());
  CHECK(write.texts.clock == "[[\"" + write.texts.execution + "\",1]]");
  CHECK(write.texts.locks == "[]");
  CHECK(write.texts.data == R"({"old_value":5,"new_value":6})");
  CHECK(events[1].step == 2);
  CHECK(events[1].parent_id == write.id);
  CHECK(events[1].trace_id == write.trace_id);
  CHECK(events[1].id != write.id);
  CHECK_FALSE(write.trace_id.empty());
}

TEST_CASE("Values are taken as JSON, whatever they are, at the call") {
  TracedProgram program;
  const Scope scope(program.tracer);
  const auto written = [&](const TraceValue& value) {
    program.tracer.track_custom("value", value);
    return program.events().back().texts.data;
  };
  CHECK(written(nullptr) == R"({"data":null})");
  CHECK(written(true) == R"({"data":true})");
  CHECK(written(-3) == R"({"data":-3})");
  CHECK(written(std::numeric_limits<std::uint64_t>::max()) == R"({"data":18446744073709551615})");
  CHECK(written(2.5) == R"({"data":2.5})");
  CHECK(written(std::nan("")) == R"({"data":null})");
  CHECK(written(-std::numeric_limits<float>::infinity()) == R"({"data":null})");
  CHECK(written("quote \" and \\ and \n and \x01") == R"({"data":"quote \" and \\ and \n and \u0001"})");
  CHECK(written(std::string_view("nul\0", 4)) == "{\"data\":\"nul\u2400\"}");
  CHECK(written("\xED\xA0\x80 bad") == nlohmann::json{{"data", "\uFFFD\uFFFD\uFFFD bad"}}.dump());
  CHECK(written('c') == R"({"data":"c"})");
  CHECK(written(std::optional<int>()) == R"({"data":null})");
  CHECK(written(std::vector<int>{1, 2}) == R"({"data":[1,2]})");
  CHECK(written(std::map<std::string, double>{{"a", 0.5}}) == R"({"data":{"a":0.5}})");
  CHECK(written({{"userId", 123}, {"tags", {"a", "b"}}}) == R"({"data":{"tags":["a","b"],"userId":123}})");
  CHECK(written(nlohmann::json("bad \xFF")) == nlohmann::json{{"data", "bad \uFFFD"}}.dump());
  nlohmann::json changing = {{"amount", 1}};
  program.tracer.track_state_change("order", nullptr, changing);
  changing["amount"] = 2;
  CHECK(program.events().back().texts.data == R"({"old_value":null,"new_value":{"amount":1}})");
}

TEST_CASE("Every kind has its fields") {
  TracedProgram program;
  Tracer& tracer = program.tracer;
  const Scope scope(tracer);
  const auto last = [&] { return program.events().back(); };
  tracer.track_function_call("pay", {{"amount", 50}});
  CHECK(last().kind == TraceKind::function_call);
  CHECK(data_of(last()) == nlohmann::json{{"module", "shop"}, {"args", {{"amount", 50}}}});
  tracer.track_function_call("pay");
  CHECK(data_of(last())["args"] == nlohmann::json::object());
  tracer.track_function_return("pay", "ok", std::chrono::nanoseconds(1234));
  CHECK(last().duration == std::chrono::nanoseconds(1234));
  CHECK(data_of(last()) == nlohmann::json{{"return_value", "ok"}});
  const TraceEventId task = tracer.track_async_spawn("mail");
  CHECK(data_of(last()) == nlohmann::json{{"task_id", to_uuid(task)}});
  tracer.track_async_await(task, "mail");
  CHECK(data_of(last()) == nlohmann::json{{"future_id", to_uuid(task)}});
  tracer.track_http_request("POST", "/api/users",
                            {{"A", "b"}, {"Authorization", "Bearer secret"}, {"cookie", "id=1"}}, {{"x", 1}});
  CHECK(last().texts.name == "POST /api/users");
  CHECK(data_of(last()) ==
        nlohmann::json{{"method", "POST"},
                       {"url", "/api/users"},
                       {"headers", {{"A", "b"}, {"Authorization", "***"}, {"cookie", "***"}}},
                       {"body", {{"x", 1}}}});
  tracer.track_http_response(200, {}, nullptr, std::chrono::milliseconds(45));
  CHECK(last().texts.name == "200");
  CHECK(data_of(last()) ==
        nlohmann::json{
            {"status", 200}, {"headers", nlohmann::json::object()}, {"body", nullptr}, {"duration_ms", 45}});
  tracer.track_database_query("orders", "SELECT 1", std::chrono::milliseconds(2));
  CHECK(data_of(last()) == nlohmann::json{{"query", "SELECT 1"}, {"duration_ms", 2}});
  tracer.track_database_result("orders", 7);
  CHECK(data_of(last()) == nlohmann::json{{"rows_affected", 7}});
  tracer.track_error("E", "m", {"a", "b"});
  CHECK(data_of(last()) == nlohmann::json{{"message", "m"}, {"stack_trace", {"a", "b"}}});
  tracer.track_error(std::out_of_range("too far"));
  CHECK(last().texts.name == "std::out_of_range");
  CHECK(data_of(last())["message"] == "too far");
}

TEST_CASE("track_function records call and return, or what was thrown") {
  TracedProgram program;
  const Scope scope(program.tracer);
  CHECK(program.tracer.track_function("twice", {1, 2}, [] { return 4; }) == 4);
  program.tracer.track_function("nothing", nullptr, [] {});
  CHECK_THROWS_AS(
      program.tracer.track_function("throws", nullptr, []() -> int { throw std::runtime_error("no"); }),
      std::runtime_error);
  const auto events = program.events();
  REQUIRE(events.size() == 6);
  CHECK(events[1].kind == TraceKind::function_return);
  CHECK(data_of(events[1]) == nlohmann::json{{"return_value", 4}});
  CHECK(events[1].duration);
  CHECK(events[5].kind == TraceKind::error);
  CHECK(events[5].texts.name == "std::runtime_error");
}

TEST_CASE("A scope goes on with the caller's trace, in a span of its own") {
  TracedProgram program;
  {
    const Scope scope(program.tracer, kIncoming);
    CHECK(to_hex(scope.context().tie().trace_id) == "11111111222233334444555555555555");
    program.tracer.track_custom("inside");
    const HeaderMap headers = program.tracer.propagation_headers({{"X-Extra", "1"}});
    CHECK(headers.size() == 4);
    CHECK(headers.at("X-Extra") == "1");
    CHECK(headers.at("tracestate") == "v=1,w=2");
    const std::string& parent = headers.at("traceparent");
    CHECK(parent.starts_with("00-11111111222233334444555555555555-"));
    CHECK(parent.ends_with("-00"));  // whoever was not sampled is not
    CHECK(parent.substr(36, 16) != "aaaaaaaaaaaaaaaa");
    CHECK(parent.substr(36, 16) != to_hex(scope.context().tie().span_id));
    CHECK(program.tracer.propagation_headers().at("traceparent") != parent);
    CHECK(program.tracer.propagation_headers({{"TraceParent", "mine"}}).count("traceparent") == 0);
  }
  CHECK_FALSE(Context::current());
  const TraceEventRecord inside = program.event("inside");
  CHECK(to_hex(inside.upstream_span_id) == "aaaaaaaaaaaaaaaa");
  CHECK(to_hex(inside.span_id) != "aaaaaaaaaaaaaaaa");
}

TEST_CASE("Bad headers begin a new trace") {
  TracedProgram program;
  for (const char* bad : {"", "00-00000000000000000000000000000000-aaaaaaaaaaaaaaaa-01", "abc",
                          "ff-11111111222233334444555555555555-aaaaaaaaaaaaaaaa-01"}) {
    const Scope scope(program.tracer, HeaderMap{{"traceparent", bad}, {"raceway-clock", "v1;W10"}});
    CHECK_FALSE(scope.context().tie().trace_id.empty());
    CHECK(to_hex(scope.context().tie().trace_id) != "11111111222233334444555555555555");
    CHECK(program.tracer.propagation_headers().at("traceparent").ends_with("-03"));
  }
}

TEST_CASE("What a caller did comes before what it called, and that before what follows the answer") {
  TracedProgram caller("gateway"), called("stock");
  HeaderMap answer;
  {
    const Scope scope(caller.tracer);
    caller.tracer.track_custom("before");
    const HeaderMap call = caller.tracer.propagation_headers();
    caller.tracer.track_custom("meanwhile");
    {
      const Scope other_side{Context()};  // as if on another machine
      called.tracer.begin_request(call, "GET", "/stock");
      called.tracer.track_custom("there");
      answer = called.tracer.end_request(200);
    }
    caller.tracer.receive(answer);
    caller.tracer.track_custom("after");
  }
  CHECK(is_before(caller.event("before"), called.event("there")));
  CHECK(are_concurrent(caller.event("meanwhile"), called.event("there")));
  CHECK(is_before(called.event("there"), caller.event("after")));
  CHECK(is_before(called.event("200"), caller.event("after")));
  CHECK(called.event("there").trace_id == caller.event("before").trace_id);
}

TEST_CASE("Two requests of one service are concurrent") {
  TracedProgram program;
  {
    const Scope scope(program.tracer);
    program.tracer.track_custom("one");
  }
  {
    const Scope scope(program.tracer);
    program.tracer.track_custom("two");
  }
  CHECK(are_concurrent(program.event("one"), program.event("two")));
  CHECK(program.event("one").trace_id != program.event("two").trace_id);
}

TEST_CASE("A request is recorded from its begin to its end") {
  TracedProgram program;
  program.tracer.begin_request(kIncoming, "POST", "/order", {{"Host", "shop"}});
  program.tracer.track_custom("inside");
  const HeaderMap answer = program.tracer.end_request(201);
  CHECK(answer.contains("raceway-clock"));
  CHECK_FALSE(Context::current());
  CHECK(program.tracer.end_request(200).empty());  // there is none any more
  const auto events = program.events();
  REQUIRE(events.size() == 3);
  CHECK(events[0].kind == TraceKind::http_request);
  CHECK(data_of(events[0])["headers"] == nlohmann::json{{"Host", "shop"}});
  CHECK(events[2].kind == TraceKind::http_response);
  CHECK(events[2].duration > std::chrono::nanoseconds(0));
  CHECK(data_of(events[2])["status"] == 201);
}

TEST_CASE("A request may end on another thread") {
  TracedProgram program;
  Context context;
  std::thread([&] {
    context = program.tracer.begin_request(kIncoming, "GET", "/");
    const Scope leaves{Context()};
  }).join();
  std::thread([&] { CHECK(program.tracer.end_request(context, 204).size() == 1); }).join();
  CHECK(program.events().size() == 2);
}

TEST_CASE("A handler that throws leaves an error and a response") {
  TracedProgram program;
  try {
    const RequestScope request(program.tracer, kIncoming, "GET", "/");
    throw std::runtime_error("no");
  } catch (const std::runtime_error&) {
  }
  CHECK_FALSE(Context::current());
  const auto events = program.events();
  REQUIRE(events.size() == 3);
  CHECK(events[1].kind == TraceKind::error);
  CHECK(events[2].texts.name == "500");
  RequestScope good(program.tracer, kIncoming, "GET", "/");
  good.end(200);
  CHECK(good.end(200).empty());
  CHECK(program.events().back().texts.name == "200");
}

TEST_CASE("Scopes may be nested, and end in peace after their tracer") {
  auto program = std::make_unique<TracedProgram>();
  const Scope outer(program->tracer);
  {
    const Scope inner(program->tracer);
    CHECK(inner.context() != outer.context());
    CHECK(Context::current() == inner.context());
  }
  CHECK(Context::current() == outer.context());
  program.reset();
  CHECK_FALSE(outer.context().tie().trace_id.empty());
}

TEST_CASE("What the store does not take is counted, and nothing else happens") {
  TracedProgram program;
  const Scope scope(program.tracer);
  program.store->fails = true;
  CHECK_NOTHROW(program.tracer.track_custom("lost"));
  program.store->fails = false;
  program.tracer.track_custom("kept");
  CHECK(program.tracer.lost() == 1);
  CHECK(program.events().size() == 1);
  CHECK(program.event("kept").step == 2);
}

TEST_CASE("The child of a fork is another execution, that its parent began") {
  TracedProgram program;
  const Scope scope(program.tracer);
  program.tracer.track_custom("before");
  const ChildResult child = in_child([&] {
    program.tracer.track_custom("in the child");
    const TraceEventRecord event = program.event("in the child");
    const TraceEventRecord before = program.event("before");
    std::fprintf(stdout, "%d%d%d%d", event.texts.execution != before.texts.execution, event.step == 1,
                 event.upstream_span_id == before.span_id, is_before(before, event));
    std::fflush(stdout);
  });
  CHECK(child.out == "1111");
}

TEST_CASE("debug says what is not recorded") {
  const ChildResult child = in_child([] {
    Tracer tracer(std::make_shared<RecordingStore>(), {.debug = true});
    tracer.track_function_call("f");
  });
  CHECK(child.err == "codewake: track_function_call outside of a context: not recorded\n");
}

}  // namespace
}  // namespace codewake::testing
