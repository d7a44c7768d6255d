// `codewake races`, `codewake audit` and `codewake locks`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/audit.hpp"
#include "analysis/detection.hpp"
#include "analysis/lock_usage.hpp"
#include "analysis/reading.hpp"
#include "codewake/analysis.hpp"
#include "codewake/store.hpp"
#include "codewake/visible.hpp"
#include "command.hpp"
#include "describe_trace.hpp"
#include "json.hpp"
#include "listing.hpp"
#include "output.hpp"
#include "progress.hpp"
#include "suppressions.hpp"
#include "table.hpp"

namespace codewake::cli {
namespace {

using analysis::Caller;
using analysis::Finding;
using analysis::RaceQuery;
using analysis::RaceReport;

/// What of a store is looked at.
void add_query_options(CLI::App* command, RaceQuery& query) {
  command->add_option_function<std::string>(
      "--trace",
      [&query](const std::string& text) {
        query.trace_id = parse_trace_id(text);
        if (!query.trace_id)
          throw CLI::ValidationError("--trace",
                                     fmt::format("'{}' is no trace id; write its 32 hexadecimal digits, "
                                                 "with or without dashes",
                                                 visible(text)));
      },
      "Only this trace");
  add_time_option(command, "--since", query.from, "Only events at or after this time");
  add_time_option(command, "--until", query.to, "Only events before this time");
}

analysis::OnProgress shown_by(Progress& progress) {
  return [&progress](std::uint64_t events) { progress.show(fmt::format("{} trace events read", events)); };
}

std::string counted(std::uint64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

// ── races ──

struct RacesOptions {
  RaceQuery query;
  std::string suppressions;
  bool fails = false;
};

Json record_of(const Caller& caller) {
  return {{"kind", to_string(caller.kind)},
          {"name", caller.name},
          {"service", caller.service},
          {"execution", caller.execution},
          {"file", caller.file.empty() ? Json(nullptr) : Json(caller.file)},
          {"line", caller.line == 0 ? Json(nullptr) : Json(caller.line)}};
}

Json record_of(const Finding& finding) {
  Json events = Json::array(), stacks = Json::array();
  for (const TraceEventRecord& event : finding.events) events.push_back(to_json(event));
  for (const std::vector<Caller>& stack : finding.stacks) {
    Json callers = Json::array();
    for (const Caller& caller : stack) callers.push_back(record_of(caller));
    stacks.push_back(std::move(callers));
  }
  return {{"verdict", to_string(finding.verdict)},
          {"severity", to_string(finding.severity)},
          {"uncertain", finding.is_uncertain},
          {"variables", finding.variables},
          {"variable_count", finding.variable_count},
          {"locks", finding.locks},
          {"write_write", finding.write_write},
          {"read_write", finding.read_write},
          {"why", finding.why},
          {"events", std::move(events)},
          {"stacks", std::move(stacks)}};
}

void write_findings(Output& out, const RaceReport& report, std::size_t suppressed) {
  bool was_potential = false;
  for (const Finding& finding : report.findings) {
    const bool is_potential = finding.verdict == analysis::Verdict::potential_race;
    if (is_potential && !std::exchange(was_potential, true))
      out.write("Ordered this time, but by no lock that all of them hold:\n\n", Style::heading);
    const std::string text = describe(finding);
    const std::size_t title = text.find('\n');
    out.write(visible(text.substr(0, title)), is_potential ? Style::heading : Style::alarm);
    for (std::size_t from = title; from < text.size();) {
      const std::size_t end = std::min(text.find('\n', from + 1), text.size());
      out.write("\n" + visible(text.substr(from + 1, end - from - 1)));
      from = end;
    }
    out.write("\n\n");
  }
  const auto potential = static_cast<std::uint64_t>(
      std::ranges::count(report.findings, analysis::Verdict::potential_race, &Finding::verdict));
  std::string counts = counted(report.findings.size() - potential, "finding");
  if (potential > 0) counts += fmt::format(", {} only potential", potential);
  if (suppressed > 0) counts += fmt::format(", {} suppressed", suppressed);
  out.write(fmt::format("{}, in {} of {} in {}.\n", counts, counted(report.events, "event"),
                        counted(report.executions, "execution"), counted(report.traces, "trace")));
  if (report.damaged_executions > 0) {
    out.write(fmt::format("Of {} something is missing: what was found there is uncertain.\n",
                          counted(report.damaged_executions, "execution")));
  }
}

int run_races(Session& session, const RacesOptions& options) {
  Suppressions suppressions =
      options.suppressions.empty() ? Suppressions() : Suppressions(options.suppressions);
  const std::shared_ptr<Store> store = open_store(session.options);
  RaceReport report;
  {
    Progress progress;
    report = analysis::find_races(*store, options.query, shown_by(progress));
  }
  const std::size_t suppressed = suppressions.apply(report.findings);
  if (session.options.format == Format::table) {
    write_findings(session.out, report, suppressed);
  } else {
    Listing listing(session.out, session.options, {},
                    {"verdict", "severity", "uncertain", "variables", "variable_count", "locks",
                     "write_write", "read_write", "why", "events", "stacks"});
    for (const Finding& finding : report.findings)
      listing.add([] { return Row(); }, [&] { return record_of(finding); });
    listing.finish();
  }
  for (const std::string& line : suppressions.unused())
    complain(fmt::format("nothing was found that '{}' suppresses", visible(line)));
  const bool is_found = std::ranges::any_of(report.findings, [](const Finding& finding) {
    return finding.verdict != analysis::Verdict::potential_race;
  });
  return options.fails && is_found ? kFound : kSuccess;
}

// ── audit ──

struct AuditOptions {
  RaceQuery query;
  std::string variable;
};

std::string remark_on(const analysis::AuditedAccess& access) {
  std::string remark;
  if (access.lost) remark = fmt::format("loses the update {}", *access.lost + 1);
  if (access.is_unordered) remark += remark.empty() ? "not ordered" : ", not ordered";
  return remark;
}

int run_audit(Session& session, const AuditOptions& options) {
  using enum Column::Align;
  using enum Column::Fit;
  const std::shared_ptr<Store> store = open_store(session.options);
  std::vector<analysis::AuditedAccess> trail;
  {
    Progress progress;
    trail = analysis::audit(*store, options.variable, options.query, shown_by(progress));
  }
  if (trail.empty()) {
    complain(fmt::format("nothing was recorded of a variable '{}'", visible(options.variable)));
    return kFailed;
  }
  Listing listing(session.out, session.options,
                  {{"NUMBER", right, fixed},
                   {"WHEN", left, fixed},
                   {"ACCESS", left, fixed},
                   {"VALUE", left, flexible},
                   {"REMARK", left, fixed},
                   {"WHERE", left, flexible},
                   {"EXECUTION", left, flexible},
                   {"TRACE", left, fixed}},
                  {"number", "lost_update", "unordered", "event"});
  std::size_t number = 0;
  for (const analysis::AuditedAccess& access : trail) {
    ++number;
    listing.add(
        [&] {
          return Row{Cell(std::to_string(number), Style::key),
                     Cell(format_time(access.event.when), Style::dim),
                     Cell(access.event.access ? to_string(*access.event.access) : "-"),
                     Cell(value_of(access.event)),
                     Cell(remark_on(access), access.lost ? Style::alarm : Style::plain),
                     Cell(place_of(access.event)),
                     Cell(access.event.texts.execution),
                     Cell(to_hex(access.event.trace_id), Style::dim)};
        },
        [&] {
          return Json{{"number", number},
                      {"lost_update", access.lost ? Json(*access.lost + 1) : Json(nullptr)},
                      {"unordered", access.is_unordered},
                      {"event", to_json(access.event)}};
        });
  }
  listing.finish();
  return kSuccess;
}

// ── locks ──

std::vector<Column> lock_columns() {
  using enum Column::Align;
  using enum Column::Fit;
  return {{"LOCK", left, flexible},     {"SERVICE", left, flexible},  {"TAKEN", right, fixed},
          {"SHARED", right, fixed},     {"EXECUTIONS", right, fixed}, {"HELD MS", right, fixed},
          {"LONGEST MS", right, fixed}, {"CONTENDED", right, fixed},  {"WAITED MS AT MOST", right, fixed}};
}

int run_locks(Session& session, const RaceQuery& query) {
  const std::shared_ptr<Store> store = open_store(session.options);
  std::vector<analysis::LockUsage> usages;
  std::vector<Finding> cycles;
  {
    Progress progress;
    analysis::History history = analysis::read_history(*store, query, shown_by(progress));
    usages = analysis::lock_usage(history);
    cycles = analysis::find_lock_orders(history, [&](const analysis::History& all, std::uint32_t event) {
      return analysis::fetch(*store, all, event);
    });
  }
  Listing listing(session.out, session.options, lock_columns(),
                  {"lock", "service", "instance", "taken", "shared", "executions", "held_ns", "longest_ns",
                   "contended", "waited_ns"});
  for (const analysis::LockUsage& usage : usages) {
    listing.add(
        [&] {
          return Row{Cell(usage.lock, Style::key),           Cell(usage.service + " #" + usage.instance),
                     Cell(std::to_string(usage.taken)),      Cell(std::to_string(usage.taken_shared)),
                     Cell(std::to_string(usage.executions)), Cell(milliseconds(usage.held)),
                     Cell(milliseconds(usage.longest)),      Cell(std::to_string(usage.contended)),
                     Cell(milliseconds(usage.waited))};
        },
        [&] {
          return Json{{"lock", usage.lock},
                      {"service", usage.service},
                      {"instance", usage.instance},
                      {"taken", usage.taken},
                      {"shared", usage.taken_shared},
                      {"executions", usage.executions},
                      {"held_ns", usage.held.count()},
                      {"longest_ns", usage.longest.count()},
                      {"contended", usage.contended},
                      {"waited_ns", usage.waited.count()}};
        });
  }
  listing.finish();
  if (session.options.format == Format::table) {
    for (const Finding& cycle : cycles) session.out.write("\n" + describe(cycle) + "\n");
  }
  return kSuccess;
}

}  // namespace

void add_race_commands(CLI::App& app, Session& session) {
  const auto races = std::make_shared<RacesOptions>();
  CLI::App* const find = add_command(
      app, "races",
      "Find races, checks that others can invalidate, and possible deadlocks in recorded traces",
      {"codewake races", "codewake races --since 1h",
       "codewake races --trace 4bf92f3577b34da6a3ce929d0e0e4736",
       "codewake races --fail --suppress accepted.txt  # exits with 3 where something was found"});
  add_query_options(find, races->query);
  find->add_flag("--fail", races->fails, "Exit with 3 where anything but potential races is found");
  find->add_option(
      "--suppress", races->suppressions,
      "A file of accepted findings, one a line: a verdict or *, then patterns of places, variables, "
      "locks or functions, such as 'race bank.cpp:* account:*'");
  add_output_options(find, session);
  add_store_options(find, session);
  on_run(find, session, races, run_races);

  const auto audited = std::make_shared<AuditOptions>();
  CLI::App* const audit =
      add_command(app, "audit", "Show all accesses to a variable, in causal order, with lost updates",
                  {"codewake audit account:alice", "codewake audit account:alice --since 1h",
                   "codewake audit stock --format json | jq '.[] | select(.lost_update)'"});
  audit->add_option("VARIABLE", audited->variable, "The variable's name")->required();
  add_query_options(audit, audited->query);
  add_output_options(audit, session);
  add_store_options(audit, session);
  on_run(audit, session, audited, run_audit);

  const auto query = std::make_shared<RaceQuery>();
  CLI::App* const locks = add_command(
      app, "locks", "Show how locks were used, who waited for them, and in which orders they are taken",
      {"codewake locks", "codewake locks --since 1h --format csv"});
  add_query_options(locks, *query);
  add_output_options(locks, session);
  add_store_options(locks, session);
  on_run(locks, session, query, run_locks);
}

}  // namespace codewake::cli
