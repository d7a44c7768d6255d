#include "trace_calls.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "durations.hpp"
#include "operation_name.hpp"

namespace codewake::analysis {
namespace {

constexpr int kServerError = 500;
// How many requests of a client are looked at for the one that a server got.
constexpr std::size_t kMostTried = 16;

nlohmann::json data_of(const TraceEventRecord& event) {
  return nlohmann::json::parse(event.texts.data, nullptr, false);
}

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool contains_in_any_case(std::string_view text, std::string_view word) noexcept {
  return std::search(text.begin(), text.end(), word.begin(), word.end(),
                     [](char a, char b) { return lower(a) == lower(b); }) != text.end();
}

bool is_in_any_case(std::string_view text, std::string_view word) noexcept {
  return std::ranges::equal(text, word, {}, lower);
}

// The span id in the traceparent among the headers that a request was recorded with.
SpanId sent_span(const TraceEventRecord& event) {
  constexpr std::string_view kHeader = "traceparent";
  if (!contains_in_any_case(event.texts.data, kHeader)) return {};
  const nlohmann::json data = data_of(event);
  if (!data.is_object() || !data.contains("headers") || !data["headers"].is_object()) return {};
  for (const auto& [name, value] : data["headers"].items()) {
    if (!is_in_any_case(name, kHeader) || !value.is_string()) continue;
    const std::string_view text = value.get_ref<const std::string&>();
    const auto context = parse_trace_context(std::span(&text, 1), {});
    if (context) return context->span_id;
  }
  return {};
}

int status_of(const TraceEventRecord& event) {
  const std::string& name = event.texts.name;
  int status = 0;
  const auto [stopped, error] = std::from_chars(name.data(), name.data() + name.size(), status);
  if (error == std::errc() && stopped == name.data() + name.size()) return status;
  const nlohmann::json data = data_of(event);
  const bool has_status = data.is_object() && data.contains("status") && data["status"].is_number_integer();
  return has_status ? data["status"].get<int>() : 0;
}

bool is_of_calls(TraceKind kind) noexcept {
  return kind == TraceKind::http_request || kind == TraceKind::http_response ||
         kind == TraceKind::database_query || kind == TraceKind::error;
}

}  // namespace

std::chrono::nanoseconds duration_of(const CallEvent& begin, const CallEvent& end) noexcept {
  if (end.duration.count() > 0) return end.duration;
  std::int64_t between = 0;
  const bool is_beyond = __builtin_sub_overflow(end.when.time_since_epoch().count(),
                                                begin.when.time_since_epoch().count(), &between);
  return std::chrono::nanoseconds(is_beyond ? 0 : std::max<std::int64_t>(between, 0));
}

std::size_t TraceCalls::HashOfKey::operator()(const ExecutionKey& key) const noexcept {
  std::uint64_t span = 0;
  std::memcpy(&span, key.span.bytes.data(), sizeof(span));
  return std::hash<std::string_view>()(key.execution) ^ static_cast<std::size_t>(span * 0x9E3779B97F4A7C15u);
}

// ── what is kept ──

bool TraceCalls::add(const TraceEventRecord& event, std::uint32_t tag) {
  Execution& execution = executions_[find_or_add(event)];
  if (event.step < execution.first_step) take_first(execution, event, tag);
  if (!is_of_calls(event.kind)) return false;
  CallEvent& kept = execution.events.emplace_back();
  kept.kind = event.kind;
  kept.step = event.step;
  kept.when = event.when;
  kept.tag = tag;
  if (event.kind == TraceKind::error) {
    execution.has_error = true;
  } else if (event.kind == TraceKind::http_request) {
    kept.operation = names_.number_of(request_pattern(event.texts.name));
    kept.peer = names_.number_of(host_of_request(event.texts.name));
    kept.sent = sent_span(event);
  } else {
    kept.duration = recorded_duration(event);
    if (event.kind == TraceKind::http_response) kept.status = status_of(event);
  }
  if (event.kind == TraceKind::database_query) {
    const nlohmann::json data = data_of(event);
    const bool has_query = data.is_object() && data.contains("query") && data["query"].is_string();
    if (has_query) {
      kept.operation = names_.number_of(statement_verb(data["query"].get_ref<const std::string&>()));
    }
    kept.peer = names_.number_of(event.texts.name);
  }
  return true;
}

std::size_t TraceCalls::find_or_add(const TraceEventRecord& event) {
  const bool is_latest = latest_ < executions_.size() && executions_[latest_].name == event.texts.execution;
  if (is_latest && (!executions_[latest_].is_shared || executions_[latest_].span == event.span_id)) {
    return latest_;
  }
  const auto known = by_key_.find(ExecutionKey::of(event));
  if (known != by_key_.end()) return latest_ = known->second;
  latest_ = executions_.size();
  Execution& added = executions_.emplace_back();
  added.name = event.texts.execution;
  added.is_shared = is_shared_component(added.name);
  added.service = names_.number_of(event.texts.service);
  added.span = event.span_id;
  added.first_step = ~std::uint64_t{0};
  ExecutionKey key = ExecutionKey::of(event);
  key.execution = added.name;
  by_key_.emplace(key, latest_);
  return latest_;
}

void TraceCalls::take_first(Execution& execution, const TraceEventRecord& event, std::uint32_t tag) {
  // Of an execution whose beginning is missing, nobody knows how it began.
  const bool is_beginning = execution.is_shared || event.step <= 1;
  execution.first_step = event.step;
  execution.first_tag = tag;
  execution.upstream = event.upstream_span_id;
  execution.has_parent = is_beginning && !execution.is_shared && !event.parent_id.empty();
  execution.begins_with_request =
      is_beginning && !execution.has_parent && event.kind == TraceKind::http_request;
  execution.client_component.clear();
  const auto clock = clocks_.read(event.texts.clock);
  const auto foreign = std::find_if(clock.rbegin(), clock.rend(), [&](const StoredComponent& component) {
    return component.execution != execution.name;
  });
  if (foreign == clock.rend()) return;
  execution.client_component = foreign->execution;
  execution.client_steps = foreign->steps;
}

// ── how they belong together ──

std::vector<Call> TraceCalls::match() {
  index_executions();
  for (std::size_t number = 0; number < executions_.size(); ++number) pair_requests(number);
  index_requests();
  std::vector<Call> calls;
  for (std::size_t number = 0; number < executions_.size(); ++number) {
    if (!was_called(executions_[number])) continue;
    find_client(calls.emplace_back(served(number)));
  }
  for (const Request& request : requests_) {
    if (request.is_taken || request.side == Request::Side::server) continue;
    calls.push_back(request.side == Request::Side::client ? sent_to_nobody_known(request)
                                                          : served(request.execution));
  }
  for (std::size_t number = 0; number < executions_.size(); ++number) add_queries(number, calls);
  return calls;
}

void TraceCalls::index_executions() {
  by_span_.clear();
  requests_.clear();
  by_sent_.clear();
  by_operation_.clear();
  requests_of_.assign(executions_.size(), {});
  first_of_its_server_.assign(executions_.size(), std::nullopt);
  response_alone_.assign(executions_.size(), nullptr);
  for (std::size_t number = 0; number < executions_.size(); ++number) {
    Execution& execution = executions_[number];
    if (!execution.span.empty()) by_span_.emplace(execution.span, number);
    std::ranges::stable_sort(execution.events, [](const CallEvent& a, const CallEvent& b) {
      return a.step != b.step ? a.step < b.step : a.when < b.when;
    });
  }
}

// Requests enclose others as brackets do: what a server calls while it serves lies between.
void TraceCalls::pair_requests(std::size_t number) {
  const Execution& execution = executions_[number];
  std::vector<std::size_t> open;
  for (std::size_t place = 0; place < execution.events.size(); ++place) {
    const CallEvent& event = execution.events[place];
    if (event.kind == TraceKind::http_request) {
      const bool is_first = execution.begins_with_request && requests_of_[number].empty();
      if (is_first) first_of_its_server_[number] = requests_.size();
      open.push_back(requests_.size());
      requests_of_[number].push_back(requests_.size());
      requests_.push_back({.execution = number,
                           .asked = place,
                           .side = is_first ? Request::Side::either : Request::Side::client});
    } else if (event.kind == TraceKind::http_response) {
      if (open.empty()) {
        response_alone_[number] = &event;
      } else {
        requests_[open.back()].answered = place;
        open.pop_back();
      }
    } else if (event.kind == TraceKind::error && !open.empty() &&
               is_lost(execution, place, requests_[open.back()])) {
      requests_[open.back()].has_failed = true;
      open.pop_back();
    }
  }
  decide_side(number);
}

// Whether the error says that no answer came: it directly follows the request, whoever sent that.
bool TraceCalls::is_lost(const Execution& execution, std::size_t error, const Request& last) const {
  const CallEvent& asked_last = execution.events[last.asked];
  return last.side == Request::Side::client && last.asked + 1 == error &&
         execution.events[error].step - asked_last.step <= 1;
}

// The request that an execution began with is the one it serves, unless more follows its response.
void TraceCalls::decide_side(std::size_t number) {
  if (!first_of_its_server_[number]) return;
  Request& first = requests_[*first_of_its_server_[number]];
  const Execution& execution = executions_[number];
  const auto last =
      std::ranges::find_if(execution.events.rbegin(), execution.events.rend(), [](const CallEvent& event) {
        return event.kind == TraceKind::http_request || event.kind == TraceKind::http_response;
      });
  if (was_called(execution)) {
    first.side = Request::Side::server;
  } else if (first.answered && &execution.events[*first.answered] != &*last) {
    first.side = Request::Side::client;
    first_of_its_server_[number].reset();
  }
}

void TraceCalls::index_requests() {
  for (std::size_t number = 0; number < requests_.size(); ++number) {
    const Request& request = requests_[number];
    if (request.side == Request::Side::server) continue;
    const CallEvent& event = asked(request);
    if (!event.sent.empty()) by_sent_.emplace(event.sent, number);
    by_operation_[{request.execution, event.operation}].push_back(number);
  }
}

// By another service or, where nothing tells, from outside of the trace; but not spawned within its program.
bool TraceCalls::was_called(const Execution& execution) const {
  if (execution.upstream.empty() || execution.upstream == execution.span || execution.has_parent)
    return false;
  if (execution.is_shared) return true;
  const auto parent = by_span_.find(execution.upstream);
  return parent == by_span_.end() || executions_[parent->second].is_shared;
}

Call TraceCalls::served(std::size_t number) const {
  Call call{.server = number};
  if (first_of_its_server_[number]) {
    const Request& request = requests_[*first_of_its_server_[number]];
    call.request = &asked(request);
    call.response = answered(request);
  }
  if (call.response == nullptr) call.response = response_alone_[number];
  call.has_failed =
      executions_[number].has_error || (call.response != nullptr && call.response->status >= kServerError);
  return call;
}

void TraceCalls::find_client(Call& call) {
  const Execution& server = executions_[*call.server];
  if (const auto sent = by_sent_.find(server.upstream); sent != by_sent_.end()) {
    if (!requests_[sent->second].is_taken && requests_[sent->second].execution != *call.server) {
      return take_request(call, sent->second);
    }
  }
  std::optional<std::size_t> request;
  const auto named =
      server.client_component.empty() ? by_key_.end() : by_key_.find({server.client_component, {}});
  const auto parent = by_span_.find(server.upstream);
  if (named != by_key_.end() && named->second != *call.server) {
    call.client = named->second;
    request = request_by_clock(*call.client, call);
  } else if (parent != by_span_.end() && parent->second != *call.server) {
    call.client = parent->second;
    request = request_by_operation(*call.client, call);
  } else {
    call.client_component = server.client_component;
  }
  if (request) take_request(call, *request);
}

void TraceCalls::take_request(Call& call, std::size_t request) {
  Request& taken = requests_[request];
  taken.is_taken = true;
  taken.side = Request::Side::client;
  call.client = taken.execution;
  call.asked = &asked(taken);
  call.answered = answered(taken);
  if (call.response == nullptr && call.answered != nullptr && call.answered->status >= kServerError) {
    call.has_failed = true;
  }
}

bool TraceCalls::may_be(const Request& request, const Call& call) const {
  if (request.is_taken || request.side == Request::Side::server) return false;
  if (call.request == nullptr) return request.side == Request::Side::client;
  return asked(request).operation == call.request->operation;
}

std::optional<std::size_t> TraceCalls::request_by_clock(std::size_t client, const Call& call) const {
  const std::vector<std::size_t>& its = requests_of_[client];
  const std::uint64_t known = executions_[*call.server].client_steps;
  const auto later = std::ranges::upper_bound(
      its, known, {}, [&](std::size_t request) { return asked(requests_[request]).step; });
  const auto tried = std::min(static_cast<std::size_t>(later - its.begin()), kMostTried);
  for (auto at = later; at != later - static_cast<std::ptrdiff_t>(tried);) {
    if (may_be(requests_[*--at], call)) return *at;
  }
  if (later == its.begin()) return std::nullopt;
  // A proxy may have changed the path: then it is the request that was the last thing done before.
  const Request& last = requests_[*std::prev(later)];
  const bool is_it = !last.is_taken && last.side == Request::Side::client && asked(last).step == known;
  return is_it ? std::optional(*std::prev(later)) : std::nullopt;
}

std::optional<std::size_t> TraceCalls::request_by_operation(std::size_t client, const Call& call) {
  if (call.request == nullptr) return std::nullopt;
  const auto found = by_operation_.find({client, call.request->operation});
  if (found == by_operation_.end()) return std::nullopt;
  std::deque<std::size_t>& waiting = found->second;
  while (!waiting.empty() && !may_be(requests_[waiting.front()], call)) waiting.pop_front();
  return waiting.empty() ? std::nullopt : std::optional(waiting.front());
}

Call TraceCalls::sent_to_nobody_known(const Request& request) const {
  Call call{.client = request.execution, .asked = &asked(request), .answered = answered(request)};
  call.has_failed = request.has_failed || (call.answered != nullptr && call.answered->status >= kServerError);
  return call;
}

void TraceCalls::add_queries(std::size_t number, std::vector<Call>& calls) const {
  const std::vector<CallEvent>& events = executions_[number].events;
  for (std::size_t place = 0; place < events.size(); ++place) {
    if (events[place].kind != TraceKind::database_query) continue;
    const bool has_failed = place + 1 < events.size() && events[place + 1].kind == TraceKind::error &&
                            events[place + 1].step - events[place].step <= 1;
    calls.push_back(
        {.kind = Call::Kind::query, .client = number, .asked = &events[place], .has_failed = has_failed});
  }
}

}  // namespace codewake::analysis
