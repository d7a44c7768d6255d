// Who called whom within one trace.
//
// A call has two sides. Its client recorded an HttpRequest and, once the answer was there, an HttpResponse;
// its server is an execution that began with the request, and recorded an HttpRequest and an HttpResponse as
// well. Either side may be missing: not every client records its calls, and not every server is traced.
//
// The sides are brought together by what the client sent. Each call has a span id of its own, which is the
// `upstream_span_id` of the server's events; so the client is known
//  1. where it recorded the headers that it sent, by the span id in their `traceparent`,
//  2. by the clock of the server's first event, of which the last foreign component names the client's
//     execution, and how many of its events were there when it sent: its last HttpRequest among these,
//  3. where an older SDK sent its execution's own span id, by that.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "codewake/trace_event.hpp"
#include "names.hpp"
#include "stored_clock.hpp"

namespace codewake::analysis {

/// What an event tells of calls. Texts are numbers of the Names that were given.
struct CallEvent {
  TraceKind kind = TraceKind::custom;
  std::uint64_t step = 0;
  Time when = {};
  std::chrono::nanoseconds duration{0};  ///< 0: not known
  Names::Number operation = 0;  ///< of a request: method and pattern of the path; of a query: its verb
  Names::Number peer = 0;       ///< of a request: the host of its URL; of a query: the database
  SpanId sent = {};             ///< of a request: the span id in the traceparent among its headers
  int status = 0;               ///< of a response
  std::uint32_t tag = 0;        ///< the caller's
};

/// How long from one to the other: what the second says, or else the time between them.
std::chrono::nanoseconds duration_of(const CallEvent& begin, const CallEvent& end) noexcept;

/// One call, by the numbers of executions and pointers to what is kept of them.
struct Call {
  enum class Kind : std::uint8_t { request, query };

  Kind kind = Kind::request;
  std::optional<std::size_t> client = std::nullopt;  ///< its execution; empty where the trace has none of it
  std::string_view client_component = {};  ///< how the server's clock names it; empty where it does not
  const CallEvent* asked = nullptr;        ///< the client's request or query; null: not recorded
  const CallEvent* answered = nullptr;     ///< the client's response
  std::optional<std::size_t> server = std::nullopt;  ///< its execution; empty: not traced
  const CallEvent* request = nullptr;                ///< the server's
  const CallEvent* response = nullptr;               ///< the server's
  bool has_failed = false;
};

/// The calls of one trace. Events may come in any order, and any of them may be missing. Reentrant.
class TraceCalls {
 public:
  /// `names` is borrowed for as long as this lives.
  explicit TraceCalls(Names& names) : names_(names) {}

  /// `tag`: the event's number for whoever gives it. The result says whether anything was kept of it.
  bool add(const TraceEventRecord& event, std::uint32_t tag = 0);

  std::size_t executions() const noexcept { return executions_.size(); }
  Names::Number service_of(std::size_t execution) const { return executions_[execution].service; }
  /// The tag of its first event.
  std::uint32_t first_of(std::size_t execution) const { return executions_[execution].first_tag; }

  /// Brings them together. What it gives points to what is kept here, and is valid until the next `add`.
  std::vector<Call> match();

 private:
  struct Execution {
    std::string name;
    bool is_shared = false;  // its component is its service's
    Names::Number service = 0;
    SpanId span, upstream;
    std::uint64_t first_step = 0;
    std::uint32_t first_tag = 0;
    bool has_parent = false;  // by its first event: begun by an event of this trace
    bool begins_with_request = false;
    std::string client_component;  // by the clock of its first event
    std::uint64_t client_steps = 0;
    bool has_error = false;
    std::vector<CallEvent> events;
  };

  /// A request of an execution and its response, by their places in the execution's events.
  struct Request {
    enum class Side : std::uint8_t { client, server, either };

    std::size_t execution = 0;
    std::size_t asked = 0;
    std::optional<std::size_t> answered = std::nullopt;
    Side side = Side::client;
    bool has_failed = false;
    bool is_taken = false;
  };

  struct HashOfKey {
    std::size_t operator()(const ExecutionKey& key) const noexcept;
  };

  std::size_t find_or_add(const TraceEventRecord& event);
  void take_first(Execution& execution, const TraceEventRecord& event, std::uint32_t tag);
  void index_executions();
  void pair_requests(std::size_t number);
  void index_requests();
  bool is_lost(const Execution& execution, std::size_t error, const Request& last) const;
  void decide_side(std::size_t number);
  bool was_called(const Execution& execution) const;
  Call served(std::size_t number) const;
  void find_client(Call& call);
  void take_request(Call& call, std::size_t request);
  std::optional<std::size_t> request_by_clock(std::size_t client, const Call& call) const;
  std::optional<std::size_t> request_by_operation(std::size_t client, const Call& call);
  Call sent_to_nobody_known(const Request& request) const;
  void add_queries(std::size_t number, std::vector<Call>& calls) const;
  bool may_be(const Request& request, const Call& call) const;
  const CallEvent& asked(const Request& request) const {
    return executions_[request.execution].events[request.asked];
  }
  const CallEvent* answered(const Request& request) const {
    return request.answered ? &executions_[request.execution].events[*request.answered] : nullptr;
  }

  Names& names_;
  std::deque<Execution> executions_;
  std::unordered_map<ExecutionKey, std::size_t, HashOfKey> by_key_;  // borrows the executions' names
  std::size_t latest_ = 0;                                           // the execution of the event before
  StoredClockReader clocks_;

  // ── while they are matched ──
  std::map<SpanId, std::size_t> by_span_;
  std::vector<Request> requests_;
  std::vector<std::vector<std::size_t>> requests_of_;            // of each execution, by their steps
  std::vector<std::optional<std::size_t>> first_of_its_server_;  // with which an execution began
  std::vector<const CallEvent*> response_alone_;                 // whose request is missing
  std::map<SpanId, std::size_t> by_sent_;
  std::map<std::pair<std::size_t, Names::Number>, std::deque<std::size_t>> by_operation_;
};

}  // namespace codewake::analysis
