// Tracing: what happened in which order, across threads, coroutines and services.
//
//     codewake::Tracer& tracer = codewake::Process::instance().tracer();
//     codewake::Scope scope(tracer, request.headers);  // goes on with the caller's trace, or begins one
//     tracer.track_state_change("stock", 5, 4);
//     auto worker = codewake::spawn([&] { … });        // an execution of its own, ordered behind this one
//     worker.get();                                    // and before what follows
//     client.Get("/charge", tracer.propagation_headers());
//
// A *context* belongs to an execution (a request, a task, a thread), and not to a thread: a Scope makes it
// current on the thread that the execution runs on at the moment. Each execution counts its own steps, and
// knows of others how many of theirs came before (its vector clock). It learns of others when it begins,
// where it joins them, takes a lock that they let go, or receives from them. Whatever no such chain orders
// may happen at once: that is how races are found in what was recorded.
//
// The fields of a trace event's `data`, by kind (its name, place and clock stand in columns of their own):
//
//   StateChange     name: the variable      old_value, new_value
//   FunctionCall    name: the function      module, args
//   FunctionReturn  name: the function      return_value
//   AsyncSpawn      name: the task          task_id
//   AsyncAwait      name: the task          future_id
//   LockAcquire     name: the lock          lock_type
//   LockRelease     name: the lock          lock_type
//   HttpRequest     name: method and URL    method, url, headers, body
//   HttpResponse    name: the status        status, headers, body, duration_ms
//   DatabaseQuery   name: the database      query, duration_ms
//   DatabaseResult  name: the database      rows_affected
//   Error           name: its type          message, stack_trace
//   Custom          name: the caller's      data
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "codewake/export.hpp"
#include "codewake/source_location.hpp"
#include "codewake/store.hpp"
#include "codewake/trace_context.hpp"
#include "codewake/trace_event.hpp"
#include "codewake/trace_value.hpp"
#include "codewake/vector_clock.hpp"

namespace codewake {

class Tracer;

namespace internal {
class Execution;
class ProcessTracer;
class TracerCore;
}  // namespace internal

/// Header fields by their names; on the way in, names count in any case.
using HeaderMap = std::map<std::string, std::string>;

/// Anything to iterate over whose elements are pairs of text: a HeaderMap, httplib::Headers, …
template <class R>
concept HeaderRange = requires(const R& headers) {
  requires std::convertible_to<decltype(std::begin(headers)->first), std::string_view>;
  requires std::convertible_to<decltype(std::begin(headers)->second), std::string_view>;
};

/// The header fields that carry a trace, found among others. Borrows them.
class CODEWAKE_API IncomingHeaders {
 public:
  IncomingHeaders() = default;
  template <HeaderRange R>
  requires(!std::same_as<R, IncomingHeaders>) IncomingHeaders(const R& headers) {
    for (const auto& header : headers) add(header.first, header.second);
  }

  /// For headers that come in another shape; others than the three are left out.
  void add(std::string_view name, std::string_view value);

  const std::vector<std::string_view>& traceparent() const noexcept { return traceparent_; }
  const std::vector<std::string_view>& tracestate() const noexcept { return tracestate_; }
  const std::vector<std::string_view>& clock() const noexcept { return clock_; }

 private:
  std::vector<std::string_view> traceparent_, tracestate_, clock_;
};

/// A handle of an execution. Empty outside of traces. Copying is cheap and makes no execution; the same
/// execution must not run on two threads at a time (nothing breaks where it does, but its steps are then in
/// the order of chance). Thread-safe.
class CODEWAKE_API Context {
 public:
  Context() noexcept = default;
  Context(const Context& other) noexcept;
  Context(Context&& other) noexcept : execution_(std::exchange(other.execution_, nullptr)) {}
  Context& operator=(Context other) noexcept {
    std::swap(execution_, other.execution_);
    return *this;
  }
  ~Context();

  /// Of what runs on this thread.
  static Context current() noexcept;

  explicit operator bool() const noexcept { return execution_ != nullptr; }
  bool operator==(const Context&) const noexcept = default;

  /// The trace and the execution's own span; zeros where the context is empty.
  TraceTie tie() const noexcept;
  /// The component of the clock: `service#instance#execution`; empty where the context is.
  std::string execution() const;
  /// What it knows by now.
  VectorClock clock() const;

 private:
  friend class internal::TracerCore;

