// The journal of this run: threads write into lanes, one consumer reads them in the order of time, and a
// keeper provides memory and moves to disk what must not stay in memory.
//
// A lane is one long stream of bytes with positions from 0 on. Whether a piece of it lies in a slot of the
// front or in a block of the spill makes no difference to its positions, and a store remembers positions: so
// nothing is stored twice, wherever it lies, and however often it is copied.
//
// Locks, in the order in which they are taken: `common_mutex_` (who writes to the common lane),
// `consume_mutex_` (reading, storing, spilling: may be held during a write to the disk), `slots_mutex_` (who
// has which slot: held for a moment).
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/folder.hpp"
#include "base/tick_clock.hpp"
#include "codewake/event.hpp"
#include "journal/account.hpp"
#include "journal/front.hpp"
#include "journal/lane.hpp"
#include "journal/record_scanner.hpp"
#include "journal/run_folder.hpp"
#include "journal/spill.hpp"

namespace codewake::internal {

struct JournalOptions {
  std::filesystem::path folder = {};
  /// It was not configured: then it serves only where no other user could have prepared it.
  bool is_default_folder = false;
  bool in_memory = false;  ///< no files at all: what is accepted is gone with the process
  std::uint64_t limit_bytes = 1u << 30;
  bool block_when_full = false;
  /// Called where a writer is about to wait for room; must not block, nor call back.
  std::function<void()> on_pressure = [] {};
  std::uint32_t slot_count = affordable_slots();
  RunAbout about = {};
};

/// What became of an event.
enum class Accepted {
  yes,
  full,       ///< the journal is, and is configured to drop
  too_large,  ///< four gigabytes, or more than the journal may take
  failed,     ///< its storage failed
  closed,
};

/// A record that the consumer takes, with the moment that it was written.
struct TakenRecord : Record {
  Time time = {};
};

/// A lane's name and a place in it.
struct LanePosition {
  std::uint32_t lane = 0;
  std::uint64_t position = 0;
};

class LiveJournal {
 public:
  /// Makes the run's folders. What cannot be had is done without (see `problem`); throws std::system_error
  /// only where there is no memory.
  explicit LiveJournal(JournalOptions options);
  ~LiveJournal();
  LiveJournal(const LiveJournal&) = delete;
  LiveJournal& operator=(const LiveJournal&) = delete;

  const std::string& run() const noexcept { return options_.about.run; }
  const RunAbout& about() const noexcept { return options_.about; }
  TickSource ticks() const noexcept { return ticks_; }

  // ── writers ──

  /// A lane for the calling thread; null where there are no more: `append_common` then.
  Lane* acquire_lane();
  void release_lane(Lane& lane) noexcept;

  /// The way of an EventInput or TraceEventInput that `append_event` has refused: into another slot, or a
  /// file of its own. Does not wait: where there is no slot for the lane, `append_common` may still have
  /// room. `position` is told where the record begins.
  template <class Event = EventInput>
  Accepted append(Lane& lane, const Event& event, RecordContext context, std::uint64_t& position);

  /// For a thread that has no lane, or whose lane has no room. Blocks while another writes there. Without
  /// room it waits as `block_when_full` says: for as long as it takes, or not beyond kPatience.
  template <class Event = EventInput>
  Accepted append_common(const Event& event, RecordContext context, std::uint64_t& position);
  Accepted append_process(const ProcessInfo& info, std::uint16_t number);

  /// For how long a thread waits until the disk has made room, before its events are dropped: in all, until
  /// there has been room for a while.
  static constexpr std::chrono::milliseconds kPatience{100};

  /// From now on no writer waits for room.
  void close() noexcept;
  bool is_closed() const noexcept { return closed_.load(std::memory_order_relaxed); }

  /// Until no record is being written any more, at most until the deadline; the result says whether.
  bool wait_for_writers(std::chrono::steady_clock::time_point deadline) noexcept;

  /// Where each lane ends.
  std::vector<LanePosition> published() const;
  bool is_stored(std::span<const LanePosition> positions) const;

  /// How many records there have been, but for those of processes.
  std::uint64_t accepted() const;

  /// And how many of these went with files that somebody has deleted.
  std::uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }
  void count_lost(std::uint64_t records) noexcept;

  // ── the consumer ──

  /// Hands records to `take` in the order of time, until it says no or there are no more. A record that was
  /// handed over and refused comes again. What `take` is given is valid for the call.
  void collect(const std::function<bool(const TakenRecord&)>& take);

