#include "reading.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "codewake/time.hpp"
#include "history_builder.hpp"

namespace codewake::analysis {
namespace {

/// Reads pages ahead on a thread of its own, while those before are taken in. Thread-bound.
class PageReader {
 public:
  PageReader(Store& store, TraceEventQuery query)
      : store_(store), query_(std::move(query)), thread_([this] { read(); }) {}
  PageReader(const PageReader&) = delete;
  PageReader& operator=(const PageReader&) = delete;
  ~PageReader() {
    {
      const std::lock_guard lock(mutex_);
      is_stopped_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  /// The next page; empty behind the last. Throws what the store threw.
  std::vector<TraceEventRecord> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !pages_.empty() || is_done_; });
    if (pages_.empty()) {
      if (failure_) std::rethrow_exception(failure_);
      return {};
    }
    std::vector<TraceEventRecord> page = std::move(pages_.front());
    pages_.pop_front();
    changed_.notify_all();
    return page;
  }

 private:
  static constexpr std::size_t kMostPages = 4;

  void read() {
    try {
      do {
        TraceEventPage page = store_.get_trace_events(query_);
        query_.cursor = std::move(page.next);
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return pages_.size() < kMostPages || is_stopped_; });
        if (is_stopped_) break;
        if (!page.events.empty()) pages_.push_back(std::move(page.events));
        changed_.notify_all();
      } while (!query_.cursor.empty());
    } catch (...) {
      failure_ = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    is_done_ = true;
    changed_.notify_all();
  }

  Store& store_;
  TraceEventQuery query_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::vector<TraceEventRecord>> pages_;
  bool is_stopped_ = false, is_done_ = false;
  std::exception_ptr failure_;
  std::thread thread_;  // last: it uses all of the others
};

}  // namespace

History read_history(Store& store, const RaceQuery& query, const OnProgress& on_progress) {
  constexpr std::size_t kPage = 4'096;
  HistoryBuilder builder;
  {
    PageReader reader(store,
                      {.trace_id = query.trace_id, .from = query.from, .to = query.to, .limit = kPage});
    auto last_word = std::chrono::steady_clock::now();
    for (auto page = reader.next(); !page.empty(); page = reader.next()) {
      for (const TraceEventRecord& event : page) builder.add(event);
      const auto now = std::chrono::steady_clock::now();
      if (on_progress && now - last_word >= std::chrono::milliseconds(200)) {
        on_progress(builder.events());
        last_word = now;
      }
    }
  }
  for (const Id id : builder.processes()) {
    if (const auto process = store.get_process_by_id(id)) builder.add(*process);
  }
  return builder.finish();
}

std::optional<TraceEventRecord> fetch(Store& store, const History& history, std::uint32_t number) {
  const Happened& event = history.events[number];
  const ExecutionHistory& execution = history.executions[event.execution];
  const Time when{std::chrono::nanoseconds(event.when)};
  TraceEventQuery query{
      .trace_id = execution.trace_id, .from = when, .to = saturated_sum(when, std::chrono::microseconds(1))};
  do {
    TraceEventPage page = store.get_trace_events(query);
    for (TraceEventRecord& record : page.events) {
      if (record.row == event.row) return std::move(record);
    }
    query.cursor = std::move(page.next);
  } while (!query.cursor.empty());
  return std::nullopt;
}

}  // namespace codewake::analysis
