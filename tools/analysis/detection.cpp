#include "detection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <initializer_list>
#include <string>
#include <tuple>
#include <utility>

#include "call_chains.hpp"
#include "lock_order_detector.hpp"
#include "lock_set_detector.hpp"
#include "order.hpp"
#include "race_detector.hpp"
#include "window_detector.hpp"

namespace codewake::analysis {
namespace {

/// Makes findings of what the detectors found.
class Reporter {
 public:
  Reporter(const History& history, const Fetch& fetch)
      : history_(history), fetch_(fetch), call_chains_(history) {}

  void add(const RacesFound& found) {
    for (const auto& [places, race] : found) {
      Finding finding{.verdict = Verdict::race};
      finding.severity = race.write_write > 0 ? Severity::critical : Severity::warning;
      finding.write_write = race.write_write;
      finding.read_write = race.read_write;
      name_variables(finding, race.variables);
      finding.why = why_unordered(race.first, race.second);
      add(std::move(finding), {race.first, race.second}, race.is_certain);
    }
  }

  void add(const WindowsFound& found) {
    for (const auto& [places, window] : found) {
      Finding finding{.verdict = Verdict::check_then_act, .severity = Severity::warning};
      name_variables(finding, {history_.events[window.check].name});
      const std::string locks = locks_of(window.check);
      finding.why = fmt::format(
          "Between the read and the write that follows it the execution holds {}, and the other write can "
          "come in "
          "between: what was read is old by then.",
          locks.empty() ? std::string("no lock") : "no lock all the time that the other write needs");
      add(std::move(finding), {window.check, window.act, window.between}, window.is_certain);
    }
  }

  void add(const std::vector<LockCycle>& cycles) {
    for (const LockCycle& cycle : cycles) {
      Finding finding{.verdict = Verdict::lock_order, .severity = Severity::critical};
      for (const std::uint32_t event : cycle.events)
        finding.locks.push_back(history_.names.text_of(history_.events[event].name));
      finding.why = fmt::format(
          "Each of the {} executions takes a lock while it holds the one that the next of them wants: where "
          "all "
          "are there at once, none can go on.",
          cycle.events.size());
      add(std::move(finding), cycle.events, cycle.is_certain);
    }
  }

  void add(const std::map<PlacePair, UnguardedFound>& found, const RacesFound& races) {
    for (const auto& [places, pair] : found) {
      if (races.contains(places)) continue;
      Finding finding{.verdict = Verdict::potential_race, .severity = Severity::warning};
      name_variables(finding, {history_.events[pair.first].name});
      finding.why =
          fmt::format("The accesses were ordered this time. The first is made with {}, the second with {}.",
                      locks_or_none(pair.first), locks_or_none(pair.second));
      add(std::move(finding), {pair.first, pair.second}, pair.is_certain);
    }
  }

  std::vector<Finding> findings() && {
    std::stable_sort(findings_.begin(), findings_.end(), [](const Finding& a, const Finding& b) {
      return std::tuple(a.verdict, a.severity, a.is_uncertain) <
             std::tuple(b.verdict, b.severity, b.is_uncertain);
    });
    return std::move(findings_);
  }

 private:
  static constexpr std::size_t kMostFindings = 10'000, kMostVariables = 100;

  void add(Finding finding, const std::vector<std::uint32_t>& events, bool is_certain) {
    if (std::size_t& count = counts_[static_cast<std::size_t>(finding.verdict)]; ++count > kMostFindings)
      return;
    finding.is_uncertain = !is_certain;
    for (const std::uint32_t event : events) {
      const ExecutionHistory& execution = history_.executions[history_.events[event].execution];
      finding.why += damage_of(execution);
      // An event that retention has removed since is known by what the history has of it.
      finding.events.push_back(fetch_(history_, event).value_or(known_of(event)));
      finding.stacks.push_back(call_chains_.of(event));
    }
    findings_.push_back(std::move(finding));
  }

  template <class Variables>
  void name_variables(Finding& finding, const Variables& variables) const {
    for (const std::uint32_t variable : variables)
      finding.variables.push_back(history_.names.text_of(variable));
    std::sort(finding.variables.begin(), finding.variables.end());
    finding.variable_count = finding.variables.size();
    if (finding.variables.size() > kMostVariables) finding.variables.resize(kMostVariables);
  }
  void name_variables(Finding& finding, std::initializer_list<std::uint32_t> variables) const {
    name_variables<std::initializer_list<std::uint32_t>>(finding, variables);
  }

