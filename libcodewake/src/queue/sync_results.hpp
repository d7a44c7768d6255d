// What has become of the records that somebody waits for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "codewake/errors.hpp"
#include "codewake/records.hpp"

namespace codewake::internal {

/// Where a record lies in the journal.
struct RecordPlace {
  std::uint32_t lane = 0;
  std::uint64_t position = 0;

  auto operator<=>(const RecordPlace&) const = default;
};

struct SyncResult {
  Id event_id = 0;
  std::optional<StoreError> error;
};

/// Thread-safe.
class SyncResults {
 public:
  /// Of a record that is stored, or refused.
  void tell(RecordPlace place, SyncResult result);

  /// To all that wait: their records cannot be stored now.
  void tell_all_unavailable(const std::string& problem);

  enum class State {
    open,     ///< the record lies in the journal
    settled,  ///< it was told, if it was ever going to be
    ended     ///< it is stored by no thread of this run any more
  };

  /// Blocks until there is a result; `state` is asked now and then. Throws StoreError where the record is not
  /// stored.
  Id wait(RecordPlace place, const std::function<State()>& state);

  void lock_for_fork() { mutex_.lock(); }
  void unlock_after_fork() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<RecordPlace, SyncResult> results_;
  std::set<RecordPlace> waiting_;   // somebody waits for its result
  std::set<RecordPlace> given_up_;  // its result is for no thread any more
};

}  // namespace codewake::internal
