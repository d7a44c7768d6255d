#include "lock_usage.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "codewake/time.hpp"
namespace codewake::analysis {
namespace {

constexpr std::uint32_t kNone = ~std::uint32_t{0};

/// Between two moments in nanoseconds since the epoch; none where they are the other way around.
std::chrono::nanoseconds from_to(std::int64_t from, std::int64_t to) noexcept {
  using std::chrono::nanoseconds;
  return std::max(saturated_difference(Time(nanoseconds(to)), Time(nanoseconds(from))), nanoseconds(0));
}

/// One lock while its events pass by, in the order of time.
class Watched {
 public:
  Watched(const History& history, LockUsage& usage) : history_(history), usage_(usage) {}

  /// `before`: what the execution did before; none, where it began with it.
  void take(std::uint32_t number, std::uint32_t before) {
    const Happened& event = history_.events[number];
    ++usage_.taken;
    executions_.insert(event.execution);
    usage_.executions = executions_.size();
    const bool is_shared = is_shared_at(event);
    if (is_shared) ++usage_.taken_shared;
    if (let_go_ && let_go_->execution != event.execution && before != kNone) {
      // It came for the lock at some time after what it did before.
      const std::int64_t came = std::max(history_.events[before].when, let_go_->taken);
      if (history_.events[before].when < let_go_->when && !(is_shared && let_go_->is_shared)) {
        ++usage_.contended;
        usage_.waited = saturated_sum(usage_.waited, from_to(came, event.when));
      }
    }
    holders_[event.execution] = number;
  }

  void let_go(std::uint32_t number) {
    const Happened& event = history_.events[number];
    const auto holder = holders_.find(event.execution);
    if (holder == holders_.end()) return;  // it was taken before what is known
    const Happened& taken = history_.events[holder->second];
    const std::chrono::nanoseconds held = from_to(taken.when, event.when);
    usage_.held = saturated_sum(usage_.held, held);
    if (held >= usage_.longest) {
      usage_.longest = held;
      usage_.longest_place = taken.place;
    }
    let_go_ = LetGo{event.execution, taken.when, event.when, is_shared_at(taken)};
    holders_.erase(holder);
  }

 private:
  struct LetGo {
    std::uint32_t execution = 0;
    std::int64_t taken = 0, when = 0;
    bool is_shared = false;
  };

  bool is_shared_at(const Happened& event) const {
    return std::ranges::any_of(history_.lock_sets[event.lock_set], [&](const HeldLock& held) {
      return held.is_shared && lock_name(history_, held.lock) == history_.names.text_of(event.name);
    });
  }

  const History& history_;
  LockUsage& usage_;
  std::unordered_set<std::uint32_t> executions_;
  std::unordered_map<std::uint32_t, std::uint32_t> holders_;  // events, by execution
  std::optional<LetGo> let_go_;
};

}  // namespace

std::vector<LockUsage> lock_usage(const History& history) {
  std::vector<std::uint32_t> before(history.events.size(), kNone);
  std::vector<std::uint32_t> uses;
  for (std::uint32_t execution = 0; execution < history.executions.size(); ++execution) {
    std::uint32_t last = kNone;
    for (const std::uint32_t event : history.events_of(execution)) {
      before[event] = std::exchange(last, event);
      const TraceKind kind = history.events[event].kind;
      if (kind == TraceKind::lock_acquire || kind == TraceKind::lock_release) uses.push_back(event);
    }
  }
  std::stable_sort(uses.begin(), uses.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::pair(history.events[a].when, history.events[a].row) <
           std::pair(history.events[b].when, history.events[b].row);
  });
  using Key = std::tuple<Id, std::uint32_t, std::uint32_t, std::uint32_t>;
  std::map<Key, std::pair<LockUsage, std::unique_ptr<Watched>>> locks;
  for (const std::uint32_t number : uses) {
    const Happened& event = history.events[number];
    const ExecutionHistory& execution = history.executions[event.execution];
    auto& [usage, watched] = locks[{execution.process_id, execution.service, execution.instance, event.name}];
    if (watched == nullptr) {
      usage.lock = history.names.text_of(event.name);
      usage.service = history.services.text_of(execution.service);
      usage.instance = history.services.text_of(execution.instance);
      watched = std::make_unique<Watched>(history, usage);
    }
    if (event.kind == TraceKind::lock_acquire) {
      watched->take(number, before[number]);
    } else {
      watched->let_go(number);
    }
  }
  std::vector<LockUsage> usages;
  for (auto& [key, lock] : locks) usages.push_back(std::move(lock.first));
  std::stable_sort(usages.begin(), usages.end(), [](const LockUsage& a, const LockUsage& b) {
    return std::pair(a.waited, a.held) > std::pair(b.waited, b.held);
  });
  return usages;
}

}  // namespace codewake::analysis
