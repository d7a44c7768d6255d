// Clocks as trace events carry them: a JSON array of [execution, steps], the own one last.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/trace_event.hpp"

namespace codewake::analysis {

/// The first `steps` events of the execution are known.
struct StoredComponent {
  std::string_view execution;
  std::uint64_t steps = 0;

  bool operator==(const StoredComponent&) const = default;
};

/// Reads one clock after another. Reentrant.
class StoredClockReader {
 public:
  /// The components of a clock, in its order. They borrow from `text`, and are valid until the next call.
  /// What is not of the form is left out: text that is no JSON array has no components.
  std::span<const StoredComponent> read(std::string_view text);

 private:
  bool read_plain(std::string_view text);
  void read_any(std::string_view text);

  std::vector<StoredComponent> components_;
  std::deque<std::string> names_;  // of those that are written with escapes
};

/// Whether two clocks say the same of all executions but the own one. A quick look at their texts: the answer
/// may be no where it is yes.
bool says_the_same_of_others(std::string_view a, std::string_view b) noexcept;

/// Whether the component is a service's, `service#instance`, as older SDKs have it, and not an execution's.
bool is_shared_component(std::string_view execution) noexcept;

/// The service that a component names: what stands before its first `#`.
std::string_view service_of_component(std::string_view execution) noexcept;

/// Tells the executions of a trace apart. Of one whose component its service shares, the span belongs to it.
struct ExecutionKey {
  std::string_view execution;
  SpanId span = {};

  static ExecutionKey of(const TraceEventRecord& event) noexcept;
  auto operator<=>(const ExecutionKey&) const = default;
};

}  // namespace codewake::analysis
