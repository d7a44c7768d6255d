// What is sent of each kind of event, and what is not sent because the server would refuse it.
#include <doctest/doctest.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adapters/raceway/contract.hpp"
#include "adapters/raceway/server.hpp"
#include "adapters/raceway/support.hpp"
#include "adapters/writing.hpp"
#include "codewake/raceway_store.hpp"

namespace codewake::testing {
namespace {

using Json = nlohmann::json;
using Kind = StoreError::Kind;

/// A server that takes what is right, and a store that writes to it.
struct Fixture {
  std::mutex mutex;
  std::vector<Json> events;  // guarded by mutex
  HttpServer server{[this](const HttpRequest& request) {
    const HttpReply reply = take_request(request);
    CHECK_MESSAGE(reply.status == 200, (reply.body + " " + request.body));
    const std::lock_guard lock(mutex);
    for (Json& event : Json::parse(request.body).at("events").get<std::vector<Json>>())
      events.push_back(std::move(event));
    return reply;
  }};
  RacewayStore store{server.url()};

  /// What arrives of it.
  Json sent(const BatchTraceEvent& event) {
    const std::size_t before = count();
    write_trace_events(store, {event});
    const std::lock_guard lock(mutex);
    REQUIRE(events.size() == before + 1);
    return events.back();
  }

  Json sent(const BatchEvent& event) {
    const BatchProcess process{.info = &kShop};
    store.write({.processes = {&process, 1}, .events = {&event, 1}});
    const std::lock_guard lock(mutex);
    return events.back();
  }

  std::string refusal(const BatchTraceEvent& event) {
    const std::size_t before = count();
    std::string said = store_error(Kind::rejected, [&] { write_trace_events(store, {event}); });
    CHECK(count() == before);
    return said;
  }

