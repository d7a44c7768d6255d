// What the Raceway SDK for Python sent, beside what this store sends for the same; and what the server said
// to it.
#include <doctest/doctest.h>

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "adapters/raceway/contract.hpp"
#include "adapters/raceway/server.hpp"
#include "adapters/writing.hpp"
#include "codewake/errors.hpp"
#include "codewake/raceway_store.hpp"
#include "codewake/time.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

using Json = nlohmann::json;

const Json& capture() {
  static const Json read = Json::parse(read_file(test_data("reference/raceway-capture.json")));
  return read;
}

bool is_ok(const std::string& verdict) {
  return verdict.starts_with("OK");
}

/// An event with texts of its own.
struct Made {
  BatchTraceEvent event;
  TraceEventTexts<std::string> texts;
};

/// The fields of a captured kind, other than those that have a place of their own, are the data.
void take_kind(Made& made, const std::string& kind, Json fields) {
  static const std::map<std::string, std::string> kNames = {{"StateChange", "variable"},
                                                            {"FunctionCall", "function_name"},
                                                            {"FunctionReturn", "function_name"},
                                                            {"AsyncSpawn", "spawned_by"},
                                                            {"LockAcquire", "lock_id"},
                                                            {"LockRelease", "lock_id"},
                                                            {"Error", "error_type"},
                                                            {"Custom", "name"},
                                                            {"DatabaseQuery", "database"},
                                                            {"MemoryFence", "ordering"}};
  made.event.kind = parse_trace_kind(kind).value_or(static_cast<TraceKind>(0));
  if (const auto name = kNames.find(kind); name != kNames.end()) {
    made.texts.name = fields.value(name->second, "");
    fields.erase(name->second);
  }
  if (fields.contains("access_type"))
    made.event.access = parse_access(fields["access_type"].get<std::string>());
  for (const char* place : {"location", "awaited_at"}) {
    if (!fields.contains(place)) continue;
    const std::string where = fields[place];
    const std::size_t colon = where.rfind(':');
    if (where != "unknown:0") {
      made.texts.file = where.substr(0, colon);
      made.event.line = static_cast<std::uint32_t>(std::stoul(where.substr(colon + 1)));
    }
    fields.erase(place);
  }
  if (fields.contains("file")) {
    made.texts.file = fields["file"];
    made.event.line = fields["line"];
  }
  for (const char* taken : {"access_type", "file", "line"}) fields.erase(taken);
  made.texts.data = fields.dump();
}

Made make(const Json& captured) {
  Made made;
  made.event.kind = static_cast<TraceKind>(0);
  made.event.id = parse_trace_event_id(captured["id"].get<std::string>()).value();
  made.event.trace_id = parse_trace_id(captured["trace_id"].get<std::string>()).value_or(TraceId());
  if (captured["parent_id"].is_string())
    made.event.parent_id = parse_trace_event_id(captured["parent_id"].get<std::string>()).value();
  made.event.when = parse_time(captured["timestamp"].get<std::string>()).value();
  const Json& metadata = captured["metadata"];
  if (metadata["duration_ns"].is_number())
    made.event.duration = std::chrono::nanoseconds(metadata["duration_ns"].get<std::int64_t>());
  const auto span = [&](const char* name) {
    return metadata[name].is_string() ? parse_span_id(metadata[name].get<std::string>()).value() : SpanId();
  };
  made.event.span_id = span("distributed_span_id");
  made.event.upstream_span_id = span("upstream_span_id");
  made.texts.service = metadata["service_name"];
  made.texts.instance = metadata["instance_id"];
  made.texts.environment = metadata["environment"];
  made.texts.thread = metadata["thread_id"];
  made.texts.clock = captured["causality_vector"].dump();
  made.texts.locks = captured["lock_set"].dump();
  if (!captured["kind"].empty())
    take_kind(made, captured["kind"].begin().key(), captured["kind"].begin().value());
  return made;
}

