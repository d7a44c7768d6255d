#include "codewake/analysis.hpp"

#include <optional>
#include <utility>

#include "detection.hpp"
#include "history_builder.hpp"
#include "reading.hpp"

namespace codewake::analysis {
namespace {

RaceReport report_of(History history, const Fetch& fetch) {
  RaceReport report;
  report.findings = find_all(history, fetch);
  report.traces = history.traces;
  for (const ExecutionHistory& execution : history.executions) {
    if (execution.is_machine) continue;
    const auto number = static_cast<std::uint32_t>(&execution - history.executions.data());
    const std::size_t events = history.events_of(number).size();
    report.events += events;
    if (events > 0) ++report.executions;
    if (execution.damage != 0) ++report.damaged_executions;
  }
  return report;
}

}  // namespace

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::race:
      return "race";
    case Verdict::check_then_act:
      return "check-then-act";
    case Verdict::lock_order:
      return "lock-order";
    case Verdict::potential_race:
      return "potential-race";
  }
  return "";
}

std::string_view to_string(Severity severity) noexcept {
  return severity == Severity::critical ? "critical" : "warning";
}

std::string_view to_string(Caller::Kind kind) noexcept {
  switch (kind) {
    case Caller::Kind::function:
      return "function";
    case Caller::Kind::spawn:
      return "spawn";
    case Caller::Kind::served:
      return "served";
    case Caller::Kind::request:
      return "request";
  }
  return "";
}

RaceReport find_races(Store& store, const RaceQuery& query, const OnProgress& on_progress) {
  return report_of(read_history(store, query, on_progress),
                   [&](const History& history, std::uint32_t event) { return fetch(store, history, event); });
}

RaceReport find_races(std::span<const TraceEventRecord> events) {
  HistoryBuilder builder;
  for (const TraceEventRecord& event : events) builder.add(event);
  return report_of(builder.finish(),
                   [&](const History&, std::uint32_t event) { return std::optional(events[event]); });
}

}  // namespace codewake::analysis
