// The target that analyses what a store may have.
#include <charconv>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/analysis.hpp"
#include "critical_path.hpp"
#include "fuzz/targets.hpp"
#include "history_builder.hpp"
#include "lock_usage.hpp"
#include "services.hpp"
#include "slow_operations.hpp"

namespace codewake::testing {
namespace {

using namespace analysis;

void require(bool holds, std::string_view what) {
  if (!holds) throw std::logic_error(std::string(what));
}

std::string_view take(std::string_view& text, char end) {
  const std::size_t size = text.find(end);
  const std::string_view taken = text.substr(0, size);
  text = size == text.npos ? std::string_view() : text.substr(size + 1);
  return taken;
}

std::uint64_t take_number(std::string_view& line) {
  const std::string_view text = take(line, '\t');
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

template <class Bytes>
void set_number(Bytes& bytes, std::uint64_t number) {
  for (std::size_t i = 0; i < 8; ++i)
    bytes[bytes.size() - 1 - i] = static_cast<std::uint8_t>(number >> (8 * i));
}

TraceEventRecord event_of(std::string_view line, std::size_t number) {
  TraceEventRecord event;
  event.row = static_cast<Id>(number);
  event.process_id = 1;
  event.kind = parse_trace_kind(take(line, '\t')).value_or(TraceKind::custom);
  event.access = parse_access(take(line, '\t'));
  event.texts.name = take(line, '\t');
  event.texts.execution = take(line, '\t');
  event.step = take_number(line);
  set_number(event.trace_id.bytes, take_number(line) + 1);
  set_number(event.span_id.bytes, take_number(line));
  set_number(event.upstream_span_id.bytes, take_number(line));
  set_number(event.parent_id.bytes, take_number(line));
  set_number(event.id.bytes, number);
  event.when = Time(std::chrono::microseconds(take_number(line) % (std::uint64_t{1} << 52)));
  event.line = static_cast<std::uint32_t>(take_number(line));
  event.texts.locks = take(line, '\t');
  event.texts.data = take(line, '\t');
  event.texts.clock = take(line, '\t');
  event.texts.service = event.texts.execution.substr(0, event.texts.execution.find('#'));
  event.texts.instance = "1";
  event.texts.file = "a.cpp";
  return event;
}

void check(const Finding& finding) {
  require(!finding.events.empty(), "a finding has no events");
  require(finding.stacks.size() == finding.events.size(), "a finding has not one stack an event");
  require(finding.verdict != Verdict::race || finding.write_write + finding.read_write > 0,
          "a race has no pairs");
  require(finding.variables.size() <= finding.variable_count, "there are more variables than it says");
  for (const std::vector<Caller>& stack : finding.stacks) require(stack.size() <= 64, "a stack has no end");
  require(!describe(finding).empty(), "a finding says nothing");
}

void check_races(const std::vector<TraceEventRecord>& events) {
  const RaceReport report = find_races(events);
  require(report.events == events.size(), "events are lost on the way");
  for (const Finding& finding : report.findings) check(finding);
  HistoryBuilder builder;
  for (const TraceEventRecord& event : events) builder.add(event);
  for (const LockUsage& usage : lock_usage(builder.finish()))
    require(usage.contended <= usage.taken, "a lock is waited for more often than it is taken");
}

void check_critical_path(const std::vector<TraceEventRecord>& events) {
  const CriticalPath path = find_critical_path(events);
  std::chrono::nanoseconds sum{0};
  for (const CriticalSegment& segment : path.segments) {
    require(segment.time.count() >= 0 && segment.begin == sum, "a critical path goes back in time");
    sum += segment.time;
  }
  require(sum == path.total, "the parts of a critical path are not the whole");
}

}  // namespace

void fuzz_history(std::string_view input) {
  std::vector<TraceEventRecord> events;
  constexpr std::size_t kMost = 200;
  while (!input.empty() && events.size() < kMost)
    events.push_back(event_of(take(input, '\n'), events.size() + 1));
  check_races(events);
  check_critical_path(events);
  ServiceMap services;
  SlowOperations operations;
  for (const TraceEventRecord& event : events) {
    services.add(event);
    operations.add(event);
  }
  std::uint64_t calls = 0;
  for (const ServiceCall& call : services.finish()) {
    require(call.errors <= call.calls, "there are more errors than calls");
    calls += call.calls;
  }
  require(calls <= 2 * events.size(), "there are more calls than events");
  for (const SlowOperation& operation : operations.finish())
    require(operation.slow <= operation.judged, "more calls are slow than there are");
}

}  // namespace codewake::testing
