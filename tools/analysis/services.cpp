#include "services.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "stored_clock.hpp"

namespace codewake::analysis {
namespace {

// In events; about what their upkeep takes.
constexpr std::size_t kWeightOfTrace = 8;
constexpr std::size_t kWeightOfExecution = 4;

}  // namespace

ServiceMap::ServiceMap(const Limits& limits) : limits_(limits), names_(limits.names) {}

std::size_t ServiceMap::HashOfTrace::operator()(const TraceId& trace) const noexcept {
  std::uint64_t bits[2];
  std::memcpy(bits, trace.bytes.data(), sizeof(bits));
  return static_cast<std::size_t>((bits[0] ^ bits[1]) * 0x9E3779B97F4A7C15u);
}

void ServiceMap::add(const TraceEventRecord& event) {
  auto known = by_trace_.find(event.trace_id);
  if (known == by_trace_.end()) {
    waiting_.push_back({event.trace_id, TraceCalls(names_), kWeightOfTrace});
    known = by_trace_.emplace(event.trace_id, std::prev(waiting_.end())).first;
    weight_ += kWeightOfTrace;
  }
  Waiting& waiting = *known->second;
  waiting_.splice(waiting_.end(), waiting_, known->second);
  const std::size_t before = waiting.calls.executions();
  const bool is_kept = waiting.calls.add(event);
  const std::size_t added = (waiting.calls.executions() - before) * kWeightOfExecution + (is_kept ? 1 : 0);
  waiting.weight += added;
  weight_ += added;
  while (weight_ > limits_.waiting) complete(waiting_.front());
}

std::vector<ServiceCall> ServiceMap::finish() {
  while (!waiting_.empty()) complete(waiting_.front());
  std::vector<ServiceCall> calls;
  for (const auto& [key, sum] : sums_) {
    const auto& [kind, client, server, operation] = key;
    calls.push_back({.kind = kind,
                     .client = names_.text_of(client),
                     .server = names_.text_of(server),
                     .operation = names_.text_of(operation),
                     .calls = sum.calls,
                     .errors = sum.errors,
                     .served = Latency(sum.served),
                     .seen = Latency(sum.seen)});
  }
  std::ranges::sort(calls, [](const ServiceCall& a, const ServiceCall& b) {
    const auto order = [](const ServiceCall& call) { return std::tie(call.client, call.kind, call.server); };
    if (order(a) != order(b)) return order(a) < order(b);
    return a.calls != b.calls ? a.calls > b.calls : a.operation < b.operation;
  });
  return calls;
}

void ServiceMap::complete(Waiting& waiting) {
  for (const Call& call : waiting.calls.match()) count(waiting.calls, call);
  weight_ -= waiting.weight;
  by_trace_.erase(waiting.trace);
  waiting_.pop_front();
}

void ServiceMap::count(const TraceCalls& trace, const Call& call) {
  const bool is_query = call.kind == Call::Kind::query;
  Names::Number client = 0, server = 0, operation = 0;
  if (call.client) {
    client = trace.service_of(*call.client);
  } else {
    client = names_.number_of(service_of_component(call.client_component));
  }
  if (call.server) {
    server = trace.service_of(*call.server);
  } else if (call.asked != nullptr) {
    server = call.asked->peer;
  }
  const CallEvent* const named_by = call.request != nullptr ? call.request : call.asked;
  if (named_by != nullptr) operation = named_by->operation;
  Sum& sum =
      sum_of({is_query ? ServiceCall::Kind::database : ServiceCall::Kind::http, client, server, operation});
  ++sum.calls;
  if (call.has_failed) ++sum.errors;
  const auto add = [](Durations& durations, const CallEvent* begin, const CallEvent* end) {
    if (end == nullptr || (begin == nullptr && end->duration.count() == 0)) return;
    durations.add(begin == nullptr ? end->duration : duration_of(*begin, *end));
  };
  if (call.server) add(sum.served, call.request, call.response);
  if (is_query) {
    if (call.asked->duration.count() > 0) sum.seen.add(call.asked->duration);
  } else {
    add(sum.seen, call.asked, call.answered);
  }
}

ServiceMap::Sum& ServiceMap::sum_of(Key key) {
  const auto known = sums_.find(key);
  if (known != sums_.end()) return known->second;
  if (sums_.size() >= limits_.operations) std::get<3>(key) = names_.number_of(Names::kOther);
  // Services are few; where they are not, they are one.
  if (sums_.size() >= 2 * limits_.operations && !sums_.contains(key)) {
    std::get<1>(key) = std::get<2>(key) = names_.number_of(Names::kOther);
  }
  return sums_[key];
}

}  // namespace codewake::analysis
