#include "describe_trace.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "codewake/visible.hpp"
#include "describe.hpp"
#include "text.hpp"

namespace codewake::cli {
namespace {

constexpr std::size_t kMostValueWidth = 80;

/// A member of the event's data as JSON on one line; empty where it has none, or null.
class Data {
 public:
  explicit Data(const TraceEventRecord& event)
      : json_(nlohmann::json::parse(event.texts.data, nullptr, false)) {}

  std::string operator[](const char* key) const {
    if (!json_.is_object() || !json_.contains(key) || json_[key].is_null()) return {};
    const nlohmann::json& value = json_[key];
    const std::string text = value.is_string()
                                 ? value.get<std::string>()
                                 : value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    const std::string shown = visible(text);
    if (display_width(shown) <= kMostValueWidth) return shown;
    return std::string(fitting_prefix(shown, kMostValueWidth - 1)) + "…";
  }

  /// The same with something before it, where there is something.
  std::string with(const char* before, const char* key) const {
    const std::string text = (*this)[key];
    return text.empty() || text == "{}" ? std::string() : before + text;
  }

 private:
  nlohmann::json json_;
};

bool is_read(const TraceEventRecord& event) {
  return event.access == Access::read || event.access == Access::atomic_read;
}

std::string value_of(const TraceEventRecord& event, const Data& data) {
  const std::string now = data["new_value"];
  if (is_read(event)) return now;
  const std::string before = data["old_value"];
  return fmt::format("{} → {}", before.empty() ? "null" : before, now.empty() ? "null" : now);
}

std::string describe_change(const TraceEventRecord& event, const Data& data) {
  const std::string what = fmt::format("{} {}", to_string(*event.access), visible(event.texts.name));
  const std::string value = value_of(event, data);
  if (is_read(event)) return value.empty() ? what : what + " = " + value;
  return what + " " + value;
}

std::string describe_event(const TraceEventRecord& event) {
  const Data data(event);
  const std::string name = visible(event.texts.name);
  switch (event.kind) {
    case TraceKind::state_change:
      if (event.access) return describe_change(event, data);
      break;
    case TraceKind::function_call:
      return "call " + name + data.with(" ", "args");
    case TraceKind::function_return:
      return "return from " + name + data.with(" = ", "return_value");
    case TraceKind::async_spawn:
      return "spawn " + name;
    case TraceKind::async_await:
      return "await " + name;
    case TraceKind::lock_acquire:
      return "lock " + name + data.with(" as ", "lock_type");
    case TraceKind::lock_release:
      return "unlock " + name;
    case TraceKind::memory_fence:
      return "fence " + name;
    case TraceKind::http_request:
      return "request " + name;
    case TraceKind::http_response:
      return "response " + name;
    case TraceKind::database_query:
      return "query " + name + data.with(": ", "query");
    case TraceKind::database_result:
      return "result of " + name + data.with(", rows: ", "rows_affected");
    case TraceKind::error:
      return "error " + name + data.with(": ", "message");
    case TraceKind::custom:
      return name + data.with(" ", "data");
  }
  return fmt::format("{} {}", to_string(event.kind), name);
}

}  // namespace

std::string describe_entry(const TraceEntry& entry) {
  if (entry.traced != nullptr) return describe_event(*entry.traced);
  std::string text = fmt::format("event {}", entry.logged->id);
  const Cell data = describe_data(entry.logged->data);
  if (!data.spans().empty()) text += ' ';
  for (const Span& span : data.spans()) text += span.text;
  return text;
}

std::string describe_kind(TraceKind kind, std::string_view name) {
  if (kind == TraceKind::state_change) return "access " + visible(name);
  TraceEventRecord event;
  event.kind = kind;
  event.texts.name = name;
  return describe_event(event);
}

std::string value_of(const TraceEventRecord& event) {
  return value_of(event, Data(event));
}

std::string place_of(const TraceEventRecord& event) {
  return place_of(event.texts.file, event.line);
}

std::string place_of(std::string_view path, std::uint32_t line) {
  if (path.empty()) return {};
  return fmt::format("{}:{}", visible(path.substr(path.rfind('/') + 1)), line);
}

std::string milliseconds(std::chrono::nanoseconds duration) {
  return fmt::format("{:.3f}", std::chrono::duration<double, std::milli>(duration).count());
}

}  // namespace codewake::cli
