#include "queue/thread_lanes.hpp"

#include <pthread.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace codewake::internal {

constinit thread_local ThreadLane thread_lane;

namespace {

struct Held {
  // Keeps the journal's memory there as long as this thread may write to it.
  std::shared_ptr<LiveJournal> journal;
  Lane* lane;
};

using Lanes = std::vector<Held>;

// Runs after the destructors of the thread's own thread_local objects, which may log; whatever logs even
// later takes a lane anew, and this runs again.
void give_back(void* pointer) {
  const std::unique_ptr<Lanes> lanes(static_cast<Lanes*>(pointer));
  thread_lane = {};
  for (const Held& held : *lanes) held.journal->release_lane(*held.lane);
}

pthread_key_t lanes_key() {
  static const pthread_key_t key = [] {
    pthread_key_t made{};
    // Without a key, lanes of ended threads are not used again; nothing else depends on it.
    pthread_key_create(&made, &give_back);
    return made;
  }();
  return key;
}

}  // namespace

Lane* lane_in(const std::shared_ptr<LiveJournal>& journal) {
  auto* lanes = static_cast<Lanes*>(pthread_getspecific(lanes_key()));
  if (lanes == nullptr) {
    auto made = std::make_unique<Lanes>();
    if (pthread_setspecific(lanes_key(), made.get()) != 0) return nullptr;
    lanes = made.release();
  }
  const auto held =
      std::find_if(lanes->begin(), lanes->end(), [&](const Held& h) { return h.journal == journal; });
  if (held != lanes->end()) return held->lane;
  thread_lane =
      {};  // it may lie in a journal that goes now, and the caller need not put another in its place
  std::erase_if(*lanes, [](const Held& h) { return h.journal->is_closed(); });
  Lane* const lane = journal->acquire_lane();
  if (lane != nullptr) lanes->push_back({journal, lane});
  return lane;
}

void forget_thread_lanes() noexcept {
  thread_lane = {};
  // Not deleted: the journals are the parent's, and whoever has a copy of them left them as they were.
  pthread_setspecific(lanes_key(), nullptr);
}

}  // namespace codewake::internal
