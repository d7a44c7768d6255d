#include "critical_paths.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "codewake/time.hpp"
#include "operation_name.hpp"

namespace codewake::analysis {
namespace {

using std::chrono::nanoseconds;

std::string pattern_of(const TraceEventRecord& event) {
  switch (event.kind) {
    case TraceKind::http_request:
      return request_pattern(event.texts.name);
    case TraceKind::database_query:
      return statement_pattern(event.texts.name);
    default:
      return event.texts.name.substr(0, kMostPattern);
  }
}

template <class Item>
void sort_by_time(std::vector<Item>& items) {
  std::ranges::stable_sort(items, std::greater<>(), &Item::time);
}

template <class Shares>
void add_shares(Shares& sums, const std::vector<CriticalShare>& shares) {
  for (const CriticalShare& share : shares) {
    CriticalShare& sum = sums[share.name];
    sum.name = share.name;
    sum.time = saturated_sum(sum.time, share.time);
    sum.segments += share.segments;
  }
}

template <class Shares>
std::vector<CriticalShare> sorted(const Shares& sums) {
  std::vector<CriticalShare> shares;
  for (const auto& [name, share] : sums) shares.push_back(share);
  sort_by_time(shares);
  return shares;
}

}  // namespace

void CriticalPaths::add(const CriticalPath& path) {
  if (path.segments.empty()) return;
  totals_.push_back(path.total);
  total_ = saturated_sum(total_, path.total);
  add_shares(services_, path.services);
  add_shares(kinds_, path.kinds);
  for (const CriticalSegment& segment : path.segments) {
    if (segment.doing != Doing::begin) add(segment);
  }
}

void CriticalPaths::add(const CriticalSegment& segment) {
  const TraceEventRecord& event = *segment.to;
  std::string name = pattern_of(event);
  Sum& known = sums_[{segment.doing, event.kind, name, event.texts.service, segment.inside, event.texts.file,
                      event.line}];
  CriticalSum& sum = known.sum;
  if (sum.segments++ == 0) {
    sum.doing = segment.doing;
    sum.kind = event.kind;
    sum.name = std::move(name);
    sum.service = event.texts.service;
    sum.inside = segment.inside;
    sum.file = event.texts.file;
    sum.line = event.line;
  }
  sum.time = saturated_sum(sum.time, segment.time);
  if (segment.time >= sum.longest) {
    sum.longest = segment.time;
    sum.trace_id = event.trace_id;
  }
  if (std::exchange(known.last_trace, traces()) != traces()) ++sum.traces;
}

nanoseconds CriticalPaths::percentile(int percent) const {
  if (totals_.empty()) return nanoseconds(0);
  std::vector<nanoseconds> totals = totals_;
  const auto place = totals.begin() + static_cast<std::ptrdiff_t>((totals.size() - 1) *
                                                                  static_cast<std::size_t>(percent) / 100);
  std::ranges::nth_element(totals, place);
  return *place;
}

std::vector<CriticalSum> CriticalPaths::sums() const {
  std::vector<CriticalSum> sums;
  for (const auto& [key, known] : sums_) sums.push_back(known.sum);
  sort_by_time(sums);
  return sums;
}

std::vector<CriticalShare> CriticalPaths::services() const {
  return sorted(services_);
}

std::vector<CriticalShare> CriticalPaths::kinds() const {
  return sorted(kinds_);
}

}  // namespace codewake::analysis
