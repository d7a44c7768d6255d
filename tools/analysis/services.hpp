// Which service calls which, how often, how fast, and with which errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "codewake/trace_event.hpp"
#include "durations.hpp"
#include "names.hpp"
#include "trace_calls.hpp"

namespace codewake::analysis {

/// All calls of one operation of a server, or statements of a database, by one client.
struct ServiceCall {
  enum class Kind : std::uint8_t { http, database };

  Kind kind = Kind::http;
  std::string client;  ///< a service; empty: not known, as of what comes from outside
  std::string server;  ///< a service, the host of a URL that is not traced, or a database; empty: not known
  std::string operation;  ///< method and pattern of the path, or the statement's verb; empty: not known
  std::uint64_t calls = 0;
  /// Answered with a status from 500 on, not answered, or with an Error in the server's execution; of a
  /// database: followed by an Error.
  std::uint64_t errors = 0;
  Latency served;  ///< by the server's own word
  Latency seen;    ///< by the client's; of a database, too
};

/// Made of any number of trace events of any number of traces, in the order of their times or nearly so.
/// Reentrant.
///
/// A trace's events wait until all of it is there, since clocks of machines differ and a server's events may
/// come before its client's. So that the memory is bounded, what waits is: the traces that have been quiet
/// for longest are taken to be complete. Where one goes on nevertheless, the calls in between may lose a
/// side. As bounded is the number of different calls: what comes beyond has the operation `…`, and services
/// of which there are thousands have the name `…`.
class ServiceMap {
 public:
  struct Limits {
    std::size_t waiting = 400'000;   ///< events and executions of traces
    std::size_t operations = 4'000;  ///< different calls
    std::size_t names = 20'000;      ///< different services, hosts, databases, operations
  };

  ServiceMap() : ServiceMap(Limits()) {}
  explicit ServiceMap(const Limits& limits);

  void add(const TraceEventRecord& event);

  /// What there is so far, with those that wait, which are then taken to be complete: by client and server,
  /// the most frequent operations of these first.
  std::vector<ServiceCall> finish();

 private:
  struct Waiting {
    TraceId trace;
    TraceCalls calls;
    std::size_t weight;
  };
  struct HashOfTrace {
    std::size_t operator()(const TraceId& trace) const noexcept;
  };
  using Key = std::tuple<ServiceCall::Kind, Names::Number, Names::Number, Names::Number>;
  struct Sum {
    std::uint64_t calls = 0, errors = 0;
    Durations served, seen;
  };

  void complete(Waiting& waiting);
  void count(const TraceCalls& trace, const Call& call);
  Sum& sum_of(Key key);

  const Limits limits_;
  Names names_;
  std::list<Waiting> waiting_;  // the one that was quiet for longest first
  std::unordered_map<TraceId, std::list<Waiting>::iterator, HashOfTrace> by_trace_;
  std::size_t weight_ = 0;
  std::map<Key, Sum> sums_;
};

}  // namespace codewake::analysis
