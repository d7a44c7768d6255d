#include "queue/sync_results.hpp"

#include <fmt/format.h>

namespace codewake::internal {
namespace {

constexpr std::chrono::milliseconds kLookInterval{100};

StoreError error_of(SyncResults::State state) {
  if (state == SyncResults::State::settled)
    return {StoreError::Kind::rejected, "the event was lost in the journal, which was damaged"};
  return {StoreError::Kind::unavailable,
          "the queue was shut down before the event was stored; it stays in the journal"};
}

}  // namespace

void SyncResults::tell(RecordPlace place, SyncResult result) {
  const std::lock_guard lock(mutex_);
  if (given_up_.erase(place) != 0) return;
  results_.insert_or_assign(place, std::move(result));
  changed_.notify_all();
}

void SyncResults::tell_all_unavailable(const std::string& problem) {
  const StoreError error(StoreError::Kind::unavailable,
                         fmt::format("not stored yet, it stays in the journal: {}", problem));
  const std::lock_guard lock(mutex_);
  for (const RecordPlace& place : waiting_)
    results_.try_emplace(place, SyncResult{.event_id = 0, .error = error});
  changed_.notify_all();
}

Id SyncResults::wait(RecordPlace place, const std::function<State()>& state) {
  std::unique_lock lock(mutex_);
  waiting_.insert(place);
  auto found = results_.end();
  while ((found = results_.find(place)) == results_.end()) {
    changed_.wait_for(lock, kLookInterval);
    // What is settled was told before.
    const State now = state();
    if (now == State::open || results_.contains(place)) continue;
    waiting_.erase(place);
    throw error_of(now);
  }
  const SyncResult result = std::move(found->second);
  results_.erase(found);
  waiting_.erase(place);
  if (!result.error) return result.event_id;
  // It will be tried again, and the result of that is for no thread.
  if (result.error->kind() == StoreError::Kind::unavailable) given_up_.insert(place);
  throw *result.error;
}

}  // namespace codewake::internal
