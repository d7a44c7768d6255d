// `codewake services`.
#include "analysis/services.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/slow_operations.hpp"
#include "codewake/store.hpp"
#include "codewake/time.hpp"
#include "codewake/trace_event.hpp"
#include "command.hpp"
#include "describe_trace.hpp"
#include "listing.hpp"
#include "output.hpp"
#include "table.hpp"
#include "trace_reading.hpp"

namespace codewake::cli {
namespace {

using analysis::Latency;
using analysis::ServiceCall;
using analysis::SlowOperation;

struct ServicesOptions {
  std::string trace;
  std::optional<Time> since, until;
  bool slow = false;
};

std::string_view to_string(ServiceCall::Kind kind) {
  return kind == ServiceCall::Kind::database ? "database" : "http";
}

std::string_view to_string(SlowOperation::Kind kind) {
  switch (kind) {
    case SlowOperation::Kind::served:
      return "served";
    case SlowOperation::Kind::called:
      return "called";
    case SlowOperation::Kind::function:
      return "function";
    case SlowOperation::Kind::query:
      return "query";
  }
  return "";
}

std::string_view to_string(SlowOperation::Finding finding) {
  return finding == SlowOperation::Finding::latest ? "latest" : "single";
}

Cell known(const std::string& name, Style style = Style::plain) {
  return name.empty() ? Cell("-", Style::dim) : Cell(name, style);
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

// ── who calls whom ──

std::vector<Column> call_columns() {
  using enum Column::Align;
  using enum Column::Fit;
  return {{"CLIENT", left, flexible}, {"SERVER", left, flexible}, {"OPERATION", left, flexible},
          {"CALLS", right, fixed},    {"ERRORS", right, fixed},   {"MEDIAN MS", right, fixed},
          {"P95", right, fixed},      {"MAX", right, fixed},      {"CLIENT'S MEDIAN", right, fixed},
          {"P95", right, fixed},      {"MAX", right, fixed}};
}

std::vector<std::string> call_fields() {
  return {"kind",   "client",         "server",           "operation",     "calls",
          "errors", "served",         "served_median_ns", "served_p95_ns", "served_max_ns",
          "seen",   "seen_median_ns", "seen_p95_ns",      "seen_max_ns"};
}

void add_latency(Row& row, const Latency& latency) {
  for (const auto duration : {latency.median, latency.p95, latency.max}) {
    row.push_back(latency.count == 0 ? Cell() : Cell(milliseconds(duration)));
  }
}

Row call_row(const ServiceCall& call) {
  Row row = {known(call.client, Style::key), known(call.server, Style::key), known(call.operation),
             Cell(std::to_string(call.calls)),
             call.errors == 0 ? Cell("0") : Cell(std::to_string(call.errors), Style::alarm)};
  add_latency(row, call.served);
  add_latency(row, call.seen);
  return row;
}

void add_latency(Json& record, const std::string& name, const Latency& latency) {
  const auto figure = [&](std::chrono::nanoseconds duration) {
    return latency.count == 0 ? Json(nullptr) : Json(duration.count());
  };
  record[name] = latency.count;
  record[name + "_median_ns"] = figure(latency.median);
  record[name + "_p95_ns"] = figure(latency.p95);
  record[name + "_max_ns"] = figure(latency.max);
}

Json record_of(const ServiceCall& call) {
  Json record = {{"kind", to_string(call.kind)},
                 {"client", text_or_null(call.client)},
                 {"server", text_or_null(call.server)},
                 {"operation", text_or_null(call.operation)},
                 {"calls", call.calls},
                 {"errors", call.errors}};
  add_latency(record, "served", call.served);
  add_latency(record, "seen", call.seen);
  return record;
}

int list_calls(Session& session, Store& store, const TraceEventQuery& query) {
  analysis::ServiceMap services;
  bool is_empty = true;
  for_each_trace_event(store, query, [&](const TraceEventRecord& event) {
    is_empty = false;
    services.add(event);
  });
  if (is_empty && query.trace_id) {
    complain_of_missing(*query.trace_id);
    return kFailed;
  }
  Listing listing(session.out, session.options, call_columns(), call_fields());
  for (const ServiceCall& call : services.finish()) {
    listing.add([&] { return call_row(call); }, [&] { return record_of(call); });
  }
  listing.finish();
  return kSuccess;
}

// ── what is slow ──

std::vector<Column> slow_columns() {
  using enum Column::Align;
  using enum Column::Fit;
  return {{"SERVICE", left, flexible}, {"KIND", left, fixed},      {"OPERATION", left, flexible},
          {"SLOW CALLS", left, fixed}, {"USUAL MS", right, fixed}, {"P95", right, fixed},
          {"NOW", right, fixed},       {"TIMES", right, fixed},    {"EXAMPLE MS", right, fixed},
          {"TRACE", left, fixed},      {"EVENT", left, flexible},  {"WHERE", left, flexible}};
}

std::vector<std::string> slow_fields() {
  return {
      "service",      "kind",   "operation", "found",    "slow", "judged",      "before", "usual_median_ns",
      "usual_p95_ns", "now_ns", "trace_id",  "event_id", "when", "duration_ns", "file",   "line"};
}

double times_as_slow(const SlowOperation& slow) {
  return static_cast<double>(slow.now.count()) /
         static_cast<double>(std::max<std::int64_t>(slow.usual.count(), 1));
}

Row slow_row(const SlowOperation& slow) {
  const std::string calls = slow.finding == SlowOperation::Finding::latest
                                ? fmt::format("latest {}", slow.slow)
                                : fmt::format("{} of {}", slow.slow, slow.judged);
  return {known(slow.service, Style::key),
          Cell(to_string(slow.kind)),
          known(slow.operation),
          Cell(calls),
          Cell(milliseconds(slow.usual)),
          Cell(milliseconds(slow.usual_p95)),
          Cell(milliseconds(slow.now), Style::alarm),
          Cell(fmt::format("{:.1f}", times_as_slow(slow))),
          Cell(milliseconds(slow.example.duration)),
          Cell(to_hex(slow.example.trace_id)),
          Cell(to_uuid(slow.example.event_id), Style::dim),
          Cell(place_of(slow.example.file, slow.example.line), Style::dim)};
}

Json record_of(const SlowOperation& slow) {
  return {{"service", text_or_null(slow.service)},
          {"kind", to_string(slow.kind)},
          {"operation", text_or_null(slow.operation)},
          {"found", to_string(slow.finding)},
          {"slow", slow.slow},
          {"judged", slow.judged},
          {"before", slow.before},
          {"usual_median_ns", slow.usual.count()},
          {"usual_p95_ns", slow.usual_p95.count()},
          {"now_ns", slow.now.count()},
          {"trace_id", to_hex(slow.example.trace_id)},
          {"event_id", to_uuid(slow.example.event_id)},
          {"when", format_time(slow.example.when)},
          {"duration_ns", slow.example.duration.count()},
          {"file", text_or_null(slow.example.file)},
          {"line", slow.example.line == 0 ? Json(nullptr) : Json(slow.example.line)}};
}

int list_slow(Session& session, Store& store, const ServicesOptions& options) {
  analysis::SlowOperations operations(options.since);
  for_each_trace_event(store, {.to = options.until},
                       [&](const TraceEventRecord& event) { operations.add(event); });
  Listing listing(session.out, session.options, slow_columns(), slow_fields());
  for (const SlowOperation& slow : operations.finish()) {
    listing.add([&] { return slow_row(slow); }, [&] { return record_of(slow); });
  }
  listing.finish();
  return kSuccess;
}

int run_services(Session& session, const ServicesOptions& options) {
  TraceEventQuery query{.from = options.since, .to = options.until};
  if (!options.trace.empty()) query.trace_id = to_trace_id(options.trace);
  if (options.slow && query.trace_id) {
    throw UsageError("--slow compares traces with those before them; leave --trace out, or --slow");
  }
  const std::shared_ptr<Store> store = open_store(session.options);
  return options.slow ? list_slow(session, *store, options) : list_calls(session, *store, query);
}

}  // namespace

void add_services_command(CLI::App& app, Session& session) {
  const auto options = std::make_shared<ServicesOptions>();
  CLI::App* const command = add_command(
      app, "services", "Show which service calls which, how often, how fast, and what is slower than it was",
      {"codewake services --since 24h", "codewake services --trace 4bf92f3577b34da6a3ce929d0e0e4736",
       "codewake services --slow --since 1h  # the last hour against all that was before",
       "codewake services --format json | jq '.[] | select(.errors > 0)'"});
  command->add_option("--trace", options->trace, "Only of this trace")->type_name("ID");
  command->add_flag("--slow", options->slow,
                    "Operations that are slow against their own history: their latest calls against those "
                    "before; with --since, what happened since against all before");
  add_time_option(command, "--since", options->since, "Only what happened at or after this time");
  add_time_option(command, "--until", options->until, "Only what happened before this time");
  add_output_options(command, session);
  add_store_options(command, session);
  on_run(command, session, options, run_services);
}

}  // namespace codewake::cli
