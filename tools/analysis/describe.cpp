// Findings as people read them.
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "codewake/analysis.hpp"
#include "event_text.hpp"

namespace codewake::analysis {
namespace {

std::string place_of(const TraceEventRecord& event) {
  return event.texts.file.empty() ? "" : fmt::format("{}:{}: ", event.texts.file, event.line);
}

std::string what_of(const TraceEventRecord& event) {
  if (event.kind == TraceKind::lock_acquire) return fmt::format("takes {}", event.texts.name);
  if (!event.access) return fmt::format("changes {}", event.texts.name);
  return fmt::format("{} {}", to_string(*event.access), event.texts.name);
}

// The values before and after, as they were recorded.
std::string values_of(const TraceEventRecord& event) {
  if (event.kind != TraceKind::state_change) return "";
  const auto [before, after] = find_values(event.texts.data);
  if (after.empty()) return "";
  const bool is_read = event.access == Access::read || event.access == Access::atomic_read;
  return is_read ? fmt::format(" = {}", after)
                 : fmt::format(" from {} to {}", before.empty() ? "?" : before, after);
}

std::string placed_at(const Caller& caller) {
  return caller.file.empty() ? "" : fmt::format(" at {}:{}", caller.file, caller.line);
}

std::string text_of(const Caller& caller) {
  switch (caller.kind) {
    case Caller::Kind::function:
      return fmt::format("in {}, called{}", caller.name, placed_at(caller));
    case Caller::Kind::spawn:
      return fmt::format("in {}, spawned{}", caller.name.empty() ? "a task" : caller.name, placed_at(caller));
    case Caller::Kind::served:
      return fmt::format("for {}, which {} was asked{}", caller.name, caller.service, placed_at(caller));
    case Caller::Kind::request:
      return fmt::format("for {}, which {} sent{}", caller.name, caller.service, placed_at(caller));
  }
  return "";
}

std::string stack_of(const Finding& finding, std::size_t event) {
  std::string text;
  if (event >= finding.stacks.size()) return text;
  constexpr std::size_t kShown = 8;
  const std::vector<Caller>& stack = finding.stacks[event];
  for (std::size_t i = 0; i < stack.size() && i < kShown; ++i) text += "\n      " + text_of(stack[i]);
  if (stack.size() > kShown) text += fmt::format("\n      and {} more", stack.size() - kShown);
  return text;
}

std::string title_of(const Finding& finding) {
  switch (finding.verdict) {
    case Verdict::race:
      return finding.write_write > 0 ? "Race: two writes" : "Race: a read and a write";
    case Verdict::check_then_act:
      return "Check, then act";
    case Verdict::lock_order:
      return "Possible deadlock";
    case Verdict::potential_race:
      return "Potential race";
  }
  return "";
}

std::string names_of(const Finding& finding) {
  const auto& names = finding.verdict == Verdict::lock_order ? finding.locks : finding.variables;
  std::string text;
  constexpr std::size_t kShown = 5;
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i) text += (text.empty() ? "" : ", ") + names[i];
  const std::size_t count = std::max(finding.variable_count, names.size());
  if (count > kShown) text += fmt::format(" and {} more", count - kShown);
  return text;
}

std::string counts_of(const Finding& finding) {
  std::string text;
  const auto add = [&](std::uint64_t count, const char* what) {
    if (count > 0)
      text += fmt::format("{}{} pair{} of {}", text.empty() ? "" : ", ", count, count == 1 ? "" : "s", what);
  };
  add(finding.write_write, "writes");
  add(finding.read_write, "a read and a write");
  return text;
}

}  // namespace

std::string describe(const Finding& finding) {
  std::string text = fmt::format("{} of {} ({}{})", title_of(finding), names_of(finding),
                                 to_string(finding.severity), finding.is_uncertain ? ", uncertain" : "");
  for (std::size_t i = 0; i < finding.events.size(); ++i) {
    const TraceEventRecord& event = finding.events[i];
    text += fmt::format("\n  {}{}{}\n      step {} of {} on thread {}, trace {}", place_of(event),
                        what_of(event), values_of(event), event.step, event.texts.execution,
                        event.texts.thread, to_hex(event.trace_id));
    text += stack_of(finding, i);
  }
  text += "\n  " + finding.why;
  if (const std::string counts = counts_of(finding); !counts.empty())
    text += fmt::format("\n  In all: {}.", counts);
  return text;
}

}  // namespace codewake::analysis