  std::size_t count() {
    const std::lock_guard lock(mutex);
    return events.size();
  }
};

BatchTraceEvent event_of(TraceKind kind, std::string_view name, std::string_view data) {
  BatchTraceEvent event = numbered_event(static_cast<std::uint64_t>(kind));
  event.kind = kind;
  event.access = std::nullopt;
  event.texts.name = name;
  event.texts.data = data;
  return event;
}

/// An event of a kind with all that it has, and what of it arrives under `kind`.
struct Sample {
  TraceKind kind;
  const char* name;
  const char* data;
  const char* arrives;
};

const Sample kSamples[] = {
    {TraceKind::function_call, "f", R"({"module":"app","args":[1,{"a":null}]})",
     R"({"FunctionCall":{"function_name":"f","module":"app","args":[1,{"a":null}],"file":"/srv/shop/order.cpp","line":42}})"},
    {TraceKind::function_return, "f", R"({"return_value":1.5})",
     R"({"Custom":{"name":"FunctionReturn","data":{"function_name":"f","return_value":1.5,"file":"/srv/shop/order.cpp","line":42}}})"},
    {TraceKind::async_spawn, "main", R"({"task_id":"11111111-2222-3333-4444-555555555555"})",
     R"({"AsyncSpawn":{"task_id":"11111111-2222-3333-4444-555555555555","spawned_by":"main"}})"},
    {TraceKind::async_await, "", R"({"future_id":"11111111-2222-3333-4444-555555555555"})",
     R"({"AsyncAwait":{"future_id":"11111111-2222-3333-4444-555555555555","awaited_at":"/srv/shop/order.cpp:42"}})"},
    {TraceKind::lock_acquire, "l", R"({"lock_type":"Mutex"})",
     R"({"LockAcquire":{"lock_id":"l","lock_type":"Mutex","location":"/srv/shop/order.cpp:42"}})"},
    {TraceKind::lock_release, "l", R"({"lock_type":"RwLock::Read"})",
     R"({"LockRelease":{"lock_id":"l","lock_type":"RwLock::Read","location":"/srv/shop/order.cpp:42"}})"},
    {TraceKind::memory_fence, "SeqCst", "",
     R"({"MemoryFence":{"ordering":"SeqCst","location":"/srv/shop/order.cpp:42"}})"},
    {TraceKind::http_request, "GET /", R"({"method":"GET","url":"/","headers":{"A":"b"},"body":"x"})",
     R"({"HttpRequest":{"method":"GET","url":"/","headers":{"A":"b"},"body":"x"}})"},
    {TraceKind::http_response, "200", R"({"status":65535,"headers":{},"duration_ms":18446744073709551615})",
     R"({"HttpResponse":{"status":65535,"headers":{},"body":null,"duration_ms":18446744073709551615}})"},
    {TraceKind::database_query, "stock", R"({"query":"SELECT 1","duration_ms":0})",
     R"({"DatabaseQuery":{"query":"SELECT 1","database":"stock","duration_ms":0}})"},
    {TraceKind::database_result, "", R"({"rows_affected":7})", R"({"DatabaseResult":{"rows_affected":7}})"},
    {TraceKind::error, "std::out_of_range", R"({"message":"at","stack_trace":["a","b"]})",
     R"({"Error":{"error_type":"std::out_of_range","message":"at","stack_trace":["a","b"]}})"},
    {TraceKind::custom, "note", R"({"data":[true]})", R"({"Custom":{"name":"note","data":[true]}})"}};

TEST_CASE("Every kind arrives with all of its fields") {
  Fixture fixture;
  for (const Sample& sample : kSamples) {
    const Json event = fixture.sent(event_of(sample.kind, sample.name, sample.data));
    CHECK(event["kind"] == Json::parse(sample.arrives));
  }
  CHECK(std::size(kSamples) + 1 == kTraceKinds);
}

TEST_CASE("What every kind has arrives field by field") {
  Fixture fixture;
  BatchTraceEvent event = numbered_event(9);
  event.parent_id = numbered_id(8);
  event.upstream_span_id = {{0xbb}};
  event.duration = std::chrono::nanoseconds(1234);
  CHECK(fixture.sent(event) == Json::parse(R"({
    "id": "ab000000-0000-4000-8000-000000000009", "trace_id": "11223300-0000-0000-0000-000000000000",
    "parent_id": "ab000000-0000-4000-8000-000000000008", "timestamp": "2026-11-22T01:34:06.509000Z",
    "kind": {"StateChange": {"variable": "stock.lamps", "old_value": 5, "new_value": {"lamps": 4, "at": "home"},
      "location": "/srv/shop/order.cpp:42", "access_type": "Write"}},
    "metadata": {"thread_id": "4242-7", "process_id": 4242, "service_name": "shop", "environment": "test",
      "tags": {"sdk_language": "cpp", "execution": "shop#shop-1#7"}, "duration_ns": 1234, "instance_id": "shop-1",
      "distributed_span_id": "aaaa000000000000", "upstream_span_id": "bb00000000000000"},
    "causality_vector": [["gate#1#9", 3], ["shop#shop-1#7", 12]], "lock_set": ["stock"]})"));
}

TEST_CASE("What an event does not have is null, unknown or an empty list") {
  Fixture fixture;
  BatchTraceEvent event = numbered_event(1);
  event.span_id = {};
  event.texts = {.service = "s", .name = "v", .data = "{}"};
  event.when = Time(std::chrono::nanoseconds(-1));
  const Json sent = fixture.sent(event);
  CHECK(sent["timestamp"] == "1969-12-31T23:59:59.999999Z");
  CHECK(sent["kind"]["StateChange"]["location"] == "unknown:0");
  CHECK(sent["kind"]["StateChange"]["new_value"].is_null());
  CHECK(sent["metadata"]["instance_id"].is_null());
  CHECK(sent["metadata"]["distributed_span_id"].is_null());
  CHECK(sent["causality_vector"] == Json::array());
  CHECK(sent["lock_set"] == Json::array());
}

TEST_CASE("Where a kind has no field for the place in the source, a tag has it") {
  Fixture fixture;
  const Json event = fixture.sent(event_of(TraceKind::custom, "note", "{}"));
  CHECK(event["metadata"]["tags"]["location"] == "/srv/shop/order.cpp:42");
}

TEST_CASE("Texts arrive as they are, whatever is in them") {
  Fixture fixture;
  BatchTraceEvent event = numbered_event(1);
  const std::string odd = "\"quoted\"\\ \n\t\x01\x7f é☃😀 </script>";
  event.texts.name = event.texts.service = event.texts.thread = event.texts.file = odd;
  const Json sent = fixture.sent(event);
  CHECK(sent["kind"]["StateChange"]["variable"] == odd);
  CHECK(sent["metadata"]["service_name"] == odd);
  CHECK(sent["metadata"]["thread_id"] == odd);
  CHECK(sent["kind"]["StateChange"]["location"] == odd + ":42");
}

TEST_CASE("An event whose data lacks a field, or has it in another type, is refused by itself and says so") {
  Fixture fixture;
  for (const Sample& sample : kSamples) {
    const Json whole = sample.data[0] == '\0' ? Json::object() : Json::parse(sample.data);
    for (const auto& [field, value] : whole.items()) {
      const bool is_any = field == "args" || field == "return_value" || field == "body" || field == "data";
      Json without = whole;
      without.erase(field);
      const std::string missing = without.dump();
      if (is_any) {
        fixture.sent(event_of(sample.kind, sample.name, missing));
        continue;
      }
      CHECK(contains(fixture.refusal(event_of(sample.kind, sample.name, missing)), "no \"" + field + "\""));
      for (const char* wrong : {"null", "-1", "1.5", "18446744073709551616", "[1]", R"({"A":1})", "true"}) {
        Json other = whole;
        other[field] = Json::parse(wrong);
        CHECK(
            contains(fixture.refusal(event_of(sample.kind, sample.name, other.dump())), "\"" + field + "\""));
      }
    }
  }
}

TEST_CASE("What no server takes is refused with the reason") {
  Fixture fixture;
  const auto refused = [&](auto change) {
    BatchTraceEvent event = numbered_event(1);
    change(event);
    return fixture.refusal(event);
  };
  CHECK(contains(refused([](auto& e) { e.id = {}; }), "no id"));
  CHECK(contains(refused([](auto& e) { e.trace_id = {}; }), "no trace"));
  CHECK(contains(refused([](auto& e) { e.kind = static_cast<TraceKind>(15); }), "kind"));
  CHECK(contains(refused([](auto& e) { e.kind = static_cast<TraceKind>(0); }), "kind"));
  CHECK(contains(refused([](auto& e) { e.access = std::nullopt; }), "access"));
  CHECK(contains(refused([](auto& e) { e.access = static_cast<Access>(6); }), "access"));
  CHECK(contains(refused([](auto& e) { e.duration = std::chrono::nanoseconds(-1); }), "negative"));
  CHECK(contains(fixture.refusal(event_of(TraceKind::memory_fence, "Consume", "")), "memory order"));
  CHECK(contains(fixture.refusal(event_of(TraceKind::http_response, "1",
                                          R"({"status":65536,"headers":{},"duration_ms":1})")),
                 "65535"));
  CHECK(contains(fixture.refusal(event_of(TraceKind::async_spawn, "x",
                                          R"({"task_id":"{11111111-2222-3333-4444-555555555555}"})")),
                 "UUID"));
  for (const char* data : {"[]", "1", "{", "{} {}", R"({"new_value":NaN})", R"({"new_value":"\ud800"})",
                           R"({"new_value":1e999})", "null", "{\"new_value\":\"\n\"}"}) {
    CHECK(contains(refused([&](auto& e) { e.texts.data = data; }), "JSON object"));
  }
  for (const char* clock :
       {"{}", "[[\"a\"]]", "[[\"a\",-1]]", "[[\"a\",1.0]]", "[[\"a\",1,2]]", "[[1,1]]", "[",
        "[[\"a\",18446744073709551616]]", "[[\"a\",\"1\"]]", "[] []", "[[\"a\",01]]"}) {
    CHECK_MESSAGE(contains(refused([&](auto& e) { e.texts.clock = clock; }), "clock"), clock);
  }
  for (const char* locks : {"{}", "[1]", "[\"a\",]", "[[]]", "\"a\""})
    CHECK_MESSAGE(contains(refused([&](auto& e) { e.texts.locks = locks; }), "locks"), locks);
}

TEST_CASE("A batch with a bad event is refused before anything is sent") {
  Fixture fixture;
  std::vector<BatchTraceEvent> events = {numbered_event(1), numbered_event(2), numbered_event(3)};
  events[2].texts.clock = "no clock";
  const std::string said = store_error(Kind::rejected, [&] { write_trace_events(fixture.store, events); });
  CHECK(contains(said, "ab000000-0000-4000-8000-000000000003"));
  CHECK(fixture.count() == 0);
}

TEST_CASE("An ordinary event goes as a Custom event of its trace, with all that it says") {
  Fixture fixture;
  const AttributeView data[] = {{"event", "order"}, {"n", std::nullopt}, {"tag", "a"}, {"tag", "b"}};
  const Stacktrace stack(
      std::vector<Frame>{{.filename = "f.cpp", .lineno = 3, .src = "g();", .function = "f()"},
                         {.filename = "/lib/x.so", .src = "+0x10"}});
  const BatchEvent event{.when = kShop.run_ts,
                         .has_data = true,
                         .data = data,
                         .stacktrace = &stack,
                         .trace = TraceTie{{{0x11}}, {{0xaa}}}};
  const Json sent = fixture.sent(event);
  CHECK(sent["trace_id"] == "11000000-0000-0000-0000-000000000000");
  CHECK(sent["metadata"]["distributed_span_id"] == "aa00000000000000");
  CHECK(sent["metadata"]["service_name"] == "shop");
  CHECK(sent["metadata"]["environment"] == "test");
  CHECK(sent["metadata"]["process_id"] == 4242);
  CHECK(sent["kind"]["Custom"]["name"] == "event");
  CHECK(sent["kind"]["Custom"]["data"] == Json::parse(R"({"attributes": {"event": "order", "n": null,
    "tag": ["a", "b"]}, "stack_trace": ["f() at f.cpp:3", "? at /lib/x.so +0x10"]})"));
  CHECK(fixture.sent(event)["id"] == sent["id"]);
}

TEST_CASE("Ordinary events outside of traces have one trace for each process, and an id for each event") {
  Fixture fixture;
  const AttributeView one{"n", "1"}, two{"n", "2"};
  BatchEvent event{.when = kShop.run_ts, .has_data = true, .data = {&one, 1}};
  const Json first = fixture.sent(event);
  event.data = {&two, 1};
  const Json second = fixture.sent(event);
  CHECK(first["trace_id"] == second["trace_id"]);
  CHECK(first["id"] != second["id"]);
  event.has_data = false;
  event.data = {};
  const Json bare = fixture.sent(event);
  CHECK(bare["kind"]["Custom"]["data"]["attributes"].is_null());
  CHECK(bare["id"] != first["id"]);
  event.has_data = true;
  CHECK(fixture.sent(event)["id"] != bare["id"]);
}

TEST_CASE("Ids are those of what they name, also from another store object that does not know the process") {
  Fixture fixture;
  const AttributeView one{"n", "1"};
  const BatchEvent event{.when = kShop.run_ts, .has_data = true, .data = {&one, 1}};
  const Json first = fixture.sent(event);
  const BatchProcess introduced{.info = &kShop};
  const Id process_id = fixture.store.write({.processes = {&introduced, 1}}).process_ids.at(0);
  RacewayStore other(fixture.server.url());
  const BatchProcess known{.id = process_id};
  const BatchTraceEvent trace_event = numbered_event(1);
  const BatchResult result =
      other.write({.processes = {&known, 1}, .events = {&event, 1}, .trace_events = {&trace_event, 1}});
  CHECK(result.process_ids == std::vector<Id>{process_id});
  const std::lock_guard lock(fixture.mutex);
  CHECK(fixture.events.back()["id"] == first["id"]);
  CHECK(fixture.events.back()["trace_id"] == first["trace_id"]);
  CHECK(fixture.events.back()["metadata"]["process_id"] == 0);
  CHECK(fixture.events[fixture.events.size() - 2]["metadata"]["service_name"] == "shop");
}

TEST_CASE("Processes and what was written last have records; everything else is refused as not to be read") {
  Fixture fixture;
  RacewayStore& store = fixture.store;
  const auto process = store.insert_process(kShop);
  REQUIRE(process);
  CHECK(process->app.name == "shop");
  CHECK(process->pid == 4242);
  CHECK(store.last_process_id() == process->id);
  const AttributeArgument data("n", 1);
  const auto event = store.insert_event({.data = std::span(&data, 1)}, true);
  REQUIRE(event);
  CHECK(event->process_id == process->id);
  CHECK(event->data[0].value == "1");
  CHECK(store.insert_app("shop", "1.0").app.id == process->app.id);
  CHECK(store.get_positions("") == std::vector<StoredPosition>());
  const auto refused = [](auto read) { CHECK(contains(store_error(Kind::rejected, read), "for writing")); };
  refused([&] { store.get_process_by_id(1); });
  refused([&] { store.get_event_by_id(1); });
  refused([&] { store.get_environment_by_id(1); });
  refused([&] { store.get_app_by_id(1); });
  refused([&] { store.get_app_vsn_by_id(1); });
  refused([&] { store.get_apps(); });
  refused([&] { store.get_app_vsns(1); });
  refused([&] { store.get_processes({}); });
  refused([&] { store.get_events_by_data({}); });
  refused([&] { store.get_events({}); });
  refused([&] { store.get_exceptions({}); });
  refused([&] { store.get_trace_events({}); });
  refused([&] { store.get_traces({}); });
  refused([&] { store.get_events_of_trace({}, 1); });
  CHECK_THROWS_AS(store.remove_older(now(), 1), StoreError);
}

}  // namespace
}  // namespace codewake::testing
