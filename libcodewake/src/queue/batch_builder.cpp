#include "queue/batch_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "codewake/utf8.hpp"
#include "journal/trace_codec.hpp"
#include "store/flattened.hpp"
#include "store/storable.hpp"

namespace codewake::internal {
namespace {

/// That a journal of another user may introduce: they stay in memory.
constexpr std::size_t kMostUnknownProcesses = 1024;

}  // namespace

BatchBuilder::BatchBuilder(std::string run, ProcessTable& processes, BatchLimits limits,
                           StackMaker make_stack, bool stores_trace_events)
    : run_(std::move(run)),
      processes_(processes),
      limits_(limits),
      make_stack_(std::move(make_stack)),
      stores_trace_events_(stores_trace_events) {}

void BatchBuilder::clear() noexcept {
  text_.clear();
  attributes_.clear();
  trace_events_.clear();
  items_.clear();
  size_bytes_ = 0;
  stacks_.clear();
  known_stacks_.clear();
}

std::size_t BatchBuilder::event_count() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(items_.begin(), items_.end(), [](const Item& i) { return i.is_event && !i.is_report; }));
}

bool BatchBuilder::add(const TakenRecord& record, const ReadExternal& external) try {
  return add_record(record, external);
} catch (...) {  // an item that was begun would be stored, and the record comes again
  if (!items_.empty() && items_.back().lane == record.lane && items_.back().position == record.position)
    items_.pop_back();
  throw;
}

bool BatchBuilder::add_record(const TakenRecord& record, const ReadExternal& external) {
  if (items_.size() >= limits_.events || size_bytes_ >= limits_.size_bytes) return false;
  const auto kind = static_cast<RecordKind>(record.header.kind);
  if (kind == RecordKind::process && record.header.process != 0) {
    auto info = decode_process(record.payload);
    size_bytes_ += record.payload.size();
    const bool has_room = !known_ids_only_ || processes_.entries().size() < kMostUnknownProcesses;
    if (info && has_room) {
      processes_.introduce(record.header.process, to_storable(*std::move(info)));
    } else {
      ++unknown_records_;
    }
    Item& item = add_item(record);
    item.when = record.time;
    item.process = record.header.process;
    return true;
  }
  if (kind != RecordKind::event && kind != RecordKind::trace_event) {
    ++unknown_records_;
    add_item(record).is_sync = false;
    return true;
  }
  if ((record.header.flags & kExternal) != 0) {
    if (!items_.empty() && record.payload.size() >= sizeof(ExternalPayload)) {
      ExternalPayload payload;
      std::memcpy(&payload, record.payload.data(), sizeof payload);
      if (payload.size_bytes > limits_.size_bytes - size_bytes_) return false;
    }
    if (external(record, external_)) {
      ++unreadable_events_;
      add_item(record).is_sync = false;
      return true;
    }
    return add_payload(record, external_);
  }
  return add_payload(record, record.payload);
}

// Stores number from 1: another id is no process's.
std::optional<Id> BatchBuilder::believed(std::optional<Id> process_id) const {
  if (!process_id || *process_id <= 0) return std::nullopt;
  return known_ids_only_ && !processes_.has_id(*process_id) ? std::nullopt : process_id;
}

BatchBuilder::Item& BatchBuilder::add_item(const TakenRecord& record) {
  Item& item = items_.emplace_back();
  item.lane = record.lane;
  item.position = record.position;
  item.next_position = record.next_position;
  item.is_sync = (record.header.flags & kSync) != 0;
  return item;
}

bool BatchBuilder::add_payload(const TakenRecord& record, std::span<const char> payload) {
  const bool is_trace_event = static_cast<RecordKind>(record.header.kind) == RecordKind::trace_event;
  const bool added = is_trace_event ? add_trace_event(record, payload) : add_event(record, payload);
  if (added) size_bytes_ += payload.size();
  return added;
}

bool BatchBuilder::add_trace_event(const TakenRecord& record, std::span<const char> payload) {
  const std::optional<TraceEventInput> event = decode_trace_event(payload);
  if (!event) {
    ++unknown_records_;
    add_item(record).is_sync = false;
    return true;
  }
  if (processes_.find(record.header.process) == nullptr) return false;
  Item& item = add_item(record);
  item.when = record.time;
  item.process = record.header.process;
  item.is_event = true;
  BatchTraceEvent fitting{{*event}, 0, record.time, event->texts};
  TraceEventTexts<std::string_view>::for_each(fitting.texts,
                                              [&](std::string_view& text) { text = fit(text); });
  if (stores_trace_events_) {
    item.is_trace_event = true;
    item.trace_event = trace_events_.size();
    trace_events_.push_back(fitting);
  } else {
    set_data(item, flattened(fitting));
  }
  return true;
}