  /// The content of an external record.
  std::error_code read_external(const TakenRecord& record, std::string& content) const;

  /// Everything that was taken is stored: its memory is free.
  void settle();

  // ── the keeper ──

  struct Upkeep {
    bool spill_everything = false;  ///< whatever is not stored
    bool sync = false;              ///< and let it survive the machine
  };

  /// Provides slots, spills what is old or too much, samples the clock. May block on the disk.
  void keep(Upkeep upkeep);

  /// Notes on disk how much the front in memory holds that is not settled (see Account), for a recoverer that
  /// will not find it; at most each 100 ms, unless `at_once`.
  void note_account(std::uint64_t settled, bool at_once);

  /// How many slots have been taken so far: the more, the more there is to do.
  std::uint64_t slots_taken() const noexcept { return slots_taken_.load(std::memory_order_relaxed); }

  /// Whether a writer found less room than it should have since the last call.
  bool takes_room() const noexcept { return wants_room_.load(std::memory_order_relaxed); }

  // ── life ──

  FrontHeader& header() const noexcept { return front_->header(); }

  /// In words what keeps the journal from being as safe as it was asked to be; empty where nothing does.
  std::string problem() const;

  /// The folders of the run, for what is kept beside the journal, and those that they lie in: that on disk
  /// first, which outlives more.
  std::vector<std::shared_ptr<const Folder>> folders() const;
  std::vector<std::shared_ptr<const Folder>> roots() const;
  /// How many folders on disk there have been: another one after somebody has deleted it.
  unsigned disk_folders_made() const noexcept { return disk_folders_made_.load(std::memory_order_acquire); }

  /// Everything is stored: the files go.
  void remove_files() noexcept;
  /// Somebody else may recover what is left.
  void give_up_locks() noexcept;

  /// Around fork(): nothing changes meanwhile.
  void lock_for_fork();
  void unlock_after_fork() noexcept;
  /// The child leaves all to its parent; this object must not be used any more.
  void close_in_child() noexcept;

 private:
  using Deadline = std::chrono::steady_clock::time_point;

  struct SlotUse {
    std::uint32_t slot = 0;
    std::uint64_t base = 0;  ///< position of its first record
    std::uint64_t end = 0;   ///< position behind its end mark; 0 while it is written to
  };
  struct External {
    std::uint64_t position = 0;
    std::uint64_t size_bytes = 0;
    bool is_synced = false;
  };
  struct LaneState {
    using Taken = TakenRecord;

    explicit LaneState(std::uint32_t id) noexcept : lane(id) {}

    Lane lane;
    std::atomic<std::uint64_t> stored{0};
    // Guarded by slots_mutex_.
    std::deque<SlotUse> slots;
    std::deque<External> externals;
    char* retiring_end = nullptr;  ///< the lane's room, which the keeper has taken away; see retire_lanes
    std::uint64_t seen = 0;        ///< where it ended when the keeper looked last
    Deadline quiet_since{};        ///< since when it has not moved
    // Guarded by consume_mutex_.
    std::uint64_t taken = 0;
    std::uint32_t taken_sequence = 0;  ///< of the record that comes next
    std::uint64_t spilled = 0;
    std::uint64_t aged = 0;          ///< where it ended a while ago
    const char* reading = nullptr;   ///< the next record, where it lies in a slot
    const char* slot_end = nullptr;  ///< of that slot
    std::deque<SpillBlock> blocks;
    std::vector<std::uint64_t> block_words;
    std::optional<RecordScanner> scanner;  ///< of block_words
    SpillBlock scanned = {};
  };

  // Making.
  void make_folders();
  void make_disk_folder();
  void set_disk_folder(std::optional<RunFolder> folder);
  void make_front_folder();
  std::shared_ptr<const Folder> externals_folder() const noexcept;
  void make_front();
  void say(std::string problem);