  // Takes over a reference.
  explicit Context(internal::Execution* execution) noexcept : execution_(execution) {}

  internal::Execution* execution_ = nullptr;
};

namespace internal {
/// Makes `next` current on this thread; the result is what was.
CODEWAKE_API Context swap_current(Context next) noexcept;
}  // namespace internal

/// Makes a context current on this thread for as long as it lives, and then what was current before.
/// Thread-bound, but in a coroutine whose promise is a CarriesContext.
class CODEWAKE_API Scope {
 public:
  /// A new trace.
  explicit Scope(Tracer& tracer);
  /// The trace of the caller, of whom `headers` tell; a new one where they tell nothing, or are bad in any
  /// way.
  Scope(Tracer& tracer, const IncomingHeaders& headers);
  /// An execution that goes on here; an empty context: outside of traces.
  explicit Scope(Context context) noexcept;
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope();

  const Context& context() const noexcept { return context_; }

 private:
  Context context_;
  Context before_;
};

/// What a tracer says of its program.
struct TracerOptions {
  std::string service_name = "unknown-service";
  std::string instance_id = {};  ///< empty: `<host>-<pid>`
  std::string environment = "development";
  bool debug = false;  ///< says on stderr what is not recorded because no context is current
};

/// Records what executions do. Everything is thread-safe; outside of a context `track_…` do nothing. They
/// throw nothing but std::bad_alloc, wait for nothing where the store queues, and survive what its queue
/// survives once they return; with any other store they wait for it. What cannot be recorded is counted in
/// `lost()` and said once on stderr. Values are taken as they are at the call.
class CODEWAKE_API Tracer {
 public:
  /// Records into `store`, which knows the process already (Store::insert_process).
  Tracer(std::shared_ptr<Store> store, TracerOptions options);
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;
  /// Contexts may outlive it.
  ~Tracer();

  const TracerOptions& options() const noexcept;
  const std::shared_ptr<Store>& store() const noexcept;

  // ── what happens ──

  void track_state_change(std::string_view variable, const TraceValue& old_value, const TraceValue& new_value,
                          Access access = Access::write,
                          const SourceLocation& location = SourceLocation::current());
  void track_function_call(std::string_view function, const TraceValue& args = nlohmann::json::object(),
                           const SourceLocation& location = SourceLocation::current());
  void track_function_return(std::string_view function, const TraceValue& return_value = nullptr,
                             std::optional<std::chrono::nanoseconds> duration = std::nullopt,
                             const SourceLocation& location = SourceLocation::current());
  /// Calls `callable`, and records call and return, or the exception that came out of it, with the time it
  /// took.
  template <class Callable>
  std::invoke_result_t<Callable> track_function(std::string_view function, const TraceValue& args,
                                                Callable&& callable,
                                                const SourceLocation& location = SourceLocation::current());

  /// A task begins that no `spawn` or `bind` makes. The result names it for track_async_await.
  TraceEventId track_async_spawn(std::string_view task,
                                 const SourceLocation& location = SourceLocation::current());
  /// The execution has waited for it.
  void track_async_await(const TraceEventId& task, std::string_view name = {},
                         const SourceLocation& location = SourceLocation::current());

  /// A lock has been taken: what happened before it was let go last comes before. It is in the execution's
  /// lock set until the release. Locks are told apart by their names, within this tracer. A type that ends in
  /// `Read` is shared.
  void track_lock_acquire(std::string_view lock, std::string_view lock_type = "Mutex",
                          const SourceLocation& location = SourceLocation::current());
  /// A lock is about to be let go.
  void track_lock_release(std::string_view lock, std::string_view lock_type = "Mutex",
                          const SourceLocation& location = SourceLocation::current());

  /// Of headers that carry secrets (Authorization, Cookie, …) the values are masked.
  void track_http_request(std::string_view method, std::string_view url, const HeaderMap& headers = {},
                          const TraceValue& body = nullptr,
                          const SourceLocation& location = SourceLocation::current());
  void track_http_response(int status, const HeaderMap& headers = {}, const TraceValue& body = nullptr,
                           std::chrono::nanoseconds duration = std::chrono::nanoseconds(0),
                           const SourceLocation& location = SourceLocation::current());
  void track_database_query(std::string_view database, std::string_view query,
                            std::chrono::nanoseconds duration = std::chrono::nanoseconds(0),
                            const SourceLocation& location = SourceLocation::current());
  void track_database_result(std::string_view database, std::uint64_t rows_affected,
                             const SourceLocation& location = SourceLocation::current());
  void track_error(std::string_view type, std::string_view message,
                   const std::vector<std::string>& stack_trace = {},
                   const SourceLocation& location = SourceLocation::current());
  /// With its demangled type.
  void track_error(const std::exception& exception,
                   const SourceLocation& location = SourceLocation::current());
  void track_custom(std::string_view name, const TraceValue& data = nullptr,
                    const SourceLocation& location = SourceLocation::current());

