#include "call_chains.hpp"

#include <algorithm>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace codewake::analysis {
namespace {

/// Pairs calls with their returns: of each event of an execution, the position of the return; 0: none.
std::vector<std::uint32_t> returns_of(const History& history, std::span<const std::uint32_t> its) {
  std::vector<std::uint32_t> returns(its.size(), 0), open;
  std::unordered_map<std::uint32_t, std::uint32_t> named;  // how many of the name are open
  for (std::uint32_t place = 0; place < its.size(); ++place) {
    const Happened& event = history.events[its[place]];
    if (event.kind == TraceKind::function_call) {
      open.push_back(place);
      ++named[event.name];
    } else if (event.kind == TraceKind::function_return && named[event.name] > 0) {
      // Those above it were left without a word.
      for (bool is_it = false; !is_it; open.pop_back()) {
        const std::uint32_t name = history.events[its[open.back()]].name;
        is_it = name == event.name;
        if (is_it) returns[open.back()] = place;
        --named[name];
      }
    }
  }
  return returns;
}

}  // namespace

const CallChains::Functions& CallChains::functions_of(std::uint32_t execution) {
  const auto [known, is_new] = functions_.try_emplace(execution);
  Functions& functions = known->second;
  if (!is_new) return functions;
  const auto its = history_.events_of(execution);
  const std::vector<std::uint32_t> returns = returns_of(history_, its);
  std::vector<std::uint32_t> open;  // positions
  for (std::uint32_t place = 0; place < its.size(); ++place) {
    while (!open.empty() && returns[open.back()] < place) open.pop_back();
    if (!open.empty()) functions.emplace_back(its[place], its[open.back()]);
    if (returns[place] > 0) open.push_back(place);
  }
  std::sort(functions.begin(), functions.end());
  return functions;
}

Caller CallChains::caller_of(std::uint32_t number, Caller::Kind kind) const {
  const Happened& event = history_.events[number];
  const ExecutionHistory& execution = history_.executions[event.execution];
  const Place& place = history_.places[event.place];
  return {.kind = kind,
          .name = history_.names.text_of(event.name),
          .service = history_.services.text_of(execution.service),
          .execution = execution.name,
          .file = history_.files.text_of(place.file),
          .line = place.line};
}

void CallChains::add_functions(std::vector<Caller>& callers, std::uint32_t event) {
  const Functions& functions = functions_of(history_.events[event].execution);
  while (callers.size() < kMost) {
    const auto found = std::lower_bound(functions.begin(), functions.end(), std::pair(event, 0U));
    if (found == functions.end() || found->first != event) return;
    event = found->second;
    callers.push_back(caller_of(event, Caller::Kind::function));
  }
}

std::vector<Caller> CallChains::of(std::uint32_t event) {
  std::vector<Caller> callers;
  std::vector<std::uint32_t> seen;  // executions: hostile traces go round in circles
  const auto add = [&](std::uint32_t number, Caller::Kind kind) {
    if (callers.size() < kMost) callers.push_back(caller_of(number, kind));
  };
  while (event != kNoEvent && callers.size() < kMost) {
    const std::uint32_t execution = history_.events[event].execution;
    if (std::find(seen.begin(), seen.end(), execution) != seen.end()) break;
    seen.push_back(execution);
    add_functions(callers, event);
    const std::uint32_t first = history_.events_of(execution).front();
    const std::uint32_t begun_by = history_.executions[execution].begun_by;
    const bool is_server = begun_by == kNoEvent || history_.events[begun_by].kind != TraceKind::async_spawn;
    if (first != event && is_server && history_.events[first].kind == TraceKind::http_request)
      add(first, Caller::Kind::served);
    if (begun_by != kNoEvent) {
      const TraceKind kind = history_.events[begun_by].kind;
      if (kind == TraceKind::async_spawn) add(begun_by, Caller::Kind::spawn);
      if (kind == TraceKind::http_request) add(begun_by, Caller::Kind::request);
    }
    event = begun_by;
  }
  return callers;
}

}  // namespace codewake::analysis
