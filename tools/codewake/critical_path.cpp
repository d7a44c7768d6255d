// `codewake critical-path`.
#include "analysis/critical_path.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "codewake/store.hpp"
#include "codewake/trace_event.hpp"
#include "command.hpp"
#include "describe_trace.hpp"
#include "listing.hpp"
#include "output.hpp"
#include "table.hpp"
#include "text.hpp"
#include "trace_reading.hpp"

namespace codewake::cli {
namespace {

using analysis::ClockShift;
using analysis::CriticalPath;
using analysis::CriticalSegment;
using analysis::CriticalShare;
using analysis::Doing;

struct CriticalPathOptions {
  std::string id;
  std::string trace;
};

double percent(std::chrono::nanoseconds part, std::chrono::nanoseconds whole) {
  if (whole.count() == 0) return 0;
  return 100 * static_cast<double>(part.count()) / static_cast<double>(whole.count());
}

std::string percent_text(std::chrono::nanoseconds part, std::chrono::nanoseconds whole) {
  return fmt::format("{:.1f}", percent(part, whole));
}

std::string what(const CriticalSegment& segment) {
  return describe_entry({.traced = segment.to});
}

// ── for machines ──

std::vector<std::string> segment_fields() {
  return {"begin_ns", "time_ns", "percent", "doing",    "service", "instance", "execution", "what",
          "inside",   "kind",    "name",    "event_id", "from_id", "file",     "line"};
}

Json record_of(const CriticalSegment& segment, const CriticalPath& path) {
  const auto text_or_null = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
  const TraceEventRecord& event = *segment.to;
  return {{"begin_ns", segment.begin.count()},
          {"time_ns", segment.time.count()},
          {"percent", percent(segment.time, path.total)},
          {"doing", to_string(segment.doing)},
          {"service", event.texts.service},
          {"instance", event.texts.instance},
          {"execution", event.texts.execution},
          {"what", what(segment)},
          {"inside", text_or_null(segment.inside)},
          {"kind", to_string(event.kind)},
          {"name", event.texts.name},
          {"event_id", to_uuid(event.id)},
          {"from_id", segment.from == nullptr ? Json(nullptr) : Json(to_uuid(segment.from->id))},
          {"file", text_or_null(event.texts.file)},
          {"line", event.line == 0 ? Json(nullptr) : Json(event.line)}};
}

Json records_of(const std::vector<CriticalShare>& shares, const char* key, const CriticalPath& path) {
  Json records = Json::array();
  for (const CriticalShare& share : shares) {
    records.push_back({{key, share.name},
                       {"time_ns", share.time.count()},
                       {"percent", percent(share.time, path.total)},
                       {"segments", share.segments}});
  }
  return records;
}

Json record_of(const CriticalPath& path, const TraceId& id) {
  Json segments = Json::array(), shifts = Json::array();
  for (const CriticalSegment& segment : path.segments) segments.push_back(record_of(segment, path));
  for (const ClockShift& shift : path.shifts) {
    shifts.push_back(
        {{"service", shift.service}, {"instance", shift.instance}, {"shift_ns", shift.shift.count()}});
  }
  return {{"trace_id", to_hex(id)},
          {"trace_ns", path.trace.count()},
          {"total_ns", path.total.count()},
          {"segments", std::move(segments)},
          {"services", records_of(path.services, "service", path)},
          {"doing", records_of(path.kinds, "doing", path)},
          {"shifts", std::move(shifts)},
          {"times_agree", path.can_compare}};
}

// ── for people ──

void write_heading(Output& out, const CriticalPath& path, const TraceId& id) {
  std::set<std::string> executions, services;
  for (const CriticalSegment& segment : path.segments) {
    executions.insert(segment.to->texts.execution);
    services.insert(segment.to->texts.service);
  }
  out.write(fmt::format("Trace {}", to_hex(id)), Style::heading);
  out.write(
      fmt::format("\n  takes {} ms; its critical path takes {} ms, through {} execution{} of {} service{}\n",
                  milliseconds(path.trace), milliseconds(path.total), executions.size(),
                  executions.size() == 1 ? "" : "s", services.size(), services.size() == 1 ? "" : "s"));
  for (const ClockShift& shift : path.shifts) {
    out.write(fmt::format("  the times of {} #{} are shifted by {} ms, for its clock is another\n",
                          visible(shift.service), visible(shift.instance), milliseconds(shift.shift)));
  }
  if (!path.can_compare) {
    out.write("  the times of its machines contradict each other: those between them say little\n",
              Style::alarm);
  }
  out.write("\n");
}

void write_segments(Output& out, const CriticalPath& path) {
  using enum Column::Align;
  using enum Column::Fit;
  Table table(out, {{"AT MS", right, fixed},
                    {"TOOK MS", right, fixed},
                    {"%", right, fixed},
                    {"SERVICE", left, flexible},
                    {"EXECUTION", left, flexible},
                    {"DOING", left, fixed},
                    {"UNTIL", left, flexible},
                    {"IN", left, flexible},
                    {"WHERE", left, flexible}});
  for (const CriticalSegment& segment : path.segments) {
    Cell until;
    until.append(what(segment), segment.to->kind == TraceKind::error ? Style::alarm : Style::plain);
    table.add({Cell(milliseconds(segment.begin), Style::dim), Cell(milliseconds(segment.time)),
               Cell(percent_text(segment.time, path.total)), Cell(segment.to->texts.service, Style::key),
               Cell(to_hex(segment.to->span_id), Style::dim), Cell(to_string(segment.doing)),
               std::move(until), Cell(segment.inside), Cell(place_of(*segment.to), Style::dim)});
  }
  table.finish();
}

void write_shares(Output& out, const std::vector<CriticalShare>& shares, const std::string& title,
                  const CriticalPath& path) {
  using enum Column::Align;
  using enum Column::Fit;
  out.write("\n");
  Table table(out, {{"TOOK MS", right, fixed}, {"%", right, fixed}, {title, left, flexible}});
  for (const CriticalShare& share : shares) {
    table.add({Cell(milliseconds(share.time)), Cell(percent_text(share.time, path.total)),
               Cell(share.name, Style::key)});
  }
  table.finish();
}

int run_critical_path(Session& session, const CriticalPathOptions& options) {
  if (options.id.empty() == options.trace.empty()) {
    throw UsageError(
        "which trace? Write its id once: codewake critical-path ID; 'codewake traces' lists them");
  }
  const TraceId id = to_trace_id(options.id.empty() ? options.trace : options.id);
  const std::shared_ptr<Store> store = open_store(session.options);
  std::vector<TraceEventRecord> events;
  for_each_trace_event(*store, {.trace_id = id},
                       [&](TraceEventRecord& event) { events.push_back(std::move(event)); });
  if (events.empty()) {
    complain_of_missing(id);
    return kFailed;
  }
  const CriticalPath path = analysis::find_critical_path(events);
  if (session.options.format == Format::json) {
    session.out.write(to_line(record_of(path, id)) + "\n");
  } else if (session.options.format == Format::table) {
    write_heading(session.out, path, id);
    write_segments(session.out, path);
    write_shares(session.out, path.services, "SERVICE", path);
    write_shares(session.out, path.kinds, "DOING", path);
  } else {
    Listing listing(session.out, session.options.format, {}, segment_fields());
    for (const CriticalSegment& segment : path.segments) {
      listing.add([] { return Row(); }, [&] { return record_of(segment, path); });
    }
    listing.finish();
  }
  return kSuccess;
}

}  // namespace

void add_critical_path_command(CLI::App& app, Session& session) {
  const auto options = std::make_shared<CriticalPathOptions>();
  CLI::App* const command = add_command(
      app, "critical-path", "Show the chain of events that determined how long a trace took",
      {"codewake critical-path 4bf92f3577b34da6a3ce929d0e0e4736",
       "codewake critical-path --trace 4bf92f35-77b3-4da6-a3ce-929d0e0e4736 --format json | jq .services"});
  command->add_option("ID", options->id, "The trace's id: 32 hexadecimal digits, or a UUID");
  command->add_option("--trace", options->trace, "The same")->type_name("ID");
  add_output_options(command, session);
  add_store_options(command, session);
  on_run(command, session, options, run_critical_path);
}

}  // namespace codewake::cli