  // ── between services ──

  /// Whether one of its contexts is current on this thread.
  bool has_context() const noexcept;

  /// `extra` with traceparent, tracestate and raceway-clock, for one outgoing call: each has a span id of its
  /// own. Throws std::logic_error outside of a context.
  HeaderMap propagation_headers(HeaderMap extra = {});

  /// What the one who answered a call did comes before from here on. Headers that say nothing of it, or are
  /// bad, do nothing.
  void receive(const IncomingHeaders& response_headers);

  /// A request has come in: its context is current on this thread until end_request, and recorded with an
  /// HttpRequest. For servers of any kind; may be nested.
  Context begin_request(const IncomingHeaders& headers, std::string_view method, std::string_view url,
                        const HeaderMap& shown_headers = {},
                        const SourceLocation& location = SourceLocation::current());
  /// The request that began last on this thread ends: an HttpResponse is recorded, with the time it took, and
  /// what was current before is so again. The result are headers to answer with, so that the caller can
  /// `receive` them. Without a request it does nothing.
  HeaderMap end_request(int status, const HeaderMap& shown_headers = {},
                        const SourceLocation& location = SourceLocation::current());
  /// The same of a request that ends on another thread than it began: `context` is what begin_request gave.
  /// The thread where it began has to leave it by itself: have begin_request called inside of
  /// `Scope{Context()}`.
  HeaderMap end_request(const Context& context, int status, const HeaderMap& shown_headers = {},
                        const SourceLocation& location = SourceLocation::current());

  // ── life ──

  /// As Store::flush and Store::shutdown of its store.
  bool flush(std::chrono::nanoseconds timeout);
  bool shutdown(std::chrono::nanoseconds timeout);
  /// Trace events that the store did not take.
  std::uint64_t lost() const noexcept;

 private:
  friend class internal::ProcessTracer;
  friend class internal::TracerCore;

  explicit Tracer(std::shared_ptr<internal::TracerCore> core) noexcept : core_(std::move(core)) {}

  std::shared_ptr<internal::TracerCore> core_;
};

/// The end of a request that no end_request names: an exception on its way through, and status 500.
/// Thread-bound.
class CODEWAKE_API RequestScope {
 public:
  RequestScope(Tracer& tracer, const IncomingHeaders& headers, std::string_view method, std::string_view url,
               const SourceLocation& location = SourceLocation::current());
  RequestScope(const RequestScope&) = delete;
  RequestScope& operator=(const RequestScope&) = delete;
  ~RequestScope();

  /// As Tracer::end_request; a second call does nothing.
  HeaderMap end(int status, const SourceLocation& location = SourceLocation::current());

 private:
  Tracer& tracer_;
  Context context_;
  SourceLocation location_;
  int exceptions_;
};

template <class Callable>
std::invoke_result_t<Callable> Tracer::track_function(std::string_view function, const TraceValue& args,
                                                      Callable&& callable, const SourceLocation& location) {
  using Result = std::invoke_result_t<Callable>;
  track_function_call(function, args, location);
  const auto began = std::chrono::steady_clock::now();
  const auto taken = [&] { return std::chrono::steady_clock::now() - began; };
  try {
    if constexpr (std::is_void_v<Result>) {
      std::invoke(std::forward<Callable>(callable));
      track_function_return(function, nullptr, taken(), location);
    } else {
      Result result = std::invoke(std::forward<Callable>(callable));
      if constexpr (std::constructible_from<TraceValue, const std::remove_cvref_t<Result>&>) {
        track_function_return(function, TraceValue(std::as_const(result)), taken(), location);
      } else {
        track_function_return(function, nullptr, taken(), location);
      }
      return std::forward<Result>(result);
    }
  } catch (const std::exception& exception) {
    track_error(exception, location);
    throw;
  } catch (...) {
    track_error("unknown", "an exception that is no std::exception", {}, location);
    throw;
  }
}

}  // namespace codewake
