// What the checks of the conformance suite are written with. Include store_conformance.hpp instead.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/digest.hpp"
#include "codewake/errors.hpp"
#include "codewake/event.hpp"
#include "codewake/frame.hpp"
#include "codewake/records.hpp"
#include "codewake/stacktrace.hpp"
#include "codewake/store.hpp"
#include "codewake/time.hpp"
#include "codewake/trace_context.hpp"
#include "codewake/trace_event.hpp"

namespace codewake::testing {

/// The storage of one test case, and in what the store on it may differ. A store that keeps the whole
/// contract needs `open` alone. What `open` captures lives as long as the test case: a temporary folder, a
/// database made for it.
struct Storage {
  /// Makes a store object on this storage, which is empty at the first call. Called again for a second client
  /// while the first lives, and after all are gone, to see what is still there.
  std::function<std::shared_ptr<Store>()> open;

  /// False: the storage is within the store object (`:memory:`), and `open` is called once.
  bool reopens = true;

  /// False: `write` does not remember journal positions (Store's defaults of get_positions and
  /// forget_positions).
  bool remembers_positions = true;

  /// False: the store cannot remove what is old (Store's defaults of remove_older and count_older).
  bool removes = true;

  /// False: the store cannot give stack traces other frames (Store's defaults of get_stacktraces_to_symbolize
  /// and what belongs to it).
  bool replaces_frames = true;

  /// Makes the storage refuse every later event that has this key among its attributes, from within (a
  /// trigger, a constraint, a fault): so the suite sees a batch fail halfway. The key is a plain word. Empty:
  /// that check is skipped.
  std::function<void(std::string_view key)> refuse_key = nullptr;
};

}  // namespace codewake::testing

