#include "critical_path.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "codewake/time.hpp"
namespace codewake::analysis {
namespace {

using std::chrono::nanoseconds;
using Number = TraceSteps::Number;

/// The request that the execution began with, if what it did last was to answer it.
std::optional<Number> end_of_request(const TraceSteps& steps, const std::vector<Number>& its) {
  if (steps.event(its.front()).kind != TraceKind::http_request) return std::nullopt;
  if (its.size() < 2 || steps.event(its.back()).kind != TraceKind::http_response) return std::nullopt;
  std::int64_t open = 0;
  for (std::size_t place = 0; place + 1 < its.size(); ++place) {
    const TraceKind kind = steps.event(its[place]).kind;
    if (kind == TraceKind::http_request) ++open;
    if (kind == TraceKind::http_response) --open;
    if (open <= 0) return std::nullopt;  // it was a client, and this was the answer to its first request
  }
  return its.back();
}

Number last_of_path(const TraceSteps& steps) {
  // At the same time: whatever decides, as long as it is always the same.
  const auto place = [&](Number number) {
    return std::tuple(steps.time(number), std::string_view(steps.event(number).texts.execution),
                      steps.event(number).step);
  };
  std::optional<Number> root, last;
  for (Number number = 0; number < steps.size(); ++number) {
    const bool is_root = steps.waited_for(number).empty();
    if (is_root && (!root || place(number) < place(*root))) root = number;
    if (!last || place(number) > place(*last)) last = number;
  }
  if (!root) return *last;
  return end_of_request(steps, steps.executions()[steps.execution_of(*root)]).value_or(*last);
}

/// What came last of that which the event waited for. `until`: when the event was at the latest; what is
/// later by a clock that cannot be right is a last resort.
std::optional<Number> last_waited_for(const TraceSteps& steps, Number event, nanoseconds until,
                                      const std::vector<bool>& visited) {
  std::optional<Number> best;
  const auto rank = [&](Number number) {
    const nanoseconds time = steps.time(number);
    return time <= until ? std::pair(true, time) : std::pair(false, -time);
  };
  for (const Number from : steps.waited_for(event)) {
    if (visited[from]) continue;
    // At the same time: rather what it waited for than what it did itself.
    if (!best || rank(from) > rank(*best) || (rank(from) == rank(*best) && steps.previous(event) == best)) {
      best = from;
    }
  }
  return best;
}

bool is_query(const TraceEventRecord& from, const TraceEventRecord& to, nanoseconds time) {
  if (from.kind == TraceKind::database_query && to.kind == TraceKind::database_result) return true;
  // Recorded once it was done.
  return to.kind == TraceKind::database_query && to.duration && *to.duration >= time / 2 && time.count() > 0;
}

Doing doing_in_execution(const TraceEventRecord& from, const TraceEventRecord& to, nanoseconds time) {
  if (to.kind == TraceKind::lock_acquire) return Doing::lock;
  if (to.kind == TraceKind::async_await) return Doing::join;
  const bool was_called = from.step <= 1 && from.parent_id.empty();  // so it answered, and did not ask
  if (from.kind == TraceKind::http_request && to.kind == TraceKind::http_response && !was_called) {
    return Doing::call;
  }
  return is_query(from, to, time) ? Doing::query : Doing::work;
}

Doing doing_between(const TraceSteps& steps, Number from_number, Number to_number, nanoseconds time) {
  const TraceEventRecord& from = steps.event(from_number);
  const TraceEventRecord& to = steps.event(to_number);
  if (steps.execution_of(from_number) == steps.execution_of(to_number)) {
    return doing_in_execution(from, to, time);
  }
  if (to.kind == TraceKind::async_await) return Doing::join;
  if (to.kind == TraceKind::lock_acquire) return Doing::lock;
  if (to.kind == TraceKind::http_response) return Doing::answer;
  if (!steps.previous(to_number)) {
    return from.kind == TraceKind::async_spawn || from.id == to.parent_id ? Doing::spawn : Doing::request;
  }
  return from.kind == TraceKind::http_response ? Doing::answer : Doing::message;
}

/// Which function each event was in.
class Functions {
 public:
  explicit Functions(const TraceSteps& steps) : steps_(steps), inside_(steps.size()) {
    for (const std::vector<Number>& its : steps.executions()) walk(its);
  }

