#include "perfetto.hpp"

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "describe_trace.hpp"

namespace codewake::cli {
namespace {

double microseconds(Time when) {
  return std::chrono::duration<double, std::micro>(when.time_since_epoch()).count();
}

class Writer {
 public:
  explicit Writer(const TraceTree& tree) : tree_(tree) {}

  Json write() {
    for (std::size_t i = 0; i < tree_.executions().size(); ++i) write_execution(i);
    return {
        {"displayTimeUnit", "ms"},
        {"otherData", {{"trace_id", tree_.events().empty() ? "" : to_hex(tree_.events().front().trace_id)}}},
        {"traceEvents", std::move(events_)}};
  }

 private:
  // What has begun and not yet ended: its kind and name, and when.
  struct Open {
    TraceKind ends_with;
    std::string name;
    const TraceEventRecord* begin;
  };

  void write_execution(std::size_t number) {
    const TraceExecution& execution = tree_.executions()[number];
    pid_ = pid_of(execution);
    tid_ = number + 1;
    add("M", "thread_name", 0, {{"args", {{"name", execution.name.empty() ? "logged" : execution.name}}}});
    std::vector<Open> open;
    for (const TraceEntry& entry : execution.entries) {
      if (entry.traced == nullptr) {
        instant(describe_entry(entry), entry);
      } else if (const auto ends_with = end_of(entry.traced->kind)) {
        open.push_back({*ends_with, entry.traced->texts.name, entry.traced});
      } else if (!close(open, *entry.traced)) {
        instant(describe_entry(entry), entry);
      }
    }
    for (const Open& left : open) instant(describe_entry({.traced = left.begin}), {.traced = left.begin});
    if (execution.parent) write_arrow(execution, number);
  }

  static std::optional<TraceKind> end_of(TraceKind kind) {
    if (kind == TraceKind::http_request) return TraceKind::http_response;
    if (kind == TraceKind::function_call) return TraceKind::function_return;
    if (kind == TraceKind::lock_acquire) return TraceKind::lock_release;
    return std::nullopt;
  }

  bool close(std::vector<Open>& open, const TraceEventRecord& event) {
    for (std::size_t i = open.size(); i-- > 0;) {
      const bool has_name = event.kind == TraceKind::http_response || open[i].name == event.texts.name;
      if (open[i].ends_with != event.kind || !has_name) continue;
      const double began = microseconds(open[i].begin->when);
      Json args = args_of(*open[i].begin);
      args["end"] = describe_entry({.traced = &event});
      add("X", describe_entry({.traced = open[i].begin}), began,
          {{"dur", microseconds(event.when) - began}, {"args", std::move(args)}});
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(i));
      return true;
    }
    return false;
  }

  // From the event that began the execution, or from the parent's last one before, to its first.
  void write_arrow(const TraceExecution& execution, std::size_t number) {
    const TraceExecution& parent = tree_.executions()[*execution.parent];
    const TraceEntry* from = &parent.entries.front();
    for (const TraceEntry& entry : parent.entries) {
      const bool is_it = entry.traced != nullptr && entry.traced->id == execution.begun_by;
      if (is_it || entry.when() <= execution.first()) from = &entry;
      if (is_it) break;
    }
    const std::size_t id = number + 1;
    const std::pair<std::size_t, std::size_t> here{pid_, tid_};
    pid_ = pid_of(parent);
    tid_ = *execution.parent + 1;
    add("s", "begins", microseconds(from->when()), {{"id", id}, {"cat", "begins"}});
    std::tie(pid_, tid_) = here;
    add("f", "begins", microseconds(execution.first()), {{"id", id}, {"cat", "begins"}, {"bp", "e"}});
  }

  void instant(const std::string& name, const TraceEntry& entry) {
    add("i", name, microseconds(entry.when()),
        {{"s", "t"}, {"args", entry.traced != nullptr ? args_of(*entry.traced) : Json::object()}});
  }

  static Json args_of(const TraceEventRecord& event) {
    Json args = {{"kind", to_string(event.kind)}, {"where", place_of(event)}, {"clock", event.texts.clock}};
    if (event.texts.locks != "[]") args["locks"] = event.texts.locks;
    if (!event.texts.data.empty()) args["data"] = event.texts.data;
    return args;
  }

  std::size_t pid_of(const TraceExecution& execution) {
    const std::string name =
        execution.service.empty() ? "logged" : execution.service + "#" + execution.instance;
    const auto [known, added] = pids_.try_emplace(name, pids_.size() + 1);
    if (added) {
      events_.push_back(
          {{"ph", "M"}, {"name", "process_name"}, {"pid", known->second}, {"args", {{"name", name}}}});
    }
    return known->second;
  }

  void add(const char* phase, const std::string& name, double at, Json more) {
    Json event = {{"ph", phase}, {"name", name}, {"pid", pid_}, {"tid", tid_}, {"ts", at}};
    event.update(more);
    events_.push_back(std::move(event));
  }

  const TraceTree& tree_;
  std::map<std::string, std::size_t> pids_;
  std::size_t pid_ = 0, tid_ = 0;
  Json events_ = Json::array();
};

}  // namespace

Json to_perfetto(const TraceTree& tree) {
  return Writer(tree).write();
}

}  // namespace codewake::cli