namespace codewake::testing::conformance {

// ── what differed, in words ──

/// Text between quotes, unprintable bytes as \xHH, at most `limit` bytes of it.
inline std::string shown(std::string_view text, std::size_t limit = 120) {
  std::string result = "\"";
  for (const char c : text.substr(0, limit)) {
    if (c >= ' ' && c < 0x7f) {
      result += c;
      continue;
    }
    char buffer[5];
    std::snprintf(buffer, sizeof buffer, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    result += buffer;
  }
  result += "\"";
  if (text.size() > limit) result += "… (" + std::to_string(text.size()) + " bytes)";
  return result;
}
inline std::string shown(const std::string& text) {
  return shown(std::string_view(text));
}
inline std::string shown(bool value) {
  return value ? "true" : "false";
}
inline std::string shown(Time time) {
  return format_time(time);
}
inline std::string shown(const Digest& digest) {
  return to_hex(digest);
}
inline std::string shown(const TraceId& id) {
  return to_hex(id);
}
inline std::string shown(const SpanId& id) {
  return to_hex(id);
}
inline std::string shown(const TraceTie& tie) {
  return to_hex(tie.trace_id) + " " + to_hex(tie.span_id);
}
inline std::string shown(const TraceEventId& id) {
  return to_uuid(id);
}
inline std::string shown(TraceKind kind) {
  return std::string(to_string(kind));
}
inline std::string shown(Access access) {
  return std::string(to_string(access));
}
inline std::string shown(std::chrono::nanoseconds duration) {
  return std::to_string(duration.count()) + " ns";
}
template <std::integral I>
requires(!std::same_as<I, bool>) std::string shown(I number) {
  return std::to_string(number);
}

template <class T>
std::string difference(const T& actual, const std::type_identity_t<T>& expected);

/// Collects the fields that differ.
class Differences {
 public:
  template <class T>
  Differences& field(std::string_view name, const T& actual, const T& expected) {
    if (actual == expected) return *this;
    if (!text_.empty()) text_ += "; ";
    text_ += name;
    text_ += ": " + difference(actual, expected);
    return *this;
  }
  std::string text() const { return text_; }

 private:
  std::string text_;
};

template <class T>
std::string explain(const T& actual, const T& expected) {
  return "got " + shown(actual) + ", expected " + shown(expected);
}

inline std::string explain(const std::string& actual, const std::string& expected) {
  std::size_t at = 0;
  while (at < actual.size() && at < expected.size() && actual[at] == expected[at]) ++at;
  const std::size_t from = at < 40 ? 0 : at - 20;
  const std::string where = from == 0 ? ""
                                      : " (" + std::to_string(actual.size()) + " and " +
                                            std::to_string(expected.size()) + " bytes, from byte " +
                                            std::to_string(from) + ")";
  const auto part = [&](const std::string& s) {
    return shown(std::string_view(s).substr(std::min(from, s.size())));
  };
  return "got " + part(actual) + ", expected " + part(expected) + where;
}

template <class T>
std::string explain(const std::optional<T>& actual, const std::optional<T>& expected) {
  if (actual && expected) return difference(*actual, *expected);
  return actual ? "got a value, expected nothing" : "got nothing, expected a value";
}

template <class T>
std::string explain(const std::vector<T>& actual, const std::vector<T>& expected) {
  std::string result;
  if (actual.size() != expected.size()) {
    result = "got " + std::to_string(actual.size()) + " of them, expected " + std::to_string(expected.size());
  }
  for (std::size_t i = 0; i < actual.size() && i < expected.size(); ++i) {
    if (actual[i] == expected[i]) continue;
    if (!result.empty()) result += "; ";
    return result + "[" + std::to_string(i) + "] " + difference(actual[i], expected[i]);
  }
  return result;
}

inline std::string explain(const EnvironmentRecord& a, const EnvironmentRecord& e) {
  return Differences().field("environment.id", a.id, e.id).field("environment.name", a.name, e.name).text();
}
inline std::string explain(const AppRecord& a, const AppRecord& e) {
  return Differences().field("app.id", a.id, e.id).field("app.name", a.name, e.name).text();
}
inline std::string explain(const AppVersionRecord& a, const AppVersionRecord& e) {
  return Differences()
      .field("app_vsn.id", a.id, e.id)
      .field("app_vsn.vsn", a.vsn, e.vsn)
      .field("app_vsn.app_id", a.app_id, e.app_id)
      .text();
}
inline std::string explain(const AppInserted& a, const AppInserted& e) {
  return Differences().field("app", a.app, e.app).field("app_vsn", a.app_vsn, e.app_vsn).text();
}
inline std::string explain(const ProcessRecord& a, const ProcessRecord& e) {
  return Differences()
      .field("id", a.id, e.id)
      .field("run_ts", a.run_ts, e.run_ts)
      .field("environment", a.environment, e.environment)
      .field("pid", a.pid, e.pid)
      .field("username", a.username, e.username)
      .field("fqdn", a.fqdn, e.fqdn)
      .field("exe_path", a.exe_path, e.exe_path)
      .field("app", a.app, e.app)
      .field("app_vsn", a.app_vsn, e.app_vsn)
      .text();
}
inline std::string explain(const Attribute& a, const Attribute& e) {
  return Differences().field("key", a.key, e.key).field("value", a.value, e.value).text();
}
inline std::string explain(const Attributes& a, const Attributes& e) {
  return difference(std::vector<Attribute>(a.begin(), a.end()), std::vector<Attribute>(e.begin(), e.end()));
}
inline std::string explain(const Frame& a, const Frame& e) {
  return Differences()
      .field("filename", a.filename, e.filename)
      .field("lineno", a.lineno, e.lineno)
      .field("src", a.src, e.src)
      .field("function", a.function, e.function)
      .field("module", a.module, e.module)
      .field("build_id", a.build_id, e.build_id)
      .field("offset", a.offset, e.offset)
      .text();
}
inline std::string explain(const EventRecord& a, const EventRecord& e) {
  return Differences()
      .field("id", a.id, e.id)
      .field("when", a.when, e.when)
      .field("process_id", a.process_id, e.process_id)
      .field("digest", a.digest, e.digest)
      .field("data", a.data, e.data)
      .field("stacktrace_id", a.stacktrace_id, e.stacktrace_id)
      .field("frames", a.frames, e.frames)
      .field("trace", a.trace, e.trace)
      .text();
}
template <class Text>
std::string explain(const TraceEventTexts<Text>& a, const TraceEventTexts<Text>& e) {
  return Differences()
      .field("service", a.service, e.service)
      .field("instance", a.instance, e.instance)
      .field("environment", a.environment, e.environment)
      .field("execution", a.execution, e.execution)
      .field("thread", a.thread, e.thread)
      .field("name", a.name, e.name)
      .field("file", a.file, e.file)
      .field("data", a.data, e.data)
      .field("clock", a.clock, e.clock)
      .field("locks", a.locks, e.locks)
      .text();
}
inline std::string explain(const TraceEventRecord& a, const TraceEventRecord& e) {
  return Differences()
      .field("row", a.row, e.row)
      .field("process_id", a.process_id, e.process_id)
      .field("when", a.when, e.when)
      .field("kind", a.kind, e.kind)
      .field("access", a.access, e.access)
      .field("id", a.id, e.id)
      .field("trace_id", a.trace_id, e.trace_id)
      .field("span_id", a.span_id, e.span_id)
      .field("upstream_span_id", a.upstream_span_id, e.upstream_span_id)
      .field("parent_id", a.parent_id, e.parent_id)
      .field("step", a.step, e.step)
      .field("duration", a.duration, e.duration)
      .field("line", a.line, e.line)
      .field("texts", a.texts, e.texts)
      .text();
}
inline std::string explain(const TraceSummary& a, const TraceSummary& e) {
  return Differences()
      .field("trace_id", a.trace_id, e.trace_id)
      .field("first", a.first, e.first)
      .field("last", a.last, e.last)
      .field("events", a.events, e.events)
      .field("errors", a.errors, e.errors)
      .field("executions", a.executions, e.executions)
      .field("services", a.services, e.services)
      .field("root", a.root, e.root)
      .text();
}
inline std::string explain(const ExceptionGroup& a, const ExceptionGroup& e) {
  return Differences()
      .field("stacktrace_id", a.stacktrace_id, e.stacktrace_id)
      .field("count", a.count, e.count)
      .field("first", a.first, e.first)
      .field("last", a.last, e.last)
      .field("last_event_id", a.last_event_id, e.last_event_id)
      .field("type", a.type, e.type)
      .field("message", a.message, e.message)
      .field("top_frame", a.top_frame, e.top_frame)
      .text();
}
inline std::string explain(const Removed& a, const Removed& e) {
  return Differences()
      .field("events", a.events, e.events)
      .field("trace_events", a.trace_events, e.trace_events)
      .field("stacktraces", a.stacktraces, e.stacktraces)
      .field("processes", a.processes, e.processes)
      .text();
}
inline std::string explain(const StacktraceRecord& a, const StacktraceRecord& e) {
  return Differences()
      .field("id", a.id, e.id)
      .field("digest", a.digest, e.digest)
      .field("frames", a.frames, e.frames)
      .text();
}
inline std::string explain(const FramesReplaced& a, const FramesReplaced& e) {
  return Differences().field("replaced", a.replaced, e.replaced).field("merged", a.merged, e.merged).text();
}
inline std::string explain(const StoredPosition& a, const StoredPosition& e) {
  return Differences()
      .field("segment", a.segment, e.segment)
      .field("position", a.position, e.position)
      .field("process_id", a.process_id, e.process_id)
      .text();
}

/// What differs, in words; empty where nothing does.
template <class T>
std::string difference(const T& actual, const std::type_identity_t<T>& expected) {
  return actual == expected ? std::string() : explain(actual, expected);
}

/// Checks that both are equal, and says what differs where they are not. The second may contain commas.
#define CODEWAKE_CONFORMANCE_SAME(actual, ...)                                             \
  do {                                                                                     \
    const std::string codewake_difference =                                                \
        ::codewake::testing::conformance::difference((actual), __VA_ARGS__);               \
    DOCTEST_CHECK_MESSAGE(codewake_difference.empty(), #actual ": ", codewake_difference); \
  } while (false)

/// What a call throws, in words: `nothing`, the kind of a StoreError, or what else came.
template <class F>
std::string thrown_by(F&& call) {
  try {
    std::forward<F>(call)();
  } catch (const StoreError& error) {
    return std::string(to_string(error.kind()));
  } catch (const std::exception& error) {
    return std::string("something that is no StoreError: ") + error.what();
  }
  return "nothing";
}

/// Says that the case does not apply to the store, on a line of its own that a script can count.
inline void skip(const char* reason) {
  std::printf("SKIPPED: %s: %s\n", doctest::getContextOptions()->currentTest->m_name, reason);
  std::fflush(stdout);
}

// ── what is written ──

using Arguments = std::initializer_list<AttributeArgument>;

/// So many microseconds after a fixed moment: an age in which no test runs.
inline Time at(std::int64_t microseconds) {
  return Time(std::chrono::seconds(1'700'000'000)) + std::chrono::microseconds(microseconds);
}

inline ProcessInfo process_info(std::string app_name = "shop") {
  ProcessInfo info;
  info.run_ts = at(0);
  info.app_name = std::move(app_name);
  return info;
}

inline Id add_process(Store& store, const ProcessInfo& info = process_info()) {
  const auto record = store.insert_process(info, true);
  DOCTEST_REQUIRE_MESSAGE(record.has_value(), "insert_process with sync answers with the record");
  return record->id;
}

/// An event with everything said of it; `data` empty means an empty list.
inline EventRecord add_event(Store& store, Id process_id, std::span<const AttributeArgument> data,
                             Time when = at(0), const Stacktrace* stacktrace = nullptr) {
  const auto record = store.insert_event({process_id, data, when, stacktrace}, true);
  DOCTEST_REQUIRE_MESSAGE(record.has_value(), "insert_event with sync answers with the record");
  return *record;
}
inline EventRecord add_event(Store& store, Id process_id, Arguments data, Time when = at(0),
                             const Stacktrace* stacktrace = nullptr) {
  return add_event(store, process_id, std::span(data.begin(), data.size()), when, stacktrace);
}

inline std::vector<AttributeView> views_of(const Attributes& data) {
  std::vector<AttributeView> views;
  for (const Attribute& attribute : data) views.push_back(attribute.view());
  return views;
}

inline Digest digest_of_data(const Attributes& data) {
  return digest_of(std::span<const AttributeView>(views_of(data)));
}

/// The record that an event with these attributes must have become.
inline EventRecord expected_event(const EventRecord& actual, Id process_id, const Attributes& data,
                                  Time when = at(0)) {
  EventRecord expected;
  expected.id = actual.id;
  expected.when = when;
  expected.process_id = process_id;
  expected.digest = digest_of_data(data);
  expected.data = data;
  return expected;
}

inline Frame frame(std::string function, std::uint32_t lineno = 1) {
  Frame frame;
  frame.filename = "src/" + function + ".cpp";
  frame.lineno = lineno;
  frame.src = function + "();";
  frame.function = std::move(function);
  return frame;
}

/// A batch together with what it borrows.
class BatchOfItsOwn {
 public:
  std::uint32_t process(Id id) {
    processes_.push_back({id, nullptr});
    return static_cast<std::uint32_t>(processes_.size() - 1);
  }
  std::uint32_t process(ProcessInfo info) {
    processes_.push_back({0, &infos_.emplace_back(std::move(info))});
    return static_cast<std::uint32_t>(processes_.size() - 1);
  }
  void event(std::uint32_t process, Attributes data, Time when, const Stacktrace* stacktrace = nullptr) {
    const auto& views = views_.emplace_back(views_of(data_.emplace_back(std::move(data))));
    events_.push_back({process, when, true, views, stacktrace});
  }
  void position(std::string segment, std::uint64_t position, std::uint32_t process, std::uint64_t noted = 0) {
    positions_.push_back({segments_.emplace_back(std::move(segment)), position, process, noted});
  }
  /// Its row and process id mean nothing.
  void trace_event(std::uint32_t process, TraceEventRecord event) {
    const TraceEventRecord& held = held_.emplace_back(std::move(event));
    const auto& t = held.texts;
    trace_events_.push_back({{held},
                             process,
                             held.when,
                             {t.service, t.instance, t.environment, t.execution, t.thread, t.name, t.file,
                              t.data, t.clock, t.locks}});
  }
  /// Ties the event that was added last.
  void tie(const TraceTie& trace) { events_.back().trace = trace; }
  BatchResult write_to(Store& store) const {
    return store.write(
        {.processes = processes_, .events = events_, .trace_events = trace_events_, .positions = positions_});
  }

 private:
  std::vector<BatchProcess> processes_;
  std::vector<BatchEvent> events_;
  std::vector<BatchTraceEvent> trace_events_;
  std::vector<JournalPosition> positions_;
  std::deque<ProcessInfo> infos_;
  std::deque<Attributes> data_;
  std::deque<std::vector<AttributeView>> views_;
  std::deque<TraceEventRecord> held_;
  std::deque<std::string> segments_;
};

// ── what is read ──

inline std::vector<Id> ids_of(const std::vector<EventRecord>& events) {
  std::vector<Id> ids;
  for (const EventRecord& event : events) ids.push_back(event.id);
  return ids;
}

inline std::vector<Id> ids_of(const std::vector<ProcessRecord>& processes) {
  std::vector<Id> ids;
  for (const ProcessRecord& process : processes) ids.push_back(process.id);
  return ids;
}

/// Runs `work(0)` to `work(count - 1)` in a thread each; the result is what they threw, in words, empty where
/// nothing.
inline std::string in_threads(int count, const std::function<void(int)>& work) {
  std::vector<std::string> problems(static_cast<std::size_t>(count));
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      try {
        work(i);
      } catch (const std::exception& error) {
        problems[static_cast<std::size_t>(i)] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::string result;
  for (const std::string& problem : problems) result += problem.empty() ? "" : problem + "; ";
  return result;
}

/// Text that means something to SQL, to LIKE, to a shell or to a printf, and nothing to a store.
inline constexpr std::array<std::string_view, 22> kAwkwardTexts = {
    "'", "''", "\"", "`",    "%",    "_",  "\\",     "\\'",    ";",    "--",  "/* x */",
    "#", "?",  "$1", ":key", "%s%n", "{}", "[a-z]*", "\t\r\n", "NULL", "007", "'); DROP TABLE events; --"};

}  // namespace codewake::testing::conformance
