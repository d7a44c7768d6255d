#include "event_writer.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <system_error>

#include "codewake/stacktrace.hpp"
#include "codewake/time.hpp"
#include "json_cursor.hpp"
#include "json_text.hpp"

namespace codewake::internal {
namespace {

constexpr char kHex[] = "0123456789abcdef";

void append_hex(std::string& out, const std::uint8_t* bytes, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    out += kHex[bytes[i] >> 4];
    out += kHex[bytes[i] & 15];
  }
}

template <class UniqueId>
void append_uuid(std::string& out, const UniqueId& id) {
  out += '"';
  std::size_t begin = 0;
  for (const std::size_t end : {4u, 6u, 8u, 10u, 16u}) {
    if (begin != 0) out += '-';
    append_hex(out, id.bytes.data() + begin, end - begin);
    begin = end;
  }
  out += '"';
}

void append_span(std::string& out, std::string_view name, const SpanId& id) {
  out += name;
  if (id.empty()) {
    out += "null";
    return;
  }
  out += '"';
  append_hex(out, id.bytes.data(), id.bytes.size());
  out += '"';
}

void append_text(std::string& out, std::string_view name, std::string_view text) {
  out += name;
  append_json_string(out, text);
}

void append_location(std::string& out, std::string_view file, std::uint32_t line) {
  append_json_string(out, file.empty() ? "unknown" : file);
  out.back() = ':';
  append_number(out, file.empty() ? 0u : line);
  out += '"';
}

std::uint32_t pid_of(const KnownProcess& process) {
  const std::int64_t pid = process.info ? process.info->pid.value_or(0) : 0;
  return pid >= 0 && pid <= UINT32_MAX ? static_cast<std::uint32_t>(pid) : 0;
}

bool is_whole_number(const JsonValue& value, std::uint64_t most) {
  std::uint64_t number = 0;
  const char* const end = value.text.data() + value.text.size();
  const auto result = std::from_chars(value.text.data(), end, number);
  return result.ec == std::errc() && result.ptr == end && number <= most;
}

bool is_uuid(const JsonValue& value) {
  return value.kind == JsonValue::Kind::string &&
         parse_trace_event_id(value.text.substr(1, value.text.size() - 2)).has_value();
}

bool is_headers(const JsonValue& value) {
  return value.kind == JsonValue::Kind::object &&
         JsonCursor(value.text).members([](std::string_view, const JsonValue& header) {
           return header.kind == JsonValue::Kind::string;
         });
}

bool is_list_of_texts(std::string_view json) {
  JsonCursor cursor(json);
  JsonValue ignored;
  return cursor.elements([&] { return cursor.string(ignored); }) && cursor.at_end();
}

/// `[[execution, steps], …]`.
bool is_clock(std::string_view json) {
  JsonCursor cursor(json);
  JsonValue component, steps;
  return cursor.elements([&] {
    return cursor.take('[') && cursor.string(component) && cursor.take(',') && cursor.value(steps) &&
           is_whole_number(steps, UINT64_MAX) && cursor.take(']');
  }) && cursor.at_end();
}

std::string_view type_name(FieldType type) {
  switch (type) {
    case FieldType::any:
      return "JSON";
    case FieldType::text:
      return "a string";
    case FieldType::u16:
      return "a whole number from 0 to 65535";
    case FieldType::u64:
      return "a whole number from 0 to 2^64 - 1";
    case FieldType::uuid:
      return "a UUID";
    case FieldType::headers:
      return "an object of strings";
    case FieldType::texts:
      return "an array of strings";
  }
  return "";
}

bool has_type(const JsonValue& value, FieldType type) {
  switch (type) {
    case FieldType::any:
      return true;
    case FieldType::text:
      return value.kind == JsonValue::Kind::string;
    case FieldType::u16:
      return is_whole_number(value, UINT16_MAX);
    case FieldType::u64:
      return is_whole_number(value, UINT64_MAX);
    case FieldType::uuid:
      return is_uuid(value);
    case FieldType::headers:
      return is_headers(value);
    case FieldType::texts:
      return value.kind == JsonValue::Kind::array && is_list_of_texts(value.text);
  }
  return false;
}

/// An event's data, member by member where a field of its kind has the name.
class Members {
 public:
  static constexpr std::size_t kMost = 8;

  /// False where the data is no JSON object.
  bool read(std::string_view data, std::span<const KindField> fields) {
    JsonCursor cursor(data);
    return cursor.members([&](std::string_view key, const JsonValue& value) {
      key = key.substr(1, key.size() - 2);
      for (std::size_t i = 0; i < fields.size(); ++i) {
        if (fields[i].source != FieldSource::data || fields[i].name != key) continue;
        values_[i] = value;
        break;
      }
      return true;
    }) && cursor.at_end();
  }

