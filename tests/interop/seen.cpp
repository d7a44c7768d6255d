// What a store gives, in the form of older.py's `read`.
#include <chrono>
#include <cstdint>
#include <optional>

#include "codewake/digest.hpp"
#include "interop/older.hpp"

namespace codewake::testing {
namespace {

Json or_null(const std::optional<std::string>& text) {
  return text ? Json(*text) : Json();
}

std::int64_t microseconds(Time time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

Json process_seen(const ProcessRecord& process) {
  Json seen = {{"id", process.id},
               {"run_us", microseconds(process.run_ts)},
               {"environment", process.environment ? Json(process.environment->name) : Json()},
               {"pid", process.pid ? Json(*process.pid) : Json()},
               {"username", or_null(process.username)},
               {"fqdn", or_null(process.fqdn)},
               {"exe_path", or_null(process.exe_path)},
               {"app", {process.app.id, process.app.name}},
               {"vsn", Json()}};
  if (const auto& vsn = process.app_vsn) seen["vsn"] = {vsn->id, vsn->vsn, vsn->app_id};
  return seen;
}

Json event_seen(const EventRecord& event) {
  Json data = Json::array(), frames = Json::array();
  std::vector<AttributeView> views;
  bool has_null = false;
  for (const Attribute& attribute : event.data) {
    data.push_back({attribute.key, or_null(attribute.value)});
    views.push_back(attribute.view());
    has_null = has_null || !attribute.value;
  }
  for (const Frame& frame : event.frames) frames.push_back({frame.filename, frame.lineno, frame.src});
  return {{"id", event.id},
          {"when_us", microseconds(event.when)},
          {"process", event.process_id},
          {"data", data},
          {"digest", event.digest ? Json(to_hex(*event.digest)) : Json()},
          {"digest_computed", event.digest && !has_null ? Json(to_hex(digest_of(views))) : Json()},
          {"stack", event.stacktrace_id ? Json(*event.stacktrace_id) : Json()},
          {"frames", frames},
          {"stack_digest_computed", event.stacktrace_id ? Json(to_hex(digest_of(event.frames))) : Json()}};
}

}  // namespace

Json seen_by_us(Store& store) {
  Json processes = Json::array(), events = Json::array();
  for (const ProcessRecord& process : store.get_processes({})) processes.push_back(process_seen(process));
  for (const EventRecord& event : store.get_events_by_data({})) events.push_back(event_seen(event));
  return {{"processes", processes}, {"events", events}};
}

}  // namespace codewake::testing
