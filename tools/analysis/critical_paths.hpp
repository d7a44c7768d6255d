// The critical paths of many traces, added up.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "codewake/trace_event.hpp"
#include "critical_path.hpp"

namespace codewake::analysis {

/// What the paths have in common that do the same thing until the same place in the source.
struct CriticalSum {
  Doing doing = Doing::work;
  TraceKind kind = TraceKind::custom;  ///< of the event that it was done until
  std::string name = {};               ///< that event's, with `{}` for ids and values
  std::string service = {}, inside = {}, file = {};
  std::uint32_t line = 0;
  std::chrono::nanoseconds time{0};
  std::uint64_t segments = 0, traces = 0;
  std::chrono::nanoseconds longest{0};  ///< segment
  TraceId trace_id = {};                ///< that the longest is of
};

/// Keeps what the paths have in common, not the paths. Reentrant.
class CriticalPaths {
 public:
  /// Paths without segments count as none.
  void add(const CriticalPath& path);

  std::uint64_t traces() const noexcept { return totals_.size(); }
  std::chrono::nanoseconds total() const noexcept { return total_; }
  /// The path that as many in a hundred are not longer than; 0 where there are none.
  std::chrono::nanoseconds percentile(int percent) const;

  /// Those with the most time first.
  std::vector<CriticalSum> sums() const;
  std::vector<CriticalShare> services() const;
  std::vector<CriticalShare> kinds() const;

 private:
  using Key = std::tuple<Doing, TraceKind, std::string, std::string, std::string, std::string, std::uint32_t>;
  struct Sum {
    CriticalSum sum;
    std::uint64_t last_trace = 0;  // that it was met in, from 1
  };
  using Shares = std::map<std::string, CriticalShare, std::less<>>;

  void add(const CriticalSegment& segment);

  std::map<Key, Sum> sums_;
  Shares services_, kinds_;
  std::vector<std::chrono::nanoseconds> totals_;
  std::chrono::nanoseconds total_{0};
};

}  // namespace codewake::analysis
