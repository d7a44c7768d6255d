#include "trace_tree.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "trace_reading.hpp"

namespace codewake::cli {
namespace {

// Of whom an execution heard last before it began: the last component but its own.
std::string caller_by_clock(const TraceEventRecord& first) {
  const nlohmann::json clock = nlohmann::json::parse(first.texts.clock, nullptr, false);
  if (!clock.is_array() || clock.size() < 2) return {};
  const nlohmann::json& component = clock[clock.size() - 2];
  return component.is_array() && !component.empty() && component[0].is_string()
             ? component[0].get<std::string>()
             : std::string();
}

}  // namespace

TraceTree::TraceTree(std::vector<TraceEventRecord> events, std::vector<EventRecord> logged)
    : events_(std::move(events)), logged_(std::move(logged)) {
  add_traced();
  add_logged();
  std::ranges::stable_sort(executions_, {}, &TraceExecution::first);
  find_parents();
}

void TraceTree::add_traced() {
  std::map<std::string_view, std::vector<const TraceEventRecord*>> by_execution;
  for (const TraceEventRecord& event : events_) by_execution[event.texts.execution].push_back(&event);
  for (auto& [name, its] : by_execution) {
    std::ranges::stable_sort(its, {}, &TraceEventRecord::step);
    TraceExecution& execution = executions_.emplace_back();
    execution.name = name;
    execution.service = its.front()->texts.service;
    execution.instance = its.front()->texts.instance;
    execution.span_id = its.front()->span_id;
    execution.begun_by = its.front()->parent_id;
    for (const TraceEventRecord* event : its) execution.entries.push_back({.traced = event});
  }
}

void TraceTree::add_logged() {
  for (const EventRecord& event : logged_) {
    const SpanId span = event.trace ? event.trace->span_id : SpanId();
    auto execution = std::ranges::find(executions_, span, &TraceExecution::span_id);
    if (execution == executions_.end()) {
      executions_.emplace_back().span_id = span;
      execution = std::prev(executions_.end());
    }
    auto& entries = execution->entries;
    const auto later = std::find_if(entries.begin(), entries.end(),
                                    [&](const TraceEntry& entry) { return entry.when() > event.when; });
    entries.insert(later, {.logged = &event});
  }
}

void TraceTree::find_parents() {
  std::map<SpanId, std::size_t> by_span;
  std::map<std::string_view, std::size_t> by_name;
  for (std::size_t i = 0; i < executions_.size(); ++i) {
    by_span.emplace(executions_[i].span_id, i);
    by_name.emplace(executions_[i].name, i);
  }
  for (std::size_t i = 0; i < executions_.size(); ++i) {
    TraceExecution& execution = executions_[i];
    const TraceEventRecord* const first = execution.entries.front().traced;
    if (first == nullptr) continue;
    const auto spawned_by = by_span.find(first->upstream_span_id);
    std::size_t parent = i;
    if (spawned_by != by_span.end()) {
      parent = spawned_by->second;
    } else if (const auto called_by = by_name.find(caller_by_clock(*first)); called_by != by_name.end()) {
      parent = called_by->second;
    }
    // Whoever began later than this has not begun it, and clocks that say so would make a circle.
    if (parent >= i) continue;
    execution.parent = parent;
    executions_[parent].children.push_back(i);
  }
}

std::vector<std::size_t> TraceTree::roots() const {
  std::vector<std::size_t> roots;
  for (std::size_t i = 0; i < executions_.size(); ++i) {
    if (!executions_[i].parent) roots.push_back(i);
  }
  return roots;
}

Time TraceTree::first() const {
  return executions_.front().first();
}

Time TraceTree::last() const {
  Time last = first();
  for (const TraceExecution& execution : executions_) {
    for (const TraceEntry& entry : execution.entries) last = std::max(last, entry.when());
  }
  return last;
}

std::vector<std::string> TraceTree::services() const {
  std::set<std::string> services;
  for (const TraceExecution& execution : executions_) {
    if (!execution.service.empty()) services.insert(execution.service);
  }
  return {services.begin(), services.end()};
}

TraceTree read_trace(Store& store, const TraceId& trace_id) {
  constexpr std::size_t kMostLogged = 1'000'000;
  return {read_trace_events(store, trace_id), store.get_events_of_trace(trace_id, kMostLogged)};
}

}  // namespace codewake::cli