  // Writers.
  Accepted make_room(Lane& lane, std::size_t size_bytes);
  std::size_t available_slots() const noexcept;
  std::optional<std::uint32_t> provide_slot(const LaneState& lane);
  void end_slot(LaneState& state) noexcept;
  bool has_external_room(std::uint64_t size_bytes) const noexcept;
  bool may_have_room(std::uint64_t external_bytes) const noexcept;
  bool wait_for_room(std::uint64_t external_bytes);
  template <class Append>
  Accepted append_in_room(Lane& lane, std::size_t size_bytes, Append append_to);
  template <class Append>
  Accepted append_when_open(Append append_to);
  template <class Append>
  Accepted append_waiting(std::uint64_t external_bytes, Append append_to);
  template <class Event = EventInput>
  Accepted append_external(Lane& lane, const Event& event, std::size_t size_bytes, RecordContext context,
                           std::uint64_t& position);
  std::uint64_t external_limit() const noexcept;
  Accepted reserve_external(std::uint64_t size_bytes);
  Accepted keep_external(std::string content, std::uint32_t lane, std::uint64_t position);
  void forget_external(std::uint32_t lane, const External& external) noexcept;
  LaneState& state_of(const Lane& lane) const noexcept;
  std::vector<LaneState*> all_lanes() const;

  // The consumer, with consume_mutex_ held.
  bool peek(LaneState& lane, std::uint64_t until_ticks, TakenRecord& record);
  bool open_place(LaneState& lane);
  bool open_block(LaneState& lane);
  bool open_overwritten(LaneState& lane);
  void pop(LaneState& lane, const TakenRecord& record);
  Time time_of(const LaneState& lane, const TakenRecord& record);
  void free_slots(LaneState& lane, std::uint64_t until);
  void release_stored(LaneState& lane);

  static std::uint64_t next_episode() noexcept;

  // The keeper, with consume_mutex_ held.
  void sample_clock_if_due();
  void keep_disk_folder();
  void forget_lost_blocks(LaneState& lane);
  void spill_what_is_due(Upkeep upkeep);
  struct BlockOfRecords {
    ClockPoints points;
    std::size_t size_bytes;
  };
  BlockOfRecords records_of_block(std::span<const char> bytes);
  bool spill_lane(LaneState& lane, std::uint64_t until);
  std::error_code sync_externals();
  std::uint64_t spill_goal(LaneState& lane, Upkeep upkeep, bool is_old, bool pressed) const;
  void provide_spare_slots();
  void retire_lanes();
  std::vector<LaneState*> lanes_to_retire();
  void give_back_idle_slots();
  bool is_pressed() const;

  JournalOptions options_;
  const TickSource ticks_ = best_tick_source();
  // They change with this held; that on disk, which the keeper replaces, with consume_mutex_ held as well.
  mutable std::mutex folders_mutex_;
  std::optional<RunFolder> disk_folder_, front_folder_;
  std::unique_ptr<Front> front_;
  bool is_front_on_disk_ = false;

  std::mutex common_mutex_;

  mutable std::mutex consume_mutex_;
  std::unique_ptr<Spill> spill_;
  std::optional<AccountFile> account_;  // where the front is not on disk
  bool is_folder_synced_ = false;
  ClockHistory clock_;
  Deadline next_sample_{}, next_aging_{}, next_shrink_{}, next_look_{}, next_account_{}, retry_disk_{};
  std::chrono::nanoseconds sample_interval_{std::chrono::milliseconds(1)};

  mutable std::mutex slots_mutex_;
  std::condition_variable room_;
  std::deque<std::unique_ptr<LaneState>> lanes_;
  LaneState* common_ = nullptr;  // the first of them
  std::vector<LaneState*> idle_lanes_;
  std::vector<std::uint32_t> free_slots_;   // with memory; the last is the next
  std::vector<std::uint32_t> empty_slots_;  // without
  std::size_t spare_slots_ = 2;
  std::size_t least_free_ = 0;
  std::size_t slots_at_start_ = 0;          // that memory had room for
  std::uint64_t episode_ = next_episode();  // without room; another one once there has been room for a while
  bool is_dry_ = false,
       was_dry_ = false;  // a writer has found no room since the keeper looked last, and before
  bool is_overwritten_ = false;
  bool no_more_memory_ = false;  // the last slot that was asked for could not be had
  std::string problem_, disk_problem_;
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::string>
      externals_in_memory_;  // by lane and position

  std::atomic<bool> closed_{false};  // written with slots_mutex_ held
  std::atomic<bool> wants_room_{false};
  std::atomic<bool> can_spill_{false};
  std::atomic<unsigned> disk_folders_made_{0};
  std::atomic<std::uint64_t> external_bytes_{0};
  std::atomic<std::uint64_t> process_records_{0};
  std::atomic<std::uint64_t> lost_{0};
  std::atomic<std::uint64_t> slots_taken_{0};
};

}  // namespace codewake::internal