  std::string why_unordered(std::uint32_t first, std::uint32_t second) const {
    const Happened& a = history_.events[first];
    const Happened& b = history_.events[second];
    const bool is_same_trace =
        history_.executions[a.execution].trace_id == history_.executions[b.execution].trace_id;
    std::string why = fmt::format(
        "No spawn, join, message or lock leads from the one to the other{}; the first is made with {}, the "
        "second "
        "with {}.",
        is_same_trace ? "" : ": they are of two traces", locks_or_none(first), locks_or_none(second));
    return why;
  }

  std::string locks_of(std::uint32_t event) const {
    std::string text;
    for (const HeldLock& held : history_.lock_sets[history_.events[event].lock_set]) {
      text += fmt::format("{}{}{}", text.empty() ? "" : ", ", lock_name(history_, held.lock),
                          held.is_shared ? " (shared)" : "");
    }
    return text;
  }
  std::string locks_or_none(std::uint32_t event) const {
    const std::string locks = locks_of(event);
    return locks.empty() ? "no lock" : "lock " + locks;
  }

  static std::string damage_of(const ExecutionHistory& execution) {
    std::string text;
    const auto note = [&](Damage damage, const char* what) {
      if ((execution.damage & damage) != 0) text += fmt::format(" Of {}, {}.", execution.name, what);
    };
    note(kLostEvents, "events are missing");
    note(kLostBeginning, "what began it, or what it waited for, is missing");
    note(kUnreleasedLock, "the release of a lock is missing");
    note(kContradiction, "it was recorded that something came before itself");
    return text;
  }

  TraceEventRecord known_of(std::uint32_t number) const {
    const Happened& event = history_.events[number];
    const ExecutionHistory& execution = history_.executions[event.execution];
    TraceEventRecord record;
    record.kind = event.kind;
    if (event.access != 0) record.access = static_cast<Access>(event.access);
    record.trace_id = execution.trace_id;
    record.step = event.step;
    record.line = history_.places[event.place].line;
    record.process_id = execution.process_id;
    record.when = Time(std::chrono::nanoseconds(event.when));
    record.texts.service = history_.services.text_of(execution.service);
    record.texts.instance = history_.services.text_of(execution.instance);
    record.texts.execution = execution.name;
    record.texts.name = history_.names.text_of(event.name);
    record.texts.file = history_.files.text_of(history_.places[event.place].file);
    return record;
  }

  const History& history_;
  const Fetch& fetch_;
  CallChains call_chains_;
  std::array<std::size_t, 5> counts_{};
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> find_all(History& history, const Fetch& fetch) {
  Reporter reporter(history, fetch);
  RacesFound races;
  WindowsFound windows;
  WindowDetector::Variables with_gaps;
  {
    Order order(history, Order::Kind::observed);
    RaceDetector race_detector(history, order);
    WindowDetector window_detector(history, order);
    order.walk([&](const Moment& moment) {
      race_detector.visit(moment);
      window_detector.visit(moment);
    });
    for (std::size_t i = 0; i < history.executions.size(); ++i) {
      if (order.contradictory()[i]) history.executions[i].damage |= kContradiction;
    }
    races = race_detector.found();
    windows = window_detector.found();
    with_gaps = window_detector.with_gaps();
  }
  Order order(history, Order::Kind::firm);
  WindowDetector window_detector(history, order, with_gaps);
  LockSetDetector lock_set_detector(history, order);
  LockOrderDetector lock_order_detector(history, order);
  order.walk([&](const Moment& moment) {
    window_detector.visit(moment);
    lock_set_detector.visit(moment);
    lock_order_detector.visit(moment);
  });
  windows.insert(window_detector.found().begin(), window_detector.found().end());
  reporter.add(races);
  reporter.add(windows);
  reporter.add(lock_order_detector.cycles());
  reporter.add(lock_set_detector.found(), races);
  return std::move(reporter).findings();
}

std::vector<Finding> find_lock_orders(const History& history, const Fetch& fetch) {
  Order order(history, Order::Kind::firm);
  LockOrderDetector detector(history, order);
  order.walk([&](const Moment& moment) { detector.visit(moment); });
  Reporter reporter(history, fetch);
  reporter.add(detector.cycles());
  return std::move(reporter).findings();
}

}  // namespace codewake::analysis