  const JsonValue& operator[](std::size_t field) const { return values_[field]; }

 private:
  JsonValue values_[kMost];  // without text: the data has none of the name
};

/// What is wrong with the field; empty where nothing is.
std::string append_field(std::string& out, const BatchTraceEvent& event, const KindField& field,
                         const JsonValue& value) {
  switch (field.source) {
    case FieldSource::name:
      append_json_string(out, event.texts.name);
      return {};
    case FieldSource::ordering:
      if (!is_memory_order(event.texts.name)) return "its ordering is no memory order";
      append_json_string(out, event.texts.name);
      return {};
    case FieldSource::access: {
      const std::string_view access = event.access ? to_string(*event.access) : std::string_view();
      if (access.empty()) return "it says nothing of its access";
      append_json_string(out, access);
      return {};
    }
    case FieldSource::location:
      append_location(out, event.texts.file, event.line);
      return {};
    case FieldSource::file:
      append_json_string(out, event.texts.file.empty() ? "unknown" : event.texts.file);
      return {};
    case FieldSource::line:
      append_number(out, event.texts.file.empty() ? 0u : event.line);
      return {};
    case FieldSource::data:
      break;
  }
  if (value.text.empty() && field.type == FieldType::any) {
    out += "null";
    return {};
  }
  if (value.text.empty()) return fmt::format("its data has no \"{}\"", field.name);
  if (!has_type(value, field.type))
    return fmt::format("\"{}\" of its data is not {}", field.name, type_name(field.type));
  out += value.text;
  return {};
}

std::string append_kind(std::string& out, const BatchTraceEvent& event, const KindShape& shape) {
  Members members;
  if (!event.texts.data.empty() && !members.read(event.texts.data, shape.fields))
    return "its data is no JSON object that a Raceway server takes";
  out += ",\"kind\":{\"";
  out += shape.name;
  out += "\":{";
  if (!shape.custom.empty()) {
    out += "\"name\":\"";
    out += shape.custom;
    out += "\",\"data\":{";
  }
  for (std::size_t i = 0; i < shape.fields.size(); ++i) {
    out += i == 0 ? "\"" : ",\"";
    out += shape.fields[i].name;
    out += "\":";
    if (std::string problem = append_field(out, event, shape.fields[i], members[i]); !problem.empty())
      return problem;
  }
  out += shape.custom.empty() ? "}}" : "}}}";
  return {};
}

void append_tags(std::string& out, const BatchTraceEvent& event, const KindShape& shape) {
  out += ",\"tags\":{\"sdk_language\":\"cpp\"";
  if (!event.texts.execution.empty()) append_text(out, ",\"execution\":", event.texts.execution);
  if (!shape.has_location && !event.texts.file.empty()) {
    out += ",\"location\":";
    append_location(out, event.texts.file, event.line);
  }
  out += '}';
}

void append_metadata(std::string& out, const BatchTraceEvent& event, const KindShape& shape,
                     const KnownProcess& process) {
  append_text(out, ",\"metadata\":{\"thread_id\":", event.texts.thread);
  out += ",\"process_id\":";
  append_number(out, pid_of(process));
  append_text(out, ",\"service_name\":", event.texts.service);
  append_text(out, ",\"environment\":", event.texts.environment);
  append_tags(out, event, shape);
  out += ",\"duration_ns\":";
  if (event.duration) {
    append_number(out, static_cast<std::uint64_t>(event.duration->count()));
  } else {
    out += "null";
  }
  out += ",\"instance_id\":";
  if (event.texts.instance.empty()) {
    out += "null";
  } else {
    append_json_string(out, event.texts.instance);
  }
  append_span(out, ",\"distributed_span_id\":", event.span_id);
  append_span(out, ",\"upstream_span_id\":", event.upstream_span_id);
  out += '}';
}

/// What is wrong with the parts that every kind has.
std::string_view problem_of(const BatchTraceEvent& event) {
  if (event.id.empty()) return "it has no id";
  if (event.trace_id.empty()) return "it has no trace";
  if (event.duration && event.duration->count() < 0) return "its duration is negative";
  if (!event.texts.clock.empty() && !is_clock(event.texts.clock))
    return "its clock is no JSON array of pairs of a string and a whole number";
  if (!event.texts.locks.empty() && !is_list_of_texts(event.texts.locks))
    return "its locks are no JSON array of strings";
  return {};
}

// The server keeps an object's members in the order of their keys, too.
void append_attributes(std::string& out, std::span<const AttributeView> data) {
  const auto append_value = [&](const std::optional<std::string_view>& value) {
    if (value) {
      append_json_string(out, *value);
    } else {
      out += "null";
    }
  };
  std::multimap<std::string_view, std::optional<std::string_view>> sorted;
  for (const AttributeView& attribute : data) sorted.emplace(attribute.key, attribute.value);
  out += '{';
  for (auto first = sorted.begin(); first != sorted.end();) {
    const auto end = sorted.upper_bound(first->first);
    if (first != sorted.begin()) out += ',';
    append_json_string(out, first->first);
    out += ':';
    if (std::next(first) == end) {
      append_value(first->second);
      first = end;
      continue;
    }
    for (char before = '['; first != end; ++first, before = ',') {
      out += before;
      append_value(first->second);
    }
    out += ']';
  }
  out += '}';
}

void append_frames(std::string& out, const Stacktrace& stack) {
  out += '[';
  for (char before = 0; const Frame& frame : stack.frames()) {
    if (before != 0) out += before;
    before = ',';
    const std::string_view function = frame.function.empty() ? "?" : std::string_view(frame.function);
    append_json_string(out, frame.lineno != 0
                                ? fmt::format("{} at {}:{}", function, frame.filename, frame.lineno)
                                : fmt::format("{} at {} {}", function, frame.filename, frame.src));
  }
  out += ']';
}

}  // namespace

