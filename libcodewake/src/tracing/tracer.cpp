#include <algorithm>
#include <array>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/json_text.hpp"
#include "base/random.hpp"
#include "codewake/traced.hpp"
#include "codewake/tracing.hpp"
#include "stacktrace/demangle.hpp"
#include "tracing/raceway_clock.hpp"
#include "tracing/tracer_core.hpp"

namespace codewake {

using internal::Execution;
using internal::Happening;
using internal::TracerCore;

namespace {

bool is_same_header(std::string_view a, std::string_view b) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

bool is_secret(std::string_view header) noexcept {
  constexpr std::array<std::string_view, 7> kSecrets = {
      "authorization", "proxy-authorization", "cookie",      "set-cookie",
      "x-api-key",     "x-raceway-key",       "x-auth-token"};
  return std::any_of(kSecrets.begin(), kSecrets.end(),
                     [&](std::string_view secret) { return is_same_header(header, secret); });
}

void append_key(std::string& data, const char* key) {
  if (data.back() != '{') data += ',';
  data += '"';
  data += key;
  data += "\":";
}

void append(std::string& data, const char* key, const TraceValue& value) {
  append_key(data, key);
  value.append_to(data);
}

void append(std::string& data, const char* key, const HeaderMap& headers) {
  append_key(data, key);
  data += '{';
  for (const auto& [name, value] : headers) {
    if (data.back() != '{') data += ',';
    internal::append_json_string(data, name);
    data += ':';
    internal::append_json_string(data, is_secret(name) ? "***" : std::string_view(value));
  }
  data += '}';
}

std::int64_t milliseconds_of(std::chrono::nanoseconds duration) {
  return std::max<std::int64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count(), 0);
}

void record_response(Execution& execution, int status, const HeaderMap& headers, const TraceValue& body,
                     std::chrono::nanoseconds duration, const SourceLocation& location) {
  const std::string name = std::to_string(status);
  execution.core()->record(
      execution, {.kind = TraceKind::http_response, .name = name, .access = {}, .duration = duration},
      location, [&](std::string& data) {
        append(data, "status", status);
        append(data, "headers", headers);
        append(data, "body", body);
        append(data, "duration_ms", milliseconds_of(duration));
      });
}

void record_request(Execution& execution, std::string_view method, std::string_view url,
                    const HeaderMap& headers, const TraceValue& body, const SourceLocation& location) {
  const std::string name = std::string(method) + " " + std::string(url);
  execution.core()->record(execution, {.kind = TraceKind::http_request, .name = name}, location,
                           [&](std::string& data) {
                             append(data, "method", method);
                             append(data, "url", url);
                             append(data, "headers", headers);
                             append(data, "body", body);
                           });
}

// With the execution's mutex held.
std::string clock_header(Execution& execution, const SpanId& span) {
  const TracerOptions& options = execution.core()->options();
  return internal::format_raceway_clock({.trace_id = execution.tie().trace_id,
                                         .span_id = span,
                                         .parent_span_id = execution.tie().span_id,
                                         .service = options.service_name,
                                         .instance = options.instance_id},
                                        execution.clock());
}

void add_header(HeaderMap& headers, const char* name, std::string value) {
  const bool is_given = std::any_of(headers.begin(), headers.end(),
                                    [&](const auto& header) { return is_same_header(header.first, name); });
  if (!is_given) headers.emplace(name, std::move(value));
}

}  // namespace

void IncomingHeaders::add(std::string_view name, std::string_view value) {
  if (is_same_header(name, "traceparent")) traceparent_.push_back(value);
  if (is_same_header(name, "tracestate")) tracestate_.push_back(value);
  if (is_same_header(name, "raceway-clock")) clock_.push_back(value);
}

// ── scopes ──

Scope::Scope(Tracer& tracer) : Scope(tracer, IncomingHeaders()) {}

Scope::Scope(Tracer& tracer, const IncomingHeaders& headers)
    : Scope(TracerCore::of(tracer)->begin(headers)) {}

Scope::Scope(Context context) noexcept
    : context_(std::move(context)), before_(internal::swap_current(context_)) {}

Scope::~Scope() {
  internal::swap_current(std::move(before_));
}

// ── the tracer ──

Tracer::Tracer(std::shared_ptr<Store> store, TracerOptions options)
    : core_(std::make_shared<TracerCore>(std::move(store), std::move(options))) {}

Tracer::~Tracer() = default;

const TracerOptions& Tracer::options() const noexcept {
  return core_->options();
}

const std::shared_ptr<Store>& Tracer::store() const noexcept {
  return core_->store();
}

void Tracer::track_state_change(std::string_view variable, const TraceValue& old_value,
                                const TraceValue& new_value, Access access, const SourceLocation& location) {
  if (core_->current("track_state_change") == nullptr) return;
  internal::accessed(variable, old_value, new_value, access, location);
}

