#include "event_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/digest.hpp"
#include "codewake/frame.hpp"
#include "codewake/records.hpp"
#include "codewake/time.hpp"
#include "codewake/visible.hpp"
#include "describe.hpp"
#include "output.hpp"
#include "text.hpp"

namespace codewake::cli {
namespace {

constexpr std::size_t kMaxKeyWidth = 32;

struct Line {
  std::string key;    ///< visible
  std::string value;  ///< visible
  Style style = Style::plain;
};

void write_heading(Output& output, std::string_view text) {
  output.write("\n");
  output.write(text, Style::heading);
  output.write("\n");
}

/// Keys in one column, values in the next; a very long key does not push the others' values away.
void write_lines(Output& output, const std::vector<Line>& lines) {
  std::size_t width = 0;
  for (const Line& line : lines) width = std::max(width, std::min(display_width(line.key), kMaxKeyWidth));
  for (const Line& line : lines) {
    const std::size_t used = display_width(line.key);
    output.write("  ");
    output.write(line.key, Style::key);
    output.write(std::string((width > used ? width - used : 0) + 2, ' '));
    output.write(line.value, line.style);
    output.write("\n");
  }
}

std::vector<Line> origin_lines(const EventRecord& event, const std::optional<ProcessRecord>& process) {
  std::vector<Line> lines;
  const auto add = [&lines](std::string_view key, const std::optional<std::string>& value) {
    if (value) lines.push_back({std::string(key), visible(*value)});
  };
  add("when", format_time(event.when));
  if (!process) {
    add("process", fmt::format("{} (not in the store)", event.process_id));
  } else {
    add("process", fmt::format("{}, started {}", process->id, format_time(process->run_ts)));
    add("app", process->app.name);
    if (process->app_vsn) add("version", process->app_vsn->vsn);
    if (process->environment) add("environment", process->environment->name);
    add("host", process->fqdn);
    add("user", process->username);
    if (process->pid) add("pid", std::to_string(*process->pid));
    add("executable", process->exe_path);
  }
  if (event.digest) add("digest", to_hex(*event.digest));
  if (event.trace) {
    add("trace", to_hex(event.trace->trace_id));
    add("span", to_hex(event.trace->span_id));
  }
  return lines;
}

void write_data(Output& output, const EventRecord& event) {
  if (!event.digest && event.data.empty()) {
    output.write("  none\n", Style::dim);
    return;
  }
  std::vector<Line> lines;
  for (const Attribute& attribute : event.data) {
    Line line{quoted_where_needed(attribute.key, true), "NULL", Style::dim};
    if (attribute.value) line = {line.key, quoted_where_needed(*attribute.value), Style::plain};
    lines.push_back(line);
  }
  write_lines(output, lines);
}

void write_crash(Output& output, const Attributes& data) {
  if (!is_crash(data)) return;
  write_heading(output, "Crash");
  const auto part = [&](const char* before, std::string_view key) {
    const std::string_view text = text_of(data, key);
    return text.empty() ? std::string() : before + visible(text);
  };
  const std::string_view signal = text_of(data, kCrashSignal);
  output.write("  " + visible(signal.empty() ? text_of(data, kCrashReason) : signal), Style::alarm);
  output.write(part(" (", "crash.code") + (text_of(data, "crash.code").empty() ? "" : ")") +
               part(" at ", "crash.address") + part(", sent by process ", "crash.sender") +
               part(", in thread ", "crash.thread") + "\n");
  if (!signal.empty() && !text_of(data, kCrashReason).empty()) {
    output.write("  " + visible(text_of(data, kCrashReason)) + "\n");
  }
}

/// Times as the distance to the crash, which is what one asks for.
void write_breadcrumbs(Output& output, const EventRecord& crash, const std::vector<EventRecord>& before) {
  if (!is_crash(crash.data)) return;
  write_heading(output, "Last events before it, the last one last");
  if (before.empty()) output.write("  none\n", Style::dim);
  for (const EventRecord& event : before) {
    const std::chrono::duration<double> distance = saturated_difference(crash.when, event.when);
    output.write(fmt::format("  {:>12.6f} s  ", -distance.count()), Style::dim);
    output.write(fmt::format("{:>8}  ", event.id), Style::dim);
    const Cell data = describe_data(event.data);
    for (const Span& span : data.spans()) output.write(span.text, span.style);
    output.write("\n");
  }
}

/// The exception itself, then what caused it, outermost first.
void write_exception(Output& output, const Attributes& data) {
  if (data.find(kExceptionType) == nullptr) return;
  write_heading(output, "Exception");
  const auto write_one = [&](std::string_view prefix, std::string_view type, std::string_view message) {
    output.write(prefix);
    output.write(visible(type), Style::alarm);
    output.write(message.empty() ? "\n" : ": " + visible(message) + "\n");
  };
  write_one("  ", text_of(data, kExceptionType), text_of(data, kExceptionMessage));
  for (std::size_t i = 1;; ++i) {
    const std::string cause = fmt::format("exception.cause.{}.", i);
    if (data.find(cause + "type") == nullptr) break;
    write_one("  caused by ", text_of(data, cause + "type"), text_of(data, cause + "message"));
  }
}

void write_stack(Output& output, const EventRecord& event) {
  if (!event.stacktrace_id) return;
  write_heading(output, fmt::format("Stack trace {}, innermost first", *event.stacktrace_id));
  if (event.frames.empty()) output.write("  no frames\n", Style::dim);
  std::size_t number = 0;
  for (const Frame& frame : event.frames) {
    output.write(fmt::format("  {:>3}  ", number++), Style::dim);
    if (!frame.function.empty()) {
      output.write(visible(frame.function), Style::key);
      output.write("\n       at ");
    }
    output.write(visible(describe_place(frame)));
    output.write("\n");
    if (frame.lineno > 0 && !frame.src.empty())
      output.write("         " + visible(frame.src) + "\n", Style::dim);
  }
}

}  // namespace

void write_event_report(Output& output, const EventRecord& event, const std::optional<ProcessRecord>& process,
                        const std::vector<EventRecord>& breadcrumbs) {
  output.write(fmt::format("Event {}", event.id), Style::heading);
  output.write("\n");
  write_lines(output, origin_lines(event, process));
  write_crash(output, event.data);
  write_exception(output, event.data);
  write_heading(output, "Data");
  write_data(output, event);
  write_stack(output, event);
  write_breadcrumbs(output, event, breadcrumbs);
}

}  // namespace codewake::cli
