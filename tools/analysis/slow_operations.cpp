#include "slow_operations.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "operation_name.hpp"
#include "stored_clock.hpp"

namespace codewake::analysis {
namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;

constexpr std::size_t kMostOperations = 2'000;
constexpr std::size_t kMostOpen = 50'000;
constexpr std::size_t kMostNested = 64;  // requests of one execution that wait at the same time
constexpr std::uint64_t kFewestBefore = 30;
constexpr std::size_t kFewestLatest = 10;
constexpr std::size_t kMostLatest = 50;
constexpr nanoseconds kLeastLater = 1ms;
constexpr nanoseconds kLeastFarOut = 10ms;

nanoseconds times(nanoseconds duration, double factor) {
  constexpr double kMost = 9e18;
  return nanoseconds(
      static_cast<std::int64_t>(std::min(static_cast<double>(duration.count()) * factor, kMost)));
}

// What a single call has to exceed.
nanoseconds far_out(const Durations& before) {
  const nanoseconds p25 = std::max(before.quantile(0.25), nanoseconds(1));
  const nanoseconds p75 = before.quantile(0.75);
  const nanoseconds median = before.quantile(0.5);
  const double spread = static_cast<double>(p75.count()) / static_cast<double>(p25.count());
  return std::max({times(p75, std::pow(spread, 3)), times(median, 3), times(before.quantile(0.99), 2),
                   median + kLeastFarOut});
}

double factor_of(const SlowOperation& found) {
  return static_cast<double>(found.now.count()) /
         static_cast<double>(std::max<std::int64_t>(found.usual.count(), 1));
}

std::string key_of(const TraceEventRecord& event) {
  std::string key(reinterpret_cast<const char*>(event.trace_id.bytes.data()), event.trace_id.bytes.size());
  if (is_shared_component(event.texts.execution)) {
    key.append(reinterpret_cast<const char*>(event.span_id.bytes.data()), event.span_id.bytes.size());
  }
  return key += event.texts.execution;
}

}  // namespace

void SlowOperations::add(const TraceEventRecord& event) {
  switch (event.kind) {
    case TraceKind::http_request:
      return begin_request(event);
    case TraceKind::http_response:
      return end_request(event);
    case TraceKind::function_return:
      return judge(event, SlowOperation::Kind::function, names_.number_of(event.texts.name));
    case TraceKind::database_query: {
      const nlohmann::json data = nlohmann::json::parse(event.texts.data, nullptr, false);
      std::string operation = event.texts.name;
      if (data.is_object() && data.contains("query") && data["query"].is_string()) {
        operation += ": " + statement_pattern(data["query"].get_ref<const std::string&>());
      }
      return judge(event, SlowOperation::Kind::query, names_.number_of(operation));
    }
    default:
      return;
  }
}

void SlowOperations::begin_request(const TraceEventRecord& event) {
  std::string key = key_of(event);
  auto known = open_by_key_.find(key);
  const bool is_first = known == open_by_key_.end();
  if (is_first) {
    if (open_.size() == kMostOpen) {
      open_by_key_.erase(open_.front().key);
      open_.pop_front();
    }
    open_.push_back({std::move(key), {}});
    known = open_by_key_.emplace(open_.back().key, std::prev(open_.end())).first;
  }
  open_.splice(open_.end(), open_, known->second);
  auto& requests = known->second->requests;
  if (requests.size() == kMostNested) requests.erase(requests.begin());
  const bool is_beginning =
      is_shared_component(event.texts.execution) || (event.step <= 1 && event.parent_id.empty());
  const bool is_served = is_first && is_beginning;
  requests.emplace_back(is_served ? SlowOperation::Kind::served : SlowOperation::Kind::called,
                        names_.number_of(request_pattern(event.texts.name)));
}

void SlowOperations::end_request(const TraceEventRecord& event) {
  const auto known = open_by_key_.find(key_of(event));
  if (known == open_by_key_.end()) return;  // what was asked is not known
  const auto open = known->second;
  const auto [kind, operation] = open->requests.back();
  open->requests.pop_back();
  if (open->requests.empty()) {
    open_by_key_.erase(known);
    open_.erase(open);
  }
  judge(event, kind, operation);
}

