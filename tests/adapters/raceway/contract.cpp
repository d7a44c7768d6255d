#include "contract.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

namespace codewake::testing {
namespace {

using Json = nlohmann::json;
using Check = std::function<void(const Json&)>;

/// 422.
struct WrongType : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void any(const Json&) {}

void text(const Json& value) {
  if (!value.is_string()) throw WrongType("expected a string: " + value.dump());
}

Check whole(std::uint64_t most) {
  return [most](const Json& value) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most)
      throw WrongType(fmt::format("expected a whole number up to {}: {}", most, value.dump()));
  };
}

void uuid(const Json& value) {
  static const std::regex form("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}");
  text(value);
  if (!std::regex_match(value.get<std::string>(), form)) throw WrongType("expected a UUID: " + value.dump());
}

/// With a zone; a number is none.
void timestamp(const Json& value) {
  static const std::regex form(R"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d))");
  text(value);
  if (!std::regex_match(value.get<std::string>(), form)) throw WrongType("expected a time: " + value.dump());
}

void text_map(const Json& value) {
  if (!value.is_object()) throw WrongType("expected a map: " + value.dump());
  for (const auto& [key, member] : value.items()) text(member);
}

void texts(const Json& value) {
  if (!value.is_array()) throw WrongType("expected a sequence: " + value.dump());
  std::ranges::for_each(value, text);
}

void clock(const Json& value) {
  if (!value.is_array()) throw WrongType("expected a sequence: " + value.dump());
  for (const Json& pair : value) {
    if (!pair.is_array() || pair.size() != 2) throw WrongType("expected a pair: " + pair.dump());
    text(pair[0]);
    whole(UINT64_MAX)(pair[1]);
  }
}

Check one_of(std::set<std::string> names) {
  return [names = std::move(names)](const Json& value) {
    text(value);
    if (!names.contains(value.get<std::string>())) throw WrongType("unknown variant " + value.dump());
  };
}

struct Field {
  const char* name;
  Check check;
  bool optional = false;
};

void check_struct(const Json& value, const std::vector<Field>& fields) {
  if (!value.is_object()) throw WrongType("expected a struct: " + value.dump());
  for (const Field& field : fields) {
    const auto found = value.find(field.name);
    if (found == value.end() && !field.optional) throw WrongType(std::string("missing field ") + field.name);
    if (found == value.end() || (field.optional && found->is_null())) continue;
    field.check(*found);
  }
}

const std::map<std::string, std::vector<Field>>& kinds() {
  static const std::vector<Field> lock = {{"lock_id", text}, {"lock_type", text}, {"location", text}};
  static const std::map<std::string, std::vector<Field>> all = {
      {"StateChange",
       {{"variable", text},
        {"old_value", any, true},
        {"new_value", any},
        {"location", text},
        {"access_type", one_of({"Read", "Write", "AtomicRead", "AtomicWrite", "AtomicRMW"})}}},
      {"FunctionCall",
       {{"function_name", text},
        {"module", text},
        {"args", any},
        {"file", text},
        {"line", whole(UINT32_MAX)}}},
      {"AsyncSpawn", {{"task_id", uuid}, {"spawned_by", text}}},
      {"AsyncAwait", {{"future_id", uuid}, {"awaited_at", text}}},
      {"LockAcquire", lock},
      {"LockRelease", lock},
      {"MemoryFence",
       {{"ordering", one_of({"Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"})}, {"location", text}}},
      {"HttpRequest", {{"method", text}, {"url", text}, {"headers", text_map}, {"body", any, true}}},
      {"HttpResponse",
       {{"status", whole(UINT16_MAX)},
        {"headers", text_map},
        {"body", any, true},
        {"duration_ms", whole(UINT64_MAX)}}},
      {"DatabaseQuery", {{"query", text}, {"database", text}, {"duration_ms", whole(UINT64_MAX)}}},
      {"DatabaseResult", {{"rows_affected", whole(UINT64_MAX)}}},
      {"Error", {{"error_type", text}, {"message", text}, {"stack_trace", texts}}},
      {"Custom", {{"name", text}, {"data", any}}}};
  return all;
}

void kind(const Json& value) {
  if (!value.is_object() || value.size() != 1) throw WrongType("expected one kind: " + value.dump());
  const auto shape = kinds().find(value.begin().key());
  if (shape == kinds().end()) throw WrongType("unknown variant " + value.begin().key());
  check_struct(value.begin().value(), shape->second);
}

void metadata(const Json& value) {
  check_struct(value, {{"thread_id", text},
                       {"process_id", whole(UINT32_MAX)},
                       {"service_name", text},
                       {"environment", text},
                       {"tags", text_map},
                       {"duration_ns", whole(UINT64_MAX), true},
                       {"instance_id", text, true},
                       {"distributed_span_id", text, true},
                       {"upstream_span_id", text, true}});
}

void check_event(const Json& event) {
  check_struct(event, {{"id", uuid},
                       {"trace_id", uuid},
                       {"parent_id", uuid, true},
                       {"timestamp", timestamp},
                       {"kind", kind},
                       {"metadata", metadata},
                       {"causality_vector", clock},
                       {"lock_set", texts}});
}

/// A member that comes twice: the server refuses that, and nlohmann's parser does not notice.
bool has_twins(const std::string& body) {
  std::vector<std::set<std::string>> keys;
  bool found = false;
  const auto ignored = Json::parse(body, [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) found |= !keys.back().insert(value.get<std::string>()).second;
    return true;
  });
  return found;
}

}  // namespace

Taken take_events(const std::string& body) {
  const Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) return {.status = 400, .problem = "no JSON"};
  try {
    if (has_twins(body)) throw WrongType("duplicate field");
    check_struct(json, {{"events", any}});
    if (!json["events"].is_array()) throw WrongType("expected a sequence");
    std::ranges::for_each(json["events"], check_event);
  } catch (const WrongType& problem) {
    return {.status = 422, .problem = problem.what()};
  }
  return {.events = json["events"].size()};
}

HttpReply ingested(std::size_t events, std::size_t dropped) {
  const std::string words = dropped == 0
                                ? fmt::format("Ingested {} events", events)
                                : fmt::format("Ingested {} events, {} errors", events - dropped, dropped);
  return {.status = dropped == 0 ? 200 : 206,
          .body = Json{{"success", true}, {"data", words}, {"error", nullptr}}.dump()};
}

HttpReply take_request(const HttpRequest& request) {
  if (request.path != "/events") return {.status = 404};
  if (request.method != "POST") return {.status = 405};
  if (request.header("content-type") != "application/json") return {.status = 415, .body = "content type"};
  if (request.body.size() > (2u << 20)) return {.status = 413, .body = "length limit exceeded"};
  const Taken taken = take_events(request.body);
  if (taken.status != 200) return {.status = taken.status, .body = taken.problem};
  return ingested(taken.events);
}

}  // namespace codewake::testing