std::string EventWriter::append(std::string& out, const BatchTraceEvent& event, const KnownProcess& process) {
  const KindShape* const shape = shape_of(event.kind);
  if (shape == nullptr) return "its kind is unknown";
  if (const std::string_view problem = problem_of(event); !problem.empty()) return std::string(problem);
  out += "{\"id\":";
  append_uuid(out, event.id);
  out += ",\"trace_id\":";
  append_uuid(out, event.trace_id);
  out += ",\"parent_id\":";
  if (event.parent_id.empty()) {
    out += "null";
  } else {
    append_uuid(out, event.parent_id);
  }
  append_time(out, event.when);
  if (std::string problem = append_kind(out, event, *shape); !problem.empty()) return problem;
  append_metadata(out, event, *shape, process);
  out += ",\"causality_vector\":";
  out += event.texts.clock.empty() ? "[]" : event.texts.clock;
  out += ",\"lock_set\":";
  out += event.texts.locks.empty() ? "[]" : event.texts.locks;
  out += '}';
  return {};
}

void EventWriter::append(std::string& out, const BatchEvent& event, const KnownProcess& process,
                         const Ids& ids) {
  out += "{\"id\":";
  append_uuid(out, ids.event);
  out += ",\"trace_id\":";
  append_uuid(out, event.trace ? event.trace->trace_id : ids.trace);
  out += ",\"parent_id\":null";
  append_time(out, event.when);
  out += ",\"kind\":{\"Custom\":{\"name\":\"event\",\"data\":{\"attributes\":";
  if (event.has_data) {
    append_attributes(out, event.data);
  } else {
    out += "null";
  }
  out += ",\"stack_trace\":";
  if (event.stacktrace != nullptr) {
    append_frames(out, *event.stacktrace);
  } else {
    out += "null";
  }
  out += "}}},\"metadata\":{\"thread_id\":\"unknown\",\"process_id\":";
  append_number(out, pid_of(process));
  append_text(out, ",\"service_name\":", process.info ? process.info->app_name : "unknown");
  append_text(out, ",\"environment\":", process.info ? process.info->env_name.value_or("") : "");
  out += ",\"tags\":{\"sdk_language\":\"cpp\"},\"duration_ns\":null,\"instance_id\":null";
  append_span(out, ",\"distributed_span_id\":", event.trace ? event.trace->span_id : SpanId());
  out += ",\"upstream_span_id\":null},\"causality_vector\":[],\"lock_set\":[]}";
}

void EventWriter::append_time(std::string& out, Time when) {
  constexpr std::size_t kDigits = 6;
  const auto second = std::chrono::floor<std::chrono::seconds>(when);
  if (second != second_) {
    second_text_ = format_time(when);
    second_text_.resize(second_text_.find('.') + 1);
    second_ = second;
  }
  out += ",\"timestamp\":\"";
  out += second_text_;
  auto rest = (std::chrono::floor<std::chrono::microseconds>(when) - second).count();  // fits for any time
  char digits[kDigits];
  for (std::size_t i = kDigits; i-- > 0; rest /= 10) digits[i] = static_cast<char>('0' + rest % 10);
  out.append(digits, kDigits);
  out += "Z\"";
}

}  // namespace codewake::internal
