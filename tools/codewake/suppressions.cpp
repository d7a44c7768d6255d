#include "suppressions.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>

#include "codewake/visible.hpp"
#include "command.hpp"

namespace codewake::cli {
namespace {

bool is_verdict(std::string_view text) {
  using analysis::Verdict;
  constexpr std::array kVerdicts = {Verdict::race, Verdict::check_then_act, Verdict::lock_order,
                                    Verdict::potential_race};
  return text == "*" ||
         std::ranges::any_of(kVerdicts, [&](Verdict verdict) { return text == to_string(verdict); });
}

bool is_match(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

bool is_match_of_place(const std::string& pattern, const std::string& place) {
  for (std::size_t from = 0;;) {
    if (is_match(pattern, place.substr(from))) return true;
    const std::size_t slash = place.find('/', from);
    if (slash == place.npos) return false;
    from = slash + 1;
  }
}

}  // namespace

Suppressions::Suppressions(const std::string& file) {
  std::ifstream in(file);
  if (!in)
    throw UsageError(
        fmt::format("cannot read the suppressions '{}': {}", visible(file), std::strerror(errno)));
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    Rule rule;
    rule.line = line.substr(0, line.find('#'));
    std::istringstream words(rule.line);
    if (!(words >> rule.verdict)) continue;
    for (std::string pattern; words >> pattern;) rule.patterns.push_back(pattern);
    if (!is_verdict(rule.verdict) || rule.patterns.empty()) {
      throw UsageError(
          fmt::format("line {} of the suppressions '{}' is none: write a verdict (race, check-then-act, "
                      "lock-order, potential-race or *), then patterns of places, variables, locks "
                      "or functions, such as 'race bank.cpp:* account:*'",
                      number, visible(file)));
    }
    rules_.push_back(std::move(rule));
  }
  if (in.bad()) throw UsageError(fmt::format("cannot read the suppressions '{}'", visible(file)));
}

bool Suppressions::matches(const Rule& rule, const analysis::Finding& finding) {
  if (rule.verdict != "*" && rule.verdict != to_string(finding.verdict)) return false;
  return std::ranges::all_of(rule.patterns, [&](const std::string& pattern) {
    const auto is_named = [&](const std::string& name) { return is_match(pattern, name); };
    const auto is_placed = [&](const TraceEventRecord& event) {
      return is_match_of_place(pattern, fmt::format("{}:{}", event.texts.file, event.line));
    };
    return std::ranges::any_of(finding.variables, is_named) || std::ranges::any_of(finding.locks, is_named) ||
           std::ranges::any_of(finding.events, is_placed) ||
           std::ranges::any_of(finding.stacks, [&](const std::vector<analysis::Caller>& stack) {
             return std::ranges::any_of(stack, is_named, &analysis::Caller::name);
           });
  });
}

std::size_t Suppressions::apply(std::vector<analysis::Finding>& findings) {
  return std::erase_if(findings, [this](const analysis::Finding& finding) {
    bool is_suppressed = false;
    for (Rule& rule : rules_) {
      if (!matches(rule, finding)) continue;
      rule.is_used = is_suppressed = true;
    }
    return is_suppressed;
  });
}

std::vector<std::string> Suppressions::unused() const {
  std::vector<std::string> lines;
  for (const Rule& rule : rules_) {
    if (!rule.is_used) lines.push_back(rule.line);
  }
  return lines;
}

}  // namespace codewake::cli
