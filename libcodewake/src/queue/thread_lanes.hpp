// Which lanes the calling thread has, and what becomes of them when it ends.
#pragma once

#include <cstdint>
#include <memory>

#include "journal/lane.hpp"
#include "journal/live_journal.hpp"

namespace codewake::internal {

/// The lane that the calling thread used last, looked at without a call.
struct ThreadLane {
  std::uint64_t epoch = 0;  ///< of the queue that it is of: see Queue::epoch_
  Lane* lane = nullptr;
  RecordContext context = {};
};

// The model makes an access as cheap as that of a global variable. It takes room that a program has little of
// for libraries that are opened later: so much as this there is.
extern constinit thread_local ThreadLane thread_lane __attribute__((tls_model("initial-exec")));

/// The thread's lane in this journal; taken from there at the first call. Null where there is none to be had.
/// It goes back when the thread ends.
Lane* lane_in(const std::shared_ptr<LiveJournal>& journal);

/// In the child of a fork(): none of the lanes is its.
void forget_thread_lanes() noexcept;

}  // namespace codewake::internal