void SlowOperations::judge(const TraceEventRecord& event, SlowOperation::Kind kind, Names::Number name) {
  const nanoseconds duration = recorded_duration(event);
  if (duration.count() == 0) return;
  const Key key{names_.number_of(event.texts.service), kind, name};
  auto known = operations_.find(key);
  if (known == operations_.end()) {
    if (operations_.size() == kMostOperations) return;
    known = operations_.try_emplace(key).first;
  }
  Operation& operation = known->second;
  const Sample sample{event.trace_id, event.id, event.when, duration, names_.number_of(event.texts.file),
                      event.line};
  if (!since_) {
    judge_alone(operation, operation.all, sample);
    operation.all.add(duration);
    operation.latest.push_back(sample);
    if (operation.latest.size() <= kMostLatest) return;
    operation.before.add(operation.latest.front().duration);
    operation.latest.pop_front();
  } else if (event.when < *since_) {
    operation.before.add(duration);
  } else {
    judge_alone(operation, operation.before, sample);
    operation.recent.add(duration);
    if (!operation.slowest_recent || operation.slowest_recent->duration < duration) {
      operation.slowest_recent = sample;
    }
  }
}

void SlowOperations::judge_alone(Operation& operation, const Durations& before, const Sample& sample) {
  const std::uint64_t known = before.count();
  if (known < kFewestBefore) return;
  ++operation.judged;
  if (operation.limit_of == 0 || known - operation.limit_of > operation.limit_of / 20) {
    operation.limit = far_out(before);
    operation.limit_of = known;
  }
  if (sample.duration <= operation.limit) return;
  ++operation.far_out;
  if (operation.slowest && operation.slowest->duration >= sample.duration) return;
  operation.slowest = sample;
  operation.known = known;
  operation.usual = before.quantile(0.5);
  operation.usual_p95 = before.quantile(0.95);
}

std::vector<SlowOperation> SlowOperations::finish() {
  std::vector<SlowOperation> found;
  for (auto& [key, operation] : operations_) {
    for (std::optional<SlowOperation> slow : {latest_of(operation), single_of(operation)}) {
      if (!slow) continue;
      slow->service = names_.text_of(std::get<0>(key));
      slow->kind = std::get<1>(key);
      slow->operation = names_.text_of(std::get<2>(key));
      found.push_back(*std::move(slow));
    }
  }
  std::ranges::stable_sort(found, std::greater<>(), factor_of);
  return found;
}

std::optional<SlowOperation> SlowOperations::latest_of(Operation& operation) const {
  Durations recent = operation.recent;
  std::optional<Sample> slowest = operation.slowest_recent;
  if (!since_) {
    const std::size_t wanted = std::clamp<std::size_t>(static_cast<std::size_t>(operation.all.count() / 5),
                                                       kFewestLatest, kMostLatest);
    while (operation.latest.size() > wanted) {
      operation.before.add(operation.latest.front().duration);
      operation.latest.pop_front();
    }
    for (const Sample& sample : operation.latest) {
      recent.add(sample.duration);
      if (!slowest || slowest->duration < sample.duration) slowest = sample;
    }
  }
  const Durations& before = operation.before;
  if (recent.count() < kFewestLatest || before.count() < kFewestBefore) return std::nullopt;
  const nanoseconds now = recent.quantile(0.5), usual = before.quantile(0.5), p95 = before.quantile(0.95);
  if (now < p95 || now < times(usual, 1.5) || now - usual < kLeastLater) return std::nullopt;
  SlowOperation found{.finding = SlowOperation::Finding::latest};
  found.slow = found.judged = recent.count();
  found.before = before.count();
  found.usual = usual;
  found.usual_p95 = p95;
  found.now = now;
  found.example = example_of(*slowest);
  return found;
}

std::optional<SlowOperation> SlowOperations::single_of(const Operation& operation) const {
  if (!operation.slowest) return std::nullopt;
  SlowOperation found{.finding = SlowOperation::Finding::single};
  found.slow = operation.far_out;
  found.judged = operation.judged;
  found.before = operation.known;
  found.usual = operation.usual;
  found.usual_p95 = operation.usual_p95;
  found.now = operation.slowest->duration;
  found.example = example_of(*operation.slowest);
  return found;
}

SlowExample SlowOperations::example_of(const Sample& sample) const {
  return {.trace_id = sample.trace_id,
          .event_id = sample.event_id,
          .when = sample.when,
          .duration = sample.duration,
          .file = names_.text_of(sample.file),
          .line = sample.line};
}

}  // namespace codewake::analysis
