#include "trace_reading.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>

#include "codewake/errors.hpp"
#include "codewake/time.hpp"
#include "codewake/visible.hpp"
#include "command.hpp"
#include "progress.hpp"
#include "slices.hpp"

namespace codewake::cli {
namespace {

constexpr std::size_t kPage = 10'000;

/// How many there are in the query's time. Empty where the store cannot count them.
std::optional<std::uint64_t> count(Store& store, const TraceEventQuery& query) {
  try {
    const std::uint64_t all = store.count_older(query.to.value_or(now())).trace_events;
    return query.from ? all - store.count_older(*query.from).trace_events : all;
  } catch (const StoreError& error) {
    if (error.kind() != StoreError::Kind::rejected) throw;
    return std::nullopt;
  }
}

}  // namespace

TraceId to_trace_id(const std::string& text) {
  const auto id = parse_trace_id(text);
  if (id) return *id;
  throw UsageError(fmt::format("'{}' is no trace id; write its 32 hexadecimal digits, with or without dashes",
                               visible(text)));
}

void complain_of_missing(const TraceId& id) {
  complain(fmt::format("there is no trace {}; 'codewake traces' lists those there are", to_hex(id)));
}

std::vector<TraceEventRecord> read_trace_events(Store& store, const TraceId& id) {
  std::vector<TraceEventRecord> events;
  TraceEventQuery query{.trace_id = id, .limit = kPage};
  do {
    TraceEventPage page = store.get_trace_events(query);
    std::ranges::move(page.events, std::back_inserter(events));
    query.cursor = std::move(page.next);
  } while (!query.cursor.empty());
  return events;
}

void for_each_trace_event(Store& store, TraceEventQuery query,
                          const std::function<void(TraceEventRecord&)>& visit) {
  query.limit = kPage;
  Progress progress;
  // Counting takes a while; only who looks at the bar has a use for it.
  std::optional<std::uint64_t> all;
  if (progress.is_shown() && !query.trace_id) all = count(store, query);
  std::uint64_t done = 0;
  do {
    if (progress.is_shown()) {
      progress.show(all ? bar(done, *all, "trace events") : fmt::format("{} trace events", done));
    }
    TraceEventPage page = store.get_trace_events(query);
    for (TraceEventRecord& event : page.events) visit(event);
    done += page.events.size();
    query.cursor = std::move(page.next);
  } while (!query.cursor.empty());
}

}  // namespace codewake::cli
