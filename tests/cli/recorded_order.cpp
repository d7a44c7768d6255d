#include "recorded_order.hpp"

#include <cstdint>

#include "codewake/config.hpp"
#include "codewake/plugin.hpp"
#include "codewake/trace_tasks.hpp"
#include "codewake/traced.hpp"
#include "codewake/tracing.hpp"

namespace codewake::testing {

std::shared_ptr<Store> store_of(const CommandLine& cli) {
  const std::shared_ptr<Store> store =
      load_store("code_wake_sqlite_store", "SqliteStore", {cli.dsn()}, Config::load().plugin_path);
  store->insert_process({.app_name = "order"});
  return store;
}

std::string record_order(const CommandLine& cli) {
  const std::shared_ptr<Store> store = store_of(cli);
  Tracer gateway(store, {.service_name = "gateway", .instance_id = "gw"});
  Tracer stock(store, {.service_name = "stock", .instance_id = "st"});
  const Scope scope(gateway);
  gateway.track_function_call("create_order", {{"goods", "tea"}});
  HeaderMap answer;
  {
    const HeaderMap call = gateway.propagation_headers();
    const Scope elsewhere{Context()};
    stock.begin_request(call, "POST", "/reserve");
    stock.track_lock_acquire("shelf");
    stock.track_state_change("stock", 5, 4);
    stock.track_lock_release("shelf");
    answer = stock.end_request(200);
  }
  gateway.receive(answer);
  spawn([&] { gateway.track_custom("in a task"); }, "mail").get();
  gateway.track_error("Fault", "no paper", {});
  const TraceTie tie = scope.context().tie();
  const AttributeArgument data[] = {{"event", "order"}, {"customer", "ada"}};
  store->insert_event({.data = data, .trace = &tie});
  return to_hex(tie.trace_id);
}

std::string record_damage(const CommandLine& cli) {
  const std::shared_ptr<Store> store = store_of(cli);
  const TraceId trace = TraceId::make();
  const SpanId span = SpanId::make();
  std::uint8_t number = 0;
  TraceEventId last = {};
  for (const char* execution : {"a#b#c", "a#b", "", "####", "d#e#f"}) {
    for (const char* json :
         {"", "{", "[[", "null", R"([["a#b#c",18446744073709551615],["d#e#f",7]])",
          R"({"headers":{"traceparent":7},"query":[],"status":"x","duration_ms":"y"})", "\x1b[31m"}) {
      for (const TraceKind kind :
           {TraceKind::http_request, TraceKind::http_response, TraceKind::database_query,
            TraceKind::async_await, TraceKind::function_return}) {
        TraceEventInput event;
        event.kind = kind;
        event.id.bytes[0] = ++number;
        event.trace_id = trace;
        event.span_id = event.upstream_span_id = span;
        event.parent_id = last;
        event.step = number % 3 == 0 ? 0 : number;
        event.texts = {.service = "damaged\x1b[31m",
                       .execution = execution,
                       .name = "GET /\x1b[31m/1\nx",
                       .data = json,
                       .clock = json,
                       .locks = json};
        store->insert_trace_event(event);
        last = event.id;
      }
    }
  }
  return to_hex(trace);
}

}  // namespace codewake::testing
