#include "queue/batch_writer.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace codewake::internal {

BatchWriter::BatchWriter(QueueBackend& backend, BatchBuilder& builder, ProcessTable& processes, Told told)
    : backend_(backend), builder_(builder), processes_(processes), told_(std::move(told)) {}

void BatchWriter::begin() {
  left_.clear();
  in_doubt_ = false;
  if (builder_.size() != 0) left_.push_back({0, builder_.size()});
}

BatchWriter::Outcome BatchWriter::attempt() {
  while (!left_.empty()) {
    const Range range = left_.back();
    try {
      if (in_doubt_ && was_stored(range)) {
        left_.pop_back();
        note_stored(range, nullptr);
      } else {
        write(range);
      }
      in_doubt_ = false;
    } catch (const StoreError& error) {
      if (error.kind() == StoreError::Kind::rejected) {
        in_doubt_ = false;
        note_rejected(range, error.what());
        continue;
      }
      in_doubt_ = in_doubt_ || error.kind() == StoreError::Kind::in_doubt;
      problem_ = error.what();
      return Outcome::wait;
    } catch (const std::exception& error) {  // which does not say whether anything was stored
      in_doubt_ = true;
      problem_ = error.what();
      return Outcome::wait;
    } catch (...) {
      in_doubt_ = true;
      problem_ = "the store threw something that is no exception";
      return Outcome::wait;
    }
  }
  return Outcome::done;
}

void BatchWriter::write(Range range) {
  const BatchResult result = backend_.write(builder_.show(range.begin, range.end));
  left_.pop_back();
  builder_.note_stored(result);
  note_stored(range, &result);
}

// One transaction has brought the events and every position, or nothing: one position tells of all.
bool BatchWriter::was_stored(Range range) {
  const Batch batch = builder_.show(range.begin, range.end);
  if (batch.positions.empty()) return false;
  const std::string_view some = batch.positions.front().segment;
  const std::string run(some.substr(0, some.find('/') + 1));
  const std::vector<StoredPosition> stored = backend_.get_positions(run);
  const bool all =
      std::all_of(batch.positions.begin(), batch.positions.end(), [&](const JournalPosition& wanted) {
        return std::any_of(stored.begin(), stored.end(), [&](const StoredPosition& found) {
          return found.segment == wanted.segment && found.position >= wanted.position;
        });
      });
  if (!all) return false;
  for (auto& [number, entry] : processes_.entries()) {
    const std::string segment = builder_.process_segment_name(number);
    const auto found = std::find_if(stored.begin(), stored.end(), [&](const StoredPosition& position) {
      return position.segment == segment;
    });
    if (found != stored.end()) entry.id = found->process_id;
  }
  return true;
}

void BatchWriter::note_stored(Range range, const BatchResult* result) {
  std::size_t event = 0;
  for (std::size_t i = range.begin; i < range.end; ++i) {
    Id id = 0;
    if (builder_.item(i).is_event) {
      if (result != nullptr && event < result->event_ids.size()) id = result->event_ids[event];
      ++event;
    }
    told_.stored(i, id);
  }
}

void BatchWriter::note_rejected(Range range, const std::string& reason) {
  left_.pop_back();
  if (range.end - range.begin == 1) {
    told_.rejected(range.begin, reason);
    return;
  }
  const std::size_t middle = range.begin + (range.end - range.begin) / 2;
  left_.push_back({middle, range.end});
  left_.push_back({range.begin, middle});
}

}  // namespace codewake::internal
