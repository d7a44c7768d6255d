// `codewake critical-path`.
#include "analysis/critical_path.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "analysis/critical_paths.hpp"
#include "codewake/store.hpp"
#include "codewake/trace_event.hpp"
#include "codewake/visible.hpp"
#include "command.hpp"
#include "describe_trace.hpp"
#include "listing.hpp"
#include "output.hpp"
#include "progress.hpp"
#include "slices.hpp"
#include "table.hpp"
#include "trace_reading.hpp"

namespace codewake::cli {
namespace {

using analysis::ClockShift;
using analysis::CriticalPath;
using analysis::CriticalPaths;
using analysis::CriticalSegment;
using analysis::CriticalShare;
using analysis::CriticalSum;
using std::chrono::nanoseconds;

struct CriticalPathOptions {
  std::string id;
  std::string trace;
  TraceQuery traces;
};

double percent(nanoseconds part, nanoseconds whole) {
  if (whole.count() == 0) return 0;
  return 100 * static_cast<double>(part.count()) / static_cast<double>(whole.count());
}

std::string percent_text(nanoseconds part, nanoseconds whole) {
  return fmt::format("{:.1f}", percent(part, whole));
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

std::string what(const CriticalSegment& segment) {
  return describe_entry({.traced = segment.to});
}

bool was_at_work(const std::vector<TraceEventRecord>& events, const TraceQuery& times) {
  return std::ranges::any_of(events, [&](const TraceEventRecord& event) {
    return (!times.from || event.when >= *times.from) && (!times.to || event.when < *times.to);
  });
}

// ── for machines ──

std::vector<std::string> segment_fields() {
  return {"begin_ns", "time_ns", "percent", "doing",    "service", "instance", "execution", "what",
          "inside",   "kind",    "name",    "event_id", "from_id", "file",     "line"};
}

Json record_of(const CriticalSegment& segment, const CriticalPath& path) {
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

Json records_of(const std::vector<CriticalShare>& shares, const char* key, nanoseconds total) {
  Json records = Json::array();
  for (const CriticalShare& share : shares) {
    records.push_back({{key, share.name},
                       {"time_ns", share.time.count()},
                       {"percent", percent(share.time, total)},
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
          {"services", records_of(path.services, "service", path.total)},
          {"doing", records_of(path.kinds, "doing", path.total)},
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
                  nanoseconds total) {
  using enum Column::Align;
  using enum Column::Fit;
  out.write("\n");
  Table table(out, {{"TOOK MS", right, fixed}, {"%", right, fixed}, {title, left, flexible}});
  for (const CriticalShare& share : shares) {
    table.add({Cell(milliseconds(share.time)), Cell(percent_text(share.time, total)),
               Cell(share.name, Style::key)});
  }
  table.finish();
}

int show_path(Session& session, Store& store, const TraceId& id, const TraceQuery& times) {
  const std::vector<TraceEventRecord> events = read_trace_events(store, id);
  if (events.empty()) {
    complain_of_missing(id);
    return kFailed;
  }
  if (!was_at_work(events, times)) {
    complain(fmt::format("trace {} was not at work at that time", to_hex(id)));
    return kFailed;
  }
  const CriticalPath path = analysis::find_critical_path(events);
  if (session.options.format == Format::json) {
    write_json(session.out, record_of(path, id));
  } else if (session.options.format == Format::table) {
    write_heading(session.out, path, id);
    write_segments(session.out, path);
    write_shares(session.out, path.services, "SERVICE", path.total);
    write_shares(session.out, path.kinds, "DOING", path.total);
  } else {
    Listing listing(session.out, session.options, {}, segment_fields());
    for (const CriticalSegment& segment : path.segments) {
      listing.add([] { return Row(); }, [&] { return record_of(segment, path); });
    }
    listing.finish();
  }
  return kSuccess;
}

// ── of many traces ──

std::vector<std::string> sum_fields() {
  return {"time_ns", "percent", "traces", "segments", "longest_ns", "trace_id", "service",
          "doing",   "kind",    "name",   "inside",   "file",       "line"};
}

Json record_of(const CriticalSum& sum, const CriticalPaths& paths) {
  return {{"time_ns", sum.time.count()},
          {"percent", percent(sum.time, paths.total())},
          {"traces", sum.traces},
          {"segments", sum.segments},
          {"longest_ns", sum.longest.count()},
          {"trace_id", to_hex(sum.trace_id)},
          {"service", sum.service},
          {"doing", to_string(sum.doing)},
          {"kind", to_string(sum.kind)},
          {"name", sum.name},
          {"inside", text_or_null(sum.inside)},
          {"file", text_or_null(sum.file)},
          {"line", sum.line == 0 ? Json(nullptr) : Json(sum.line)}};
}

Json record_of(const CriticalPaths& paths) {
  Json places = Json::array();
  for (const CriticalSum& sum : paths.sums()) places.push_back(record_of(sum, paths));
  return {{"traces", paths.traces()},
          {"total_ns", paths.total().count()},
          {"median_ns", paths.percentile(50).count()},
          {"p95_ns", paths.percentile(95).count()},
          {"max_ns", paths.percentile(100).count()},
          {"places", std::move(places)},
          {"services", records_of(paths.services(), "service", paths.total())},
          {"doing", records_of(paths.kinds(), "doing", paths.total())}};
}

void write_sums(Output& out, const CriticalPaths& paths) {
  using enum Column::Align;
  using enum Column::Fit;
  Table table(out, {{"TOOK MS", right, fixed},
                    {"%", right, fixed},
                    {"TRACES", right, fixed},
                    {"TIMES", right, fixed},
                    {"LONGEST MS", right, fixed},
                    {"IN TRACE", left, fixed},
                    {"SERVICE", left, flexible},
                    {"DOING", left, fixed},
                    {"UNTIL", left, flexible},
                    {"IN", left, flexible},
                    {"WHERE", left, flexible}});
  for (const CriticalSum& sum : paths.sums()) {
    table.add({Cell(milliseconds(sum.time)), Cell(percent_text(sum.time, paths.total())),
               Cell(std::to_string(sum.traces)), Cell(std::to_string(sum.segments)),
               Cell(milliseconds(sum.longest)), Cell(to_hex(sum.trace_id), Style::dim),
               Cell(sum.service, Style::key), Cell(to_string(sum.doing)),
               Cell(describe_kind(sum.kind, sum.name)), Cell(sum.inside),
               Cell(place_of(sum.file, sum.line), Style::dim)});
  }
  table.finish();
}

void write_paths(Output& out, const CriticalPaths& paths) {
  out.write(fmt::format("{} trace{}", paths.traces(), paths.traces() == 1 ? "" : "s"), Style::heading);
  if (paths.traces() == 0) {
    out.write("\n");
    return;
  }
  out.write(
      fmt::format("\n  their critical paths take {} ms in all: median {}, 95th percentile {}, longest {}\n\n",
                  milliseconds(paths.total()), milliseconds(paths.percentile(50)),
                  milliseconds(paths.percentile(95)), milliseconds(paths.percentile(100))));
  write_sums(out, paths);
  write_shares(out, paths.services(), "SERVICE", paths.total());
  write_shares(out, paths.kinds(), "DOING", paths.total());
}

int show_paths(Session& session, Store& store, const TraceQuery& query) {
  CriticalPaths paths;
  {
    Progress progress;
    const std::vector<TraceSummary> traces = store.get_traces(query);
    std::size_t done = 0;
    for (const TraceSummary& trace : traces) {
      if (progress.is_shown()) progress.show(bar(done, traces.size(), "traces"));
      // Events may be retained away between the one reading and the other.
      const std::vector<TraceEventRecord> events = read_trace_events(store, trace.trace_id);
      paths.add(analysis::find_critical_path(events));
      ++done;
    }
  }
  if (session.options.format == Format::json) {
    write_json(session.out, record_of(paths));
  } else if (session.options.format == Format::table) {
    write_paths(session.out, paths);
  } else {
    Listing listing(session.out, session.options, {}, sum_fields());
    for (const CriticalSum& sum : paths.sums()) {
      listing.add([] { return Row(); }, [&] { return record_of(sum, paths); });
    }
    listing.finish();
  }
  return kSuccess;
}

int run_critical_path(Session& session, const CriticalPathOptions& options) {
  if (!options.id.empty() && !options.trace.empty())
    throw UsageError("which trace? Write its id once: codewake critical-path ID");
  const std::string& named = options.id.empty() ? options.trace : options.id;
  const std::optional<TraceId> id = named.empty() ? std::nullopt : std::optional(to_trace_id(named));
  const std::shared_ptr<Store> store = open_store(session.options);
  return id ? show_path(session, *store, *id, options.traces) : show_paths(session, *store, options.traces);
}

}  // namespace

void add_critical_path_command(CLI::App& app, Session& session) {
  const auto options = std::make_shared<CriticalPathOptions>();
  CLI::App* const command = add_command(
      app, "critical-path", "Show the chain of events that determined how long a trace, or many, took",
      {"codewake critical-path 4bf92f3577b34da6a3ce929d0e0e4736",
       "codewake critical-path --since 1h  # where the time of the last hour's traces went",
       "codewake critical-path --trace 4bf92f35-77b3-4da6-a3ce-929d0e0e4736 --format json | jq .services"});
  command->add_option(
      "ID", options->id,
      "The trace's id: 32 hexadecimal digits, or a UUID; without it, the paths of many traces "
      "are added up");
  command->add_option("--trace", options->trace, "The same")->type_name("ID");
  add_time_option(command, "--since", options->traces.from,
                  "Only traces that were at work at or after this time");
  add_time_option(command, "--until", options->traces.to, "Only traces that were at work before this time");
  add_limit_option(command, options->traces.limit, 1, "At most so many traces, the latest (default: 100)");
  add_output_options(command, session);
  add_store_options(command, session);
  on_run(command, session, options, run_critical_path);
}

}  // namespace codewake::cli