bool BatchBuilder::add_event(const TakenRecord& record, std::span<const char> payload) {
  if (!decode_event(payload, decoded_)) {
    ++unknown_records_;
    add_item(record).is_sync = false;
    return true;
  }
  const std::optional<Id> process_id = believed(decoded_.process_id);
  // An event that says by itself whose it is has no number; where that is not believed, it is the first
  // process's.
  const std::uint16_t process =
      !process_id && record.header.process == 0 ? std::uint16_t{1} : record.header.process;
  if (!process_id && processes_.find(process) == nullptr) {
    if (!decoded_.process_id) return false;  // its process comes
    ++unknown_records_;
    add_item(record).is_sync = false;
    return true;
  }
  Item& item = add_item(record);
  item.when = decoded_.when.value_or(record.time);
  item.process_id = process_id;
  item.process = process;
  item.is_event = true;
  item.has_data = decoded_.has_data;
  item.first_attribute = attributes_.size();
  item.attributes = decoded_.data.size();
  for (const AttributeArgument& attribute : decoded_.data) {
    AttributeView& view = attributes_.emplace_back();
    view.key = fit(attribute.key);
    if (attribute.value.is_null()) continue;
    char buffer[Value::kMaxNumberLength];
    view.value = fit(attribute.value.to_text(buffer));
  }
  if (decoded_.has_stacktrace) item.stack = stack_of(decoded_);
  tie(item, decoded_.trace);
  return true;
}

void BatchBuilder::add_crash(const CrashReport& crash) {
  Item& item = items_.emplace_back();
  item.lane = kCrashLane;
  item.next_position = 1;
  item.when = crash.when;
  item.process = crash.process;
  item.process_id = believed(crash.process_id);
  item.is_event = true;
  set_data(item, crash.data);
  tie(item, crash.trace);
  item.stack = &stacks_.emplace_back(crash.stack);
}

void BatchBuilder::add_report(std::uint16_t process, Time when, const std::vector<Attribute>& data,
                              std::uint64_t told) try {
  Item& item = items_.emplace_back();
  item.lane = kLossLane;
  item.next_position = told;
  item.when = when;
  item.process = process;
  item.is_event = item.is_report = true;
  set_data(item, data);
} catch (...) {
  if (!items_.empty() && items_.back().lane == kLossLane) items_.pop_back();
  throw;
}

// Its attributes are the last ones so far.
void BatchBuilder::tie(Item& item, const std::optional<TraceTie>& trace) {
  if (!trace) return;
  if (stores_trace_events_) {
    item.tie = trace;
  } else {
    add_data(item, flattened(*trace));
  }
}

void BatchBuilder::set_data(Item& item, const std::vector<Attribute>& data) {
  item.first_attribute = attributes_.size();
  item.attributes = 0;
  add_data(item, data);
}

void BatchBuilder::add_data(Item& item, const std::vector<Attribute>& data) {
  item.has_data = true;
  item.attributes += data.size();
  for (const Attribute& attribute : data) {
    AttributeView& view = attributes_.emplace_back();
    view.key = fit(attribute.key);
    if (attribute.value) view.value = fit(*attribute.value);
  }
}

std::string_view BatchBuilder::fit(std::string_view text) {
  return is_storable(text) ? text_.keep(text) : text_.keep(codewake::to_storable(text));
}

const Stacktrace* BatchBuilder::stack_of(const DecodedEvent& event) {
  if (event.frames) return &stacks_.emplace_back(*event.frames);
  const auto [known, added] = known_stacks_.try_emplace(event.captured, nullptr);
  if (added) known->second = &stacks_.emplace_back(make_stack_(event.captured));
  return known->second;
}

std::uint32_t BatchBuilder::batch_process(const Item& item) {
  const auto next = static_cast<std::uint32_t>(batch_processes_.size());
  if (item.process_id) {
    const auto [known, added] = process_by_id_.try_emplace(*item.process_id, next);
    if (added) {
      batch_processes_.push_back({.id = *item.process_id});
      process_numbers_.push_back(0);
    }
    return known->second;
  }
  const auto [known, added] = process_by_number_.try_emplace(item.process, next);
  if (added) {
    const ProcessTable::Entry& entry = *processes_.find(item.process);
    batch_processes_.push_back({.id = entry.id, .info = entry.id == 0 ? &*entry.info : nullptr});
    process_numbers_.push_back(item.process);
    if (entry.id == 0) {
      batch_positions_.push_back({.segment = segment_names_.emplace_back(process_segment_name(item.process)),
                                  .position = 1,
                                  .process = next});
    }
  }
  return known->second;
}

