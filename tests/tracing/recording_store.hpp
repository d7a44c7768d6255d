// A store that keeps trace events as they come, for tests to look at.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/store.hpp"

namespace codewake::testing {

class RecordingStore final : public Store {
 public:
  RecordingStore() { set_last_process_id(1); }

  bool stores_trace_events() const noexcept override { return true; }

  BatchResult write(const Batch& batch) override {
    const std::lock_guard lock(mutex_);
    if (fails) throw StoreError(StoreError::Kind::unavailable, "switched off");
    for (const BatchTraceEvent& event : batch.trace_events) {
      TraceEventRecord& record = events_.emplace_back();
      static_cast<TraceEventHead&>(record) = event;
      record.row = static_cast<Id>(events_.size());
      record.when = event.when;
      std::vector<std::string_view> texts;
      TraceEventTexts<std::string_view>::for_each(event.texts,
                                                  [&](std::string_view text) { texts.push_back(text); });
      std::size_t number = 0;
      TraceEventTexts<std::string>::for_each(record.texts,
                                             [&](std::string& text) { text = texts[number++]; });
    }
    return {};
  }

  std::vector<TraceEventRecord> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }

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

  bool fails = false;

 private:
  mutable std::mutex mutex_;
  std::vector<TraceEventRecord> events_;
};

}  // namespace codewake::testing