  std::string inside(Number number) const {
    return inside_[number] ? steps_.event(*inside_[number]).texts.name : std::string();
  }

 private:
  void walk(const std::vector<Number>& its) {
    std::vector<Number> open;
    std::unordered_map<std::string_view, std::size_t> named;  // how many of the name are open
    for (const Number number : its) {
      const TraceEventRecord& event = steps_.event(number);
      if (!open.empty()) inside_[number] = open.back();
      if (event.kind == TraceKind::function_call) {
        open.push_back(number);
        ++named[event.texts.name];
      } else if (event.kind == TraceKind::function_return && named[event.texts.name] > 0) {
        // Those above it were left by an exception.
        bool is_left = false;
        while (!is_left) {
          const std::string& name = steps_.event(open.back()).texts.name;
          is_left = name == event.texts.name;
          if (is_left) inside_[number] = open.back();
          --named[name];
          open.pop_back();
        }
      }
    }
  }

  const TraceSteps& steps_;
  std::vector<std::optional<Number>> inside_;
};

std::vector<CriticalShare> shares(const std::vector<CriticalSegment>& segments,
                                  const std::function<std::string(const CriticalSegment&)>& name) {
  std::map<std::string, CriticalShare> by_name;
  for (const CriticalSegment& segment : segments) {
    if (segment.doing == Doing::begin) continue;
    CriticalShare& share = by_name[name(segment)];
    share.time = saturated_sum(share.time, segment.time);
    ++share.segments;
  }
  std::vector<CriticalShare> shares;
  for (auto& [key, share] : by_name) {
    share.name = key;
    shares.push_back(std::move(share));
  }
  std::ranges::stable_sort(shares, std::greater<>(), &CriticalShare::time);
  return shares;
}

nanoseconds length_of(const TraceSteps& steps) {
  nanoseconds first = steps.time(0), last = first;
  for (Number number = 0; number < steps.size(); ++number) {
    first = std::min(first, steps.time(number));
    last = std::max(last, steps.time(number));
  }
  return last - first;
}

}  // namespace

std::string_view to_string(Doing doing) noexcept {
  switch (doing) {
    case Doing::begin:
      return "begin";
    case Doing::work:
      return "work";
    case Doing::query:
      return "query";
    case Doing::call:
      return "call";
    case Doing::lock:
      return "lock";
    case Doing::spawn:
      return "spawn";
    case Doing::join:
      return "join";
    case Doing::request:
      return "request";
    case Doing::answer:
      return "answer";
    case Doing::message:
      return "message";
  }
  return "";
}

CriticalPath find_critical_path(std::span<const TraceEventRecord> events) {
  CriticalPath path;
  if (events.empty()) return path;
  const TraceSteps steps(events);
  const Functions functions(steps);
  std::vector<bool> visited(events.size());
  Number number = last_of_path(steps);
  nanoseconds until = steps.time(number);
  while (true) {
    visited[number] = true;
    CriticalSegment& segment = path.segments.emplace_back();
    segment.to = &steps.event(number);
    segment.inside = functions.inside(number);
    const std::optional<Number> from = last_waited_for(steps, number, until, visited);
    segment.begin = from ? std::min(until, steps.time(*from)) : until;
    segment.time = until - segment.begin;
    if (!from) break;
    segment.from = &steps.event(*from);
    segment.doing = doing_between(steps, *from, number, segment.time);
    until = segment.begin;
    number = *from;
  }
  std::ranges::reverse(path.segments);
  const nanoseconds begin = path.segments.front().begin;
  for (CriticalSegment& segment : path.segments) {
    segment.begin -= begin;
    path.total = saturated_sum(path.total, segment.time);
  }
  path.trace = length_of(steps);
  path.services = shares(path.segments, [](const CriticalSegment& s) { return s.to->texts.service; });
  path.kinds =
      shares(path.segments, [](const CriticalSegment& s) { return std::string(to_string(s.doing)); });
  path.shifts = steps.shifts();
  path.can_compare = steps.can_shift();
  return path;
}

}  // namespace codewake::analysis