void Tracer::track_function_call(std::string_view function, const TraceValue& args,
                                 const SourceLocation& location) {
  Execution* const execution = core_->current("track_function_call");
  if (execution == nullptr) return;
  const std::lock_guard lock(execution->mutex());
  core_->record(*execution, {.kind = TraceKind::function_call, .name = function}, location,
                [&](std::string& data) {
                  append(data, "module", core_->options().service_name);
                  append(data, "args", args);
                });
}

void Tracer::track_function_return(std::string_view function, const TraceValue& return_value,
                                   std::optional<std::chrono::nanoseconds> duration,
                                   const SourceLocation& location) {
  Execution* const execution = core_->current("track_function_return");
  if (execution == nullptr) return;
  const std::lock_guard lock(execution->mutex());
  core_->record(*execution,
                {.kind = TraceKind::function_return, .name = function, .access = {}, .duration = duration},
                location, [&](std::string& data) { append(data, "return_value", return_value); });
}

TraceEventId Tracer::track_async_spawn(std::string_view task, const SourceLocation& location) {
  TraceEventId id;
  internal::make_uuid(id.bytes);
  Execution* const execution = core_->current("track_async_spawn");
  if (execution == nullptr) return id;
  const std::lock_guard lock(execution->mutex());
  core_->record(*execution, {.kind = TraceKind::async_spawn, .name = task}, location,
                [&](std::string& data) { append(data, "task_id", to_uuid(id)); });
  return id;
}

void Tracer::track_async_await(const TraceEventId& task, std::string_view name,
                               const SourceLocation& location) {
  Execution* const execution = core_->current("track_async_await");
  if (execution == nullptr) return;
  const std::lock_guard lock(execution->mutex());
  core_->record(*execution, {.kind = TraceKind::async_await, .name = name}, location,
                [&](std::string& data) { append(data, "future_id", to_uuid(task)); });
}

void Tracer::track_lock_acquire(std::string_view lock, std::string_view lock_type,
                                const SourceLocation& location) {
  if (core_->current("track_lock_acquire") == nullptr) return;
  internal::lock_acquired(*core_->locks().find_or_make(lock), {.name = lock, .type = lock_type}, location);
}

void Tracer::track_lock_release(std::string_view lock, std::string_view lock_type,
                                const SourceLocation& location) {
  if (core_->current("track_lock_release") == nullptr) return;
  internal::lock_released(*core_->locks().find_or_make(lock), {.name = lock, .type = lock_type}, location);
}

void Tracer::track_http_request(std::string_view method, std::string_view url, const HeaderMap& headers,
                                const TraceValue& body, const SourceLocation& location) {
  Execution* const execution = core_->current("track_http_request");
  if (execution == nullptr) return;
  const std::lock_guard lock(execution->mutex());
  record_request(*execution, method, url, headers, body, location);
}

void Tracer::track_http_response(int status, const HeaderMap& headers, const TraceValue& body,
                                 std::chrono::nanoseconds duration, const SourceLocation& location) {
  Execution* const execution = core_->current("track_http_response");
  if (execution == nullptr) return;
  const std::lock_guard lock(execution->mutex());
  record_response(*execution, status, headers, body, duration, location);
}

void Tracer::track_database_query(std::string_view database, std::string_view query,
                                  std::chrono::nanoseconds duration, const SourceLocation& location) {
  Execution* const execution = core_->current("track_database_query");
  if (execution == nullptr) return;
  const std::lock_guard lock(execution->mutex());
  core_->record(*execution,
                {.kind = TraceKind::database_query, .name = database, .access = {}, .duration = duration},
                location, [&](std::string& data) {
                  append(data, "query", query);
                  append(data, "duration_ms", milliseconds_of(duration));
                });
}

void Tracer::track_database_result(std::string_view database, std::uint64_t rows_affected,
                                   const SourceLocation& location) {
  Execution* const execution = core_->current("track_database_result");
  if (execution == nullptr) return;
  const std::lock_guard lock(execution->mutex());
  core_->record(*execution, {.kind = TraceKind::database_result, .name = database}, location,
                [&](std::string& data) { append(data, "rows_affected", rows_affected); });
}

void Tracer::track_error(std::string_view type, std::string_view message,
                         const std::vector<std::string>& stack_trace, const SourceLocation& location) {
  Execution* const execution = core_->current("track_error");
  if (execution == nullptr) return;
  const std::lock_guard lock(execution->mutex());
  core_->record(*execution, {.kind = TraceKind::error, .name = type}, location, [&](std::string& data) {
    append(data, "message", message);
    append_key(data, "stack_trace");
    data += '[';
    for (const std::string& frame : stack_trace) {
      if (data.back() != '[') data += ',';
      internal::append_json_string(data, frame);
    }
    data += ']';
  });
}

void Tracer::track_error(const std::exception& exception, const SourceLocation& location) {
  if (internal::current_execution == nullptr) return;
  track_error(internal::demangle(typeid(exception).name()), exception.what(), {}, location);
}

