#include "codewake/testing/race_check.hpp"

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/store.hpp"

namespace codewake::testing {
namespace {

/// Keeps trace events, and nothing else.
class TraceMemory final : public Store {
 public:
  bool stores_trace_events() const noexcept override { return true; }

  void insert_trace_event(const TraceEventInput& event) override {
    const std::lock_guard lock(mutex_);
    TraceEventRecord& record = events_.emplace_back();
    static_cast<TraceEventHead&>(record) = event;
    record.row = static_cast<Id>(events_.size());
    record.when = now();
    std::vector<std::string_view> texts;
    TraceEventTexts<std::string_view>::for_each(event.texts,
                                                [&](std::string_view text) { texts.push_back(text); });
    auto next = texts.begin();
    TraceEventTexts<std::string>::for_each(record.texts, [&](std::string& text) { text = *next++; });
  }

  std::vector<TraceEventRecord> take() {
    const std::lock_guard lock(mutex_);
    return std::move(events_);
  }

  BatchResult write(const Batch&) override { return {}; }
  AppInserted insert_app(std::string_view, std::optional<std::string_view>) override { return {}; }
  std::optional<ProcessRecord> get_process_by_id(Id) override { return std::nullopt; }
  std::optional<EnvironmentRecord> get_environment_by_id(Id) override { return std::nullopt; }
  std::optional<AppRecord> get_app_by_id(Id) override { return std::nullopt; }
  std::optional<AppVersionRecord> get_app_vsn_by_id(Id) override { return std::nullopt; }
  std::optional<EventRecord> get_event_by_id(Id) override { return std::nullopt; }
  std::vector<AppRecord> get_apps() override { return {}; }
  std::vector<AppVersionRecord> get_app_vsns(Id) override { return {}; }
  std::vector<ProcessRecord> get_processes(const ProcessQuery&) override { return {}; }
  std::vector<EventRecord> get_events_by_data(const std::vector<Attribute>&, std::optional<Id>) override {
    return {};
  }
  EventPage get_events(const EventQuery&) override { return {}; }

 private:
  std::mutex mutex_;
  std::vector<TraceEventRecord> events_;
};

bool is_counted(const analysis::Finding& finding) {
  return finding.verdict != analysis::Verdict::potential_race;
}

std::string text_of(const analysis::RaceReport& report) {
  std::string text;
  for (const analysis::Finding& finding : report.findings) {
    if (is_counted(finding)) text += (text.empty() ? "" : "\n\n") + describe(finding);
  }
  return text;
}

}  // namespace

RacesFound::RacesFound(analysis::RaceReport report)
    : std::runtime_error(text_of(report)), report_(std::move(report)) {}

analysis::RaceReport check_races(const std::function<void(Tracer&)>& program) {
  const auto memory = std::make_shared<TraceMemory>();
  Tracer tracer(memory, {.service_name = "race_check", .environment = "test"});
  {
    const Scope scope(tracer);
    program(tracer);
  }
  const std::vector<TraceEventRecord> events = memory->take();
  return analysis::find_races(events);
}

analysis::RaceReport check_races(const std::function<void()>& program) {
  return check_races([&](Tracer&) { program(); });
}

void expect_no_races(const std::function<void(Tracer&)>& program) {
  analysis::RaceReport report = check_races(program);
  if (std::any_of(report.findings.begin(), report.findings.end(), is_counted))
    throw RacesFound(std::move(report));
}

void expect_no_races(const std::function<void()>& program) {
  expect_no_races([&](Tracer&) { program(); });
}

}  // namespace codewake::testing
