// Operations that are slow against their own history.
//
// What is usual of an operation is a matter of its ranks alone, for durations have long tails: neither a mean
// nor a deviation says much of them. Two things are found:
//
//  - The *latest* calls are slower as a whole. At least 10 of them, against at least 30 before; their median
//  is
//    at or above what 95 percent of those before were below, half as long again as the median before, and
//    longer by 1 ms. Of an operation that has not changed, six of ten calls would have to be among the
//    slowest twentieth: whatever the distribution, by chance that is less than once in 2,500 times with the
//    fewest calls, and less than once in 300,000 with many before.
//  - A *single* call is far out, against at least 30 before it: beyond Tukey's outer fence of the durations'
//    logarithms (p75 · (p75/p25)³), three times the median, twice the 99th percentile, and 10 ms more than
//    the median. So an operation that now and then takes long (a cache that misses) does not count every
//    time, nor does a moment in which the scheduler ran something else.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "codewake/trace_event.hpp"
#include "durations.hpp"
#include "names.hpp"

namespace codewake::analysis {

/// One call of an operation, to look at.
struct SlowExample {
  TraceId trace_id = {};
  TraceEventId event_id = {};
  Time when = {};
  std::chrono::nanoseconds duration{0};
  std::string file = {};  ///< empty: not known
  std::uint32_t line = 0;
};

struct SlowOperation {
  /// Requests that were answered or sent, functions, statements of a database.
  enum class Kind : std::uint8_t { served, called, function, query };
  enum class Finding : std::uint8_t { latest, single };

  std::string service = {};
  Kind kind = Kind::served;
  std::string operation = {};  ///< method and pattern of the path, the function, or database and statement
  Finding finding = Finding::latest;
  std::uint64_t slow = 0;                 ///< calls that are
  std::uint64_t judged = 0;               ///< of so many that were looked at
  std::uint64_t before = 0;               ///< calls by which they were judged
  std::chrono::nanoseconds usual{0};      ///< the median of those before
  std::chrono::nanoseconds usual_p95{0};  ///< and what 95 percent of them did not exceed
  std::chrono::nanoseconds now{0};        ///< the median of the latest, or the duration of the slowest
  SlowExample example = {};               ///< the slowest of them
};

/// Judges events in the order of their times. Memory is bounded: beyond 2,000 operations, no new ones are
/// looked at; of requests without a response, the latest 50,000 are waited for. Reentrant.
class SlowOperations {
 public:
  /// What happened from `since` on is judged by what was before. Empty: each call is judged by those before
  /// it, and the latest of each operation (a fifth of them, from 10 to 50) by the others.
  explicit SlowOperations(std::optional<Time> since = std::nullopt) : since_(since) {}

  void add(const TraceEventRecord& event);

  /// What was found, that which is slower by the largest factor first.
  std::vector<SlowOperation> finish();

 private:
  struct Sample {
    TraceId trace_id;
    TraceEventId event_id;
    Time when;
    std::chrono::nanoseconds duration;
    Names::Number file;
    std::uint32_t line;
  };
  struct Operation {
    Durations before;           // of the latest
    std::deque<Sample> latest;  // only where no time is given
    Durations recent;           // only where one is
    std::optional<Sample> slowest_recent;

    // Single calls.
    Durations all;               // before the one that is judged, where no time is given
    std::uint64_t limit_of = 0;  // how many there were when the limit was found
    std::chrono::nanoseconds limit{0};
    std::uint64_t judged = 0, far_out = 0;
    std::optional<Sample> slowest;
    std::chrono::nanoseconds usual{0}, usual_p95{0};  // when that happened
    std::uint64_t known = 0;
  };
  using Key = std::tuple<Names::Number, SlowOperation::Kind, Names::Number>;
  /// An execution with requests that wait for their responses.
  struct Open {
    std::string key;
    std::vector<std::pair<SlowOperation::Kind, Names::Number>> requests;
  };

  void begin_request(const TraceEventRecord& event);
  void end_request(const TraceEventRecord& event);
  void judge(const TraceEventRecord& event, SlowOperation::Kind kind, Names::Number operation);
  void judge_alone(Operation& operation, const Durations& before, const Sample& sample);
  std::optional<SlowOperation> latest_of(Operation& operation) const;
  std::optional<SlowOperation> single_of(const Operation& operation) const;
  SlowExample example_of(const Sample& sample) const;

  const std::optional<Time> since_;
  Names names_;
  std::map<Key, Operation> operations_;
  std::list<Open> open_;  // the one that was quiet for longest first
  std::unordered_map<std::string_view, std::list<Open>::iterator> open_by_key_;
};

}  // namespace codewake::analysis
