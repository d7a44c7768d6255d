// What a store gives back: one struct for each table of the schema that people look at.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/digest.hpp"
#include "codewake/export.hpp"
#include "codewake/frame.hpp"
#include "codewake/time.hpp"
#include "codewake/trace_context.hpp"

namespace codewake {

/// A row's number within its store. Stores number from 1.
using Id = std::int64_t;

struct EnvironmentRecord {
  Id id = 0;
  std::string name;

  bool operator==(const EnvironmentRecord&) const = default;
};

struct AppRecord {
  Id id = 0;
  std::string name;

  bool operator==(const AppRecord&) const = default;
};

/// A version is one app's: two apps may both have a version "1.0", under two ids.
struct AppVersionRecord {
  Id id = 0;
  std::string vsn;
  Id app_id = 0;

  bool operator==(const AppVersionRecord&) const = default;
};

/// One run of a program.
struct ProcessRecord {
  Id id = 0;
  Time run_ts;
  std::optional<EnvironmentRecord> environment;
  std::optional<std::int64_t> pid;
  std::optional<std::string> username;
  std::optional<std::string> fqdn;
  std::optional<std::string> exe_path;
  AppRecord app;
  std::optional<AppVersionRecord> app_vsn;

  bool operator==(const ProcessRecord&) const = default;
};

/// One recorded event.
struct EventRecord {
  Id id = 0;
  Time when;
  Id process_id = 0;
  /// Empty where the event was recorded with no data at all, which is not the same as an empty list.
  std::optional<Digest> digest;
  Attributes data;
  /// Empty where the event has no stack trace. Events with the same stack share the id.
  std::optional<Id> stacktrace_id;
  /// Innermost first. Empty where there is no stack trace, and where there is one without frames.
  std::vector<Frame> frames;
  /// Empty where it happened outside of traces, or the store does not keep that.
  std::optional<TraceTie> trace = std::nullopt;

  bool operator==(const EventRecord&) const = default;
};

/// A stack trace as it is stored, once for all events that have it.
struct StacktraceRecord {
  Id id = 0;
  /// Which frames these are: a store may give the id to another stack trace once this one is gone.
  Digest digest{};
  /// Innermost first.
  std::vector<Frame> frames = {};

  bool operator==(const StacktraceRecord&) const = default;
};

/// The events that share one stack trace and one exception type, most recent first among groups.
struct ExceptionGroup {
  Id stacktrace_id = 0;
  std::uint64_t count = 0;
  Time first;
  Time last;
  /// The event at `last`.
  Id last_event_id = 0;
  /// `exception.type` and `exception.message` of the event at `last`, of a crash without an exception
  /// `crash.signal` and `crash.reason`; NULL where it has none, as events of Code Wake for Python.
  std::optional<std::string> type;
  std::optional<std::string> message;
  /// The innermost frame; empty where the trace has no frames.
  std::optional<Frame> top_frame;

  /// Takes type, message and top frame from the event at `last`. Reentrant.
  CODEWAKE_API void describe_by(const EventRecord& event);

  bool operator==(const ExceptionGroup&) const = default;
};

}  // namespace codewake
