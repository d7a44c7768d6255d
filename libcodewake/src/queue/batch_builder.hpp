// From records of a journal to what a store is given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "codewake/event.hpp"
#include "codewake/stacktrace.hpp"
#include "journal/event_codec.hpp"
#include "journal/live_journal.hpp"
#include "queue/crash_report.hpp"
#include "queue/process_table.hpp"
#include "queue/text_arena.hpp"

namespace codewake::internal {

/// What a crash is to a lane's records.
inline constexpr std::uint32_t kCrashLane = UINT32_MAX;
inline constexpr const char* kCrashSegment = "crash";
inline constexpr std::uint32_t kLossLane = UINT32_MAX - 1;
inline constexpr const char* kLossSegment = "losses";

struct BatchLimits {
  std::size_t events = 1000;
  std::size_t size_bytes = 4u << 20;  ///< of their payloads; one event may be larger
};

/// Makes a stack of a record's addresses: of this process, or by what is known of a dead one's modules.
using StackMaker = std::function<Stacktrace(const CapturedStack&)>;

/// Collects records, and shows any range of them as a batch. Thread-bound.
class BatchBuilder {
 public:
  /// `run`: names the journal's segments. `processes` must outlive it.
  /// `stores_trace_events`: as of the store; where it does not, they become ordinary events here.
  BatchBuilder(std::string run, ProcessTable& processes, BatchLimits limits, StackMaker make_stack,
               bool stores_trace_events);

  /// From now on a process's id that a record names counts only where it is one of `processes`.
  void believe_known_ids_only() noexcept { known_ids_only_ = true; }

  void clear() noexcept;

  using ReadExternal = std::function<std::error_code(const TakenRecord&, std::string& content)>;
  /// Takes a record; `external` reads the payload of one that is external. False, and nothing taken, where
  /// the batch is full, or the record's process is not known yet; nor where it
  /// throws.
  bool add(const TakenRecord& record, const ReadExternal& external);

  /// Adds the event of a crash: it is as if it stood alone in a segment `<run>/crash`.
  void add_crash(const CrashReport& crash);

  /// Adds an event that comes from no record: as if it stood in a segment `<run>/losses`, behind the losses
  /// that it tells of, `told` in all.
  void add_report(std::uint16_t process, Time when, const std::vector<Attribute>& data, std::uint64_t told);

  /// What there is of the items: events, and processes that introduce themselves.
  std::size_t size() const noexcept { return items_.size(); }
  std::size_t event_count() const noexcept;

  struct Item {
    std::uint32_t lane = 0;
    std::uint64_t position = 0;
    std::uint64_t next_position = 0;
    Time when = {};
    std::optional<Id> process_id = std::nullopt;
    std::uint16_t process = 0;
    bool is_event = false;  ///< of either kind
    bool is_trace_event = false;
    bool is_report = false;
    bool is_sync = false;
    bool has_data = false;
    std::size_t first_attribute = 0;
    std::size_t attributes = 0;
    const Stacktrace* stack = nullptr;
    std::optional<TraceTie> tie = std::nullopt;
    std::size_t trace_event = 0;  ///< which one, where it is one
  };
  const Item& item(std::size_t index) const noexcept { return items_[index]; }
  std::span<const AttributeView> data_of(const Item& item) const noexcept {
    return std::span(attributes_).subspan(item.first_attribute, item.attributes);
  }

  const BatchTraceEvent& trace_event_of(const Item& item) const noexcept {
    return trace_events_[item.trace_event];
  }

  /// The items from `begin` up to `end` with the positions that they reach. Valid until the next call.
  Batch show(std::size_t begin, std::size_t end);

  /// After the store has taken what `show` showed: processes learn their ids, lanes their positions.
  void note_stored(const BatchResult& result);

  /// The store has a lane up to this position.
  void note_position(std::uint32_t lane, std::uint64_t position) { noted_.insert_or_assign(lane, position); }

  /// What the store remembers of the run's segments, asked for after an answer that left doubt. True where
  /// that is less than it had: then it is another storage, or an older state of it, and what it lacks of the
  /// processes is stored again with their next events.
  bool learn(std::span<const StoredPosition> stored);

  /// Records that are no events, though their checksum is right: of a newer version.
  std::uint64_t unknown_records() const noexcept { return unknown_records_; }
  /// Events whose payload, in a file of its own, could not be read.
  std::uint64_t unreadable_events() const noexcept { return unreadable_events_; }

  std::string segment_name(std::uint32_t lane) const;
  std::string process_segment_name(std::uint16_t process) const;

 private:
  bool add_record(const TakenRecord& record, const ReadExternal& external);
  bool add_payload(const TakenRecord& record, std::span<const char> payload);
  bool add_event(const TakenRecord& record, std::span<const char> payload);
  bool add_trace_event(const TakenRecord& record, std::span<const char> payload);
  Item& add_item(const TakenRecord& record);
  std::optional<Id> believed(std::optional<Id> process_id) const;
  void tie(Item& item, const std::optional<TraceTie>& trace);
  void set_data(Item& item, const std::vector<Attribute>& data);
  void add_data(Item& item, const std::vector<Attribute>& data);
  std::string_view fit(std::string_view text);
  const Stacktrace* stack_of(const DecodedEvent& event);
  std::uint32_t batch_process(const Item& item);

  std::string run_;
  ProcessTable& processes_;
  BatchLimits limits_;
  StackMaker make_stack_;
  const bool stores_trace_events_;
  bool known_ids_only_ = false;

  TextArena text_;
  DecodedEvent decoded_;
  std::string external_;
  std::vector<AttributeView> attributes_;
  std::vector<BatchTraceEvent> trace_events_;
  std::vector<Item> items_;
  std::size_t size_bytes_ = 0;
  std::deque<Stacktrace> stacks_;
  std::map<CapturedStack, const Stacktrace*> known_stacks_;
  std::uint64_t unknown_records_ = 0;
  std::uint64_t unreadable_events_ = 0;

  // What `show` showed.
  std::vector<BatchProcess> batch_processes_;
  std::vector<std::uint16_t> process_numbers_;  // of these; 0: known by its id alone
  std::map<Id, std::uint32_t> process_by_id_;
  std::map<std::uint16_t, std::uint32_t> process_by_number_;
  std::vector<BatchEvent> batch_events_;
  std::vector<BatchTraceEvent> batch_trace_events_;
  std::vector<JournalPosition> batch_positions_;
  std::vector<std::uint32_t> position_lanes_;  // of the last of these
  std::deque<std::string> segment_names_;

  std::map<std::uint32_t, std::uint64_t> noted_;  // positions of lanes, by the store's own word
};

}  // namespace codewake::internal