Batch BatchBuilder::show(std::size_t begin, std::size_t end) {
  batch_processes_.clear();
  process_numbers_.clear();
  process_by_id_.clear();
  process_by_number_.clear();
  batch_events_.clear();
  batch_trace_events_.clear();
  batch_positions_.clear();
  position_lanes_.clear();
  segment_names_.clear();
  struct Reached {
    std::uint64_t position;
    std::uint32_t process;
  };
  std::map<std::uint32_t, Reached> reached;
  std::optional<std::uint32_t> some_process;
  for (std::size_t i = begin; i < end; ++i) {
    const Item& item = items_[i];
    const bool has_process = item.process_id || processes_.find(item.process) != nullptr;
    if (has_process) some_process = batch_process(item);
    if (item.is_trace_event) {
      batch_trace_events_.push_back(trace_event_of(item));
      batch_trace_events_.back().process = *some_process;
    } else if (item.is_event) {
      batch_events_.push_back(
          {.process = *some_process,
           .when = item.when,
           .has_data = item.has_data,
           .data = data_of(item),
           .stacktrace = item.stack,
           .trace = item.tie,
           .journal_place = item.is_report ? 0 : place_word(item.lane, item.position) | 1});
    }
    if (item.next_position != 0)
      reached.insert_or_assign(item.lane, Reached{item.next_position, some_process.value_or(0)});
  }
  // Without a process there is nothing that a position could belong to, and nothing that it would guard.
  for (const auto& [lane, end_of_lane] : reached) {
    if (batch_processes_.empty()) break;
    const auto noted = noted_.find(lane);
    batch_positions_.push_back({.segment = segment_names_.emplace_back(segment_name(lane)),
                                .position = end_of_lane.position,
                                .process = end_of_lane.process,
                                .noted = noted == noted_.end() ? 0 : noted->second});
    position_lanes_.push_back(lane);
  }
  return {.processes = batch_processes_,
          .events = batch_events_,
          .trace_events = batch_trace_events_,
          .positions = batch_positions_};
}

void BatchBuilder::note_stored(const BatchResult& result) {
  for (std::size_t i = 0; i < process_numbers_.size() && i < result.process_ids.size(); ++i) {
    if (process_numbers_[i] == 0) continue;
    // Its segment was shown where it had no id.
    if (batch_processes_[i].id == 0) {
      processes_.note_id(process_numbers_[i], result.process_ids[i]);
    } else {
      processes_.set_id(process_numbers_[i], result.process_ids[i]);
    }
  }
  const std::size_t of_processes = batch_positions_.size() - position_lanes_.size();
  for (std::size_t i = 0; i < position_lanes_.size(); ++i) {
    note_position(position_lanes_[i], batch_positions_[of_processes + i].position);
  }
}

bool BatchBuilder::learn(std::span<const StoredPosition> stored) {
  const auto find = [&](const std::string& segment) {
    return std::find_if(stored.begin(), stored.end(),
                        [&](const StoredPosition& position) { return position.segment == segment; });
  };
  bool lacks = false;
  for (auto& [number, entry] : processes_.entries()) {
    const auto found = find(process_segment_name(number));
    if (found != stored.end() && entry.id == 0) processes_.note_id(number, found->process_id);
    if (!entry.is_noted || (found != stored.end() && found->process_id == entry.id)) continue;
    ProcessTable::forget_id(entry);
    lacks = true;
  }
  for (auto lane = noted_.begin(); lane != noted_.end();) {
    const auto found = find(segment_name(lane->first));
    lacks = lacks || found == stored.end() || found->position < lane->second;
    if (found == stored.end()) {
      lane = noted_.erase(lane);
    } else {
      lane->second = found->position;
      ++lane;
    }
  }
  return lacks;
}

std::string BatchBuilder::segment_name(std::uint32_t lane) const {
  if (lane == kCrashLane) return fmt::format("{}/{}", run_, kCrashSegment);
  return lane == kLossLane ? fmt::format("{}/{}", run_, kLossSegment) : fmt::format("{}/{}", run_, lane);
}

std::string BatchBuilder::process_segment_name(std::uint16_t process) const {
  return fmt::format("{}/p{}", run_, process);
}

}  // namespace codewake::internal
