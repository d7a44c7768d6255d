#include "json.hpp"

#include <optional>
#include <string>
#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/digest.hpp"
#include "codewake/frame.hpp"
#include "codewake/records.hpp"
#include "codewake/time.hpp"
#include "listing.hpp"

namespace codewake::cli {
namespace {

// JSON in a store is text; what is none stays that.
Json parsed(const std::string& text) {
  Json json = Json::parse(text, nullptr, false);
  return json.is_discarded() ? Json(text) : json;
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

/// A list, since order counts and keys may repeat.
Json to_json(const Attributes& data) {
  Json result = Json::array();
  for (const Attribute& attribute : data) {
    result.push_back({{"key", attribute.key}, {"value", to_json_or_null(attribute.value)}});
  }
  return result;
}

}  // namespace

Json to_json(const Frame& frame) {
  return {{"function", text_or_null(frame.function)},
          {"filename", frame.filename},
          {"lineno", frame.lineno},
          {"src", frame.src},
          {"module", text_or_null(frame.module)},
          {"build_id", text_or_null(frame.build_id)},
          {"offset", frame.offset}};
}

Json to_json(const ProcessRecord& process) {
  Json result = {{"id", process.id}, {"run_ts", format_time(process.run_ts)}, {"app", process.app.name}};
  result["app_vsn"] = process.app_vsn ? Json(process.app_vsn->vsn) : Json(nullptr);
  result["environment"] = process.environment ? Json(process.environment->name) : Json(nullptr);
  result["pid"] = to_json_or_null(process.pid);
  result["username"] = to_json_or_null(process.username);
  result["fqdn"] = to_json_or_null(process.fqdn);
  result["exe_path"] = to_json_or_null(process.exe_path);
  return result;
}

Json to_json(const EventRecord& event, const std::optional<ProcessRecord>& process) {
  Json result = {{"id", event.id}, {"when", format_time(event.when)}, {"process_id", event.process_id}};
  result["app"] = process ? Json(process->app.name) : Json(nullptr);
  result["app_vsn"] = process && process->app_vsn ? Json(process->app_vsn->vsn) : Json(nullptr);
  result["environment"] = process && process->environment ? Json(process->environment->name) : Json(nullptr);
  result["digest"] = event.digest ? Json(to_hex(*event.digest)) : Json(nullptr);
  result["data"] = to_json(event.data);
  result["stacktrace_id"] = to_json_or_null(event.stacktrace_id);
  result["frames"] = nullptr;
  if (event.stacktrace_id) {
    Json& frames = result["frames"] = Json::array();
    for (const Frame& frame : event.frames) frames.push_back(to_json(frame));
  }
  result["trace_id"] = event.trace ? Json(to_hex(event.trace->trace_id)) : Json(nullptr);
  result["span_id"] = event.trace ? Json(to_hex(event.trace->span_id)) : Json(nullptr);
  return result;
}

Json to_json(const ExceptionGroup& group) {
  Json result = {{"stacktrace_id", group.stacktrace_id},
                 {"count", group.count},
                 {"first", format_time(group.first)},
                 {"last", format_time(group.last)},
                 {"last_event_id", group.last_event_id}};
  result["type"] = to_json_or_null(group.type);
  result["message"] = to_json_or_null(group.message);
  result["top_frame"] = group.top_frame ? to_json(*group.top_frame) : Json(nullptr);
  return result;
}

std::vector<std::string> event_fields() {
  return {"id",     "when", "process_id",    "app",    "app_vsn",  "environment",
          "digest", "data", "stacktrace_id", "frames", "trace_id", "span_id"};
}

std::vector<std::string> process_fields() {
  return {"id", "run_ts", "app", "app_vsn", "environment", "pid", "username", "fqdn", "exe_path"};
}

std::vector<std::string> exception_fields() {
  return {"stacktrace_id", "count", "first", "last", "last_event_id", "type", "message", "top_frame"};
}

Json to_json(const TraceEventRecord& event) {
  return {{"id", to_uuid(event.id)},
          {"when", format_time(event.when)},
          {"kind", to_string(event.kind)},
          {"name", event.texts.name},
          {"access", event.access ? Json(to_string(*event.access)) : Json(nullptr)},
          {"service", event.texts.service},
          {"instance", event.texts.instance},
          {"environment", event.texts.environment},
          {"execution", event.texts.execution},
          {"step", event.step},
          {"thread", event.texts.thread},
          {"span_id", to_hex(event.span_id)},
          {"upstream_span_id",
           event.upstream_span_id.empty() ? Json(nullptr) : Json(to_hex(event.upstream_span_id))},
          {"parent_id", event.parent_id.empty() ? Json(nullptr) : Json(to_uuid(event.parent_id))},
          {"file", text_or_null(event.texts.file)},
          {"line", event.line == 0 ? Json(nullptr) : Json(event.line)},
          {"duration_ns", event.duration ? Json(event.duration->count()) : Json(nullptr)},
          {"data", parsed(event.texts.data)},
          {"clock", parsed(event.texts.clock)},
          {"locks", parsed(event.texts.locks)},
          {"process_id", event.process_id}};
}

}  // namespace codewake::cli