/// What this store sends for these; empty where it refuses them.
std::vector<Json> sent_for(const Json& events) {
  std::mutex mutex;
  std::vector<Json> sent;
  HttpServer server([&](const HttpRequest& request) {
    const std::lock_guard lock(mutex);
    const HttpReply reply = take_request(request);
    CHECK_MESSAGE(reply.status == 200, reply.body);
    for (const Json& event : Json::parse(request.body).at("events").get<std::vector<Json>>())
      sent.push_back(event);
    return reply;
  });
  RacewayStore store(server.url());
  std::vector<Made> made;
  for (const Json& event : events) made.push_back(make(event));
  const ProcessInfo info{.app_name = "capture",
                         .pid = events[0]["metadata"]["process_id"].get<std::int64_t>()};
  const BatchProcess process{.info = &info};
  for (Made& one : made) {
    std::vector<std::string_view> views;
    TraceEventTexts<std::string>::for_each(one.texts, [&](std::string& text) { views.emplace_back(text); });
    std::size_t next = 0;
    TraceEventTexts<std::string_view>::for_each(one.event.texts,
                                                [&](std::string_view& text) { text = views[next++]; });
    try {
      store.write({.processes = {&process, 1}, .trace_events = {&one.event, 1}});
    } catch (const StoreError& error) {
      CHECK(error.kind() == StoreError::Kind::rejected);
    }
  }
  return sent;
}

/// The captured event as this store would have sent it.
Json counterpart(Json captured) {
  captured["metadata"]["tags"] = {{"sdk_language", "cpp"}};
  std::string timestamp = captured["timestamp"];
  captured["timestamp"] = timestamp.substr(0, timestamp.find('+')) + "Z";
  if (captured["kind"].contains("FunctionReturn"))
    captured["kind"] = {
        {"Custom", {{"name", "FunctionReturn"}, {"data", captured["kind"]["FunctionReturn"]}}}};
  return captured;
}

TEST_CASE("Each captured event that the server takes is sent with the same fields, and no other is sent") {
  std::size_t events = 0, refused = 0;
  for (const Json& one : capture()["cases"]) {
    for (const Json& request : one["requests"]) {
      if (!request.contains("json") || request["path"] != "/events") continue;
      const std::string name = one["case"];
      INFO(name);
      const Json& captured = request["json"]["events"];
      const bool only_the_kind_is_wrong = name.find("FunctionReturn") != std::string::npos;
      const bool takes = is_ok(request["server_verdict"]) || only_the_kind_is_wrong;
      if (name == "raw two kinds") continue;  // an event has one kind here
      const std::vector<Json> sent = sent_for(captured);
      REQUIRE(sent.size() == (takes ? captured.size() : 0));
      for (std::size_t i = 0; i < sent.size(); ++i) {
        CHECK(sent[i] == counterpart(captured[i]));
        ++events;
      }
      refused += takes ? 0 : 1;
    }
  }
  CHECK(events >= 20);
  CHECK(refused >= 7);
}

TEST_CASE("The stand-in says of each captured body what the server said") {
  std::size_t checked = 0;
  for (const Json& one : capture()["cases"]) {
    for (const Json& request : one["requests"]) {
      if (!request.contains("server_verdict")) continue;
      const std::string verdict = request["server_verdict"];
      const Taken taken = take_events(request["raw"]);
      CHECK_MESSAGE((taken.status == 200) == is_ok(verdict), one["case"].get<std::string>());
      ++checked;
    }
  }
  CHECK(checked >= 25);
}

/// A captured event of this kind that the server takes.
std::optional<Json> good_event(const std::string& kind) {
  for (const Json& one : capture()["cases"]) {
    for (const Json& request : one["requests"]) {
      if (!request.contains("json") || !is_ok(request.value("server_verdict", ""))) continue;
      for (const Json& event : request["json"]["events"]) {
        if (kind == "Event" || kind == "metadata" || event["kind"].contains(kind)) return event;
      }
    }
  }
  return std::nullopt;
}

TEST_CASE("The stand-in wants the fields that the server wants") {
  std::size_t checked = 0;
  for (const auto& [path, verdicts] : capture()["required"].items()) {
    const std::string kind = path.substr(0, path.find('.')), field = path.substr(path.find('.') + 1);
    for (const auto& [how, verdict] : verdicts.items()) {
      Json event = good_event(kind).value();
      Json& holder = kind == "Event" ? event : kind == "metadata" ? event["metadata"] : event["kind"][kind];
      if (how == "missing") {
        holder.erase(field);
      } else {
        holder[field] = nullptr;
      }
      const Taken taken = take_events(Json{{"events", {event}}}.dump());
      CHECK_MESSAGE((taken.status == 200) == is_ok(verdict), (path + " " + how));
      ++checked;
    }
  }
  CHECK(checked >= 90);
}

}  // namespace
}  // namespace codewake::testing