void Tracer::track_custom(std::string_view name, const TraceValue& data, const SourceLocation& location) {
  Execution* const execution = core_->current("track_custom");
  if (execution == nullptr) return;
  const std::lock_guard lock(execution->mutex());
  core_->record(*execution, {.kind = TraceKind::custom, .name = name}, location,
                [&](std::string& json) { append(json, "data", data); });
}

// ── between services ──

bool Tracer::has_context() const noexcept {
  const Execution* const execution = internal::current_execution;
  return execution != nullptr && execution->core() == core_;
}

HeaderMap Tracer::propagation_headers(HeaderMap extra) {
  Execution* const execution = core_->current("propagation_headers");
  if (execution == nullptr) {
    throw std::logic_error("propagation_headers outside of a context: make a Scope, or begin_request, first");
  }
  const std::lock_guard lock(execution->mutex());
  execution->look_for_fork();
  TraceContext call = execution->trace();
  call.span_id = SpanId::make();
  add_header(extra, "traceparent", format_traceparent(call));
  if (std::string state = format_tracestate(call); !state.empty())
    add_header(extra, "tracestate", std::move(state));
  add_header(extra, "raceway-clock", clock_header(*execution, call.span_id));
  return extra;
}

void Tracer::receive(const IncomingHeaders& response_headers) {
  Execution* const execution = core_->current("receive");
  if (execution == nullptr) return;
  auto said = internal::parse_raceway_clock(response_headers.clock(), execution->trace().trace_id);
  const std::lock_guard lock(execution->mutex());
  execution->merge(std::move(said));
}

Context Tracer::begin_request(const IncomingHeaders& headers, std::string_view method, std::string_view url,
                              const HeaderMap& shown_headers, const SourceLocation& location) {
  Context context = core_->begin(headers);
  Execution& execution = *TracerCore::peek(context);
  const std::lock_guard lock(execution.mutex());
  execution.request = {.began = std::chrono::steady_clock::now(), .before = internal::swap_current(context)};
  record_request(execution, method, url, shown_headers, nullptr, location);
  return context;
}

HeaderMap Tracer::end_request(int status, const HeaderMap& shown_headers, const SourceLocation& location) {
  return end_request(Context::current(), status, shown_headers, location);
}

HeaderMap Tracer::end_request(const Context& context, int status, const HeaderMap& shown_headers,
                              const SourceLocation& location) {
  Execution* const execution = TracerCore::peek(context);
  if (execution == nullptr || execution->core() != core_) return {};
  HeaderMap answer;
  std::optional<Execution::Request> request;
  {
    const std::lock_guard lock(execution->mutex());
    request = std::exchange(execution->request, std::nullopt);
    if (!request) return {};
    record_response(*execution, status, shown_headers, nullptr,
                    std::chrono::steady_clock::now() - request->began, location);
    answer.emplace("raceway-clock", clock_header(*execution, execution->tie().span_id));
  }
  if (internal::current_execution == execution) internal::swap_current(std::move(request->before));
  return answer;
}

bool Tracer::flush(std::chrono::nanoseconds timeout) {
  return core_->store()->flush(timeout);
}

bool Tracer::shutdown(std::chrono::nanoseconds timeout) {
  return core_->store()->shutdown(timeout);
}

std::uint64_t Tracer::lost() const noexcept {
  return core_->lost();
}

// ── requests that end by themselves ──

RequestScope::RequestScope(Tracer& tracer, const IncomingHeaders& headers, std::string_view method,
                           std::string_view url, const SourceLocation& location)
    : tracer_(tracer),
      context_(tracer.begin_request(headers, method, url, {}, location)),
      location_(location),
      exceptions_(std::uncaught_exceptions()) {}

RequestScope::~RequestScope() {
  if (!context_) return;
  try {
    if (std::uncaught_exceptions() > exceptions_) {
      const Scope scope(context_);
      tracer_.track_error("exception", "an exception left the request's handler", {}, location_);
    }
    end(500, location_);
  } catch (const std::bad_alloc&) {
    // Without memory nothing can be told of it.
  }
}

HeaderMap RequestScope::end(int status, const SourceLocation& location) {
  return context_ ? tracer_.end_request(std::exchange(context_, {}), status, {}, location) : HeaderMap();
}

// ── values ──

void TraceValue::append_to(std::string& json) const {
  if (json_) {
    json += json_->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return;
  }
  switch (scalar_.kind()) {
    case Value::Kind::null:
      json += "null";
      return;
    case Value::Kind::text:
      internal::append_json_string(json, scalar_.borrowed_text());
      return;
    case Value::Kind::float32:
    case Value::Kind::float64: {
      char buffer[Value::kMaxNumberLength];
      const std::string_view text = scalar_.to_text(buffer);
      const bool is_number = text.find_first_of("in") == text.npos;  // inf, nan
      json += is_number ? text : "null";
      return;
    }
    case Value::Kind::character: {
      char buffer[Value::kMaxNumberLength];
      internal::append_json_string(json, scalar_.to_text(buffer));
      return;
    }
    default: {
      char buffer[Value::kMaxNumberLength];
      json += scalar_.to_text(buffer);
      return;
    }
  }
}

}  // namespace codewake
