#include "queue/batch_writer.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace codewake::internal {

namespace {

/// A batch is halved, and what is left of it cut, no more often: splitting takes no memory.
constexpr std::size_t kMostParts = 128;

}  // namespace

BatchWriter::BatchWriter(QueueBackend& backend, BatchBuilder& builder, Told told)
    : backend_(backend), builder_(builder), told_(std::move(told)) {}

void BatchWriter::begin() {
  left_.clear();
  left_.reserve(kMostParts);
  in_doubt_ = false;
  if (builder_.size() != 0) left_.push_back({0, builder_.size()});
}

BatchWriter::Outcome BatchWriter::attempt() {
  if (left_.empty()) return Outcome::done;
  try {
    write_next();
    return left_.empty() ? Outcome::done : Outcome::progress;
  } catch (const StoreError& error) {
    if (error.kind() == StoreError::Kind::rejected) {
      note_rejected(error.what());
      return left_.empty() ? Outcome::done : Outcome::progress;
    }
    in_doubt_ = in_doubt_ || error.kind() == StoreError::Kind::in_doubt;
    note_problem(error.what());
  } catch (const std::exception& error) {  // which does not say whether anything was stored
    in_doubt_ = true;
    note_problem(error.what());
  } catch (...) {
    in_doubt_ = true;
    note_problem("the store threw something that is no exception");
  }
  if (!left_.empty()) limit_.note_failure(left_.back().end - left_.back().begin);
  return Outcome::wait;
}

void BatchWriter::note_problem(const char* problem) noexcept try {
  problem_ = problem;
} catch (const std::exception&) {
  problem_ = "out of memory";  // so short that it takes none
}

bool BatchWriter::try_least() noexcept {
  if (left_.empty() || limit_.items() == 1 || left_.back().end - left_.back().begin == 1) return false;
  limit_.set_least();
  return true;
}

void BatchWriter::write_next() {
  if (in_doubt_ && was_stored(left_.back())) {
    settle_next(nullptr);
    return;
  }
  in_doubt_ = false;
  cut_next();
  const BatchResult result = backend_.write(builder_.show(left_.back().begin, left_.back().end));
  builder_.note_stored(result);
  settle_next(&result);
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
  if (builder_.learn(stored)) told_.replaced();
  return all;
}

// A report has no position that could tell whether it was stored: it goes with the item before it.
void BatchWriter::cut_next() {
  const Range range = left_.back();
  if (range.end - range.begin <= limit_.items()) return;
  std::size_t middle = range.begin + limit_.items();
  while (middle < range.end && builder_.item(middle).is_report) ++middle;
  if (middle == range.end) return;
  left_.push_back({range.begin, middle});
  left_[left_.size() - 2].begin = middle;
}

void BatchWriter::settle_next(const BatchResult* result) {
  const Range range = left_.back();
  left_.pop_back();
  in_doubt_ = false;
  limit_.note_success(range.end - range.begin);
  std::size_t event = 0;
  for (std::size_t i = range.begin; i < range.end; ++i) {
    Id id = 0;
    if (builder_.item(i).is_event && !builder_.item(i).is_trace_event) {
      if (result != nullptr && event < result->event_ids.size()) id = result->event_ids[event];
      ++event;
    }
    told_.stored(i, id);
  }
}

void BatchWriter::note_rejected(const std::string& reason) {
  const Range range = left_.back();
  left_.pop_back();
  in_doubt_ = false;
  if (range.end - range.begin == 1) {
    told_.rejected(range.begin, reason);
    return;
  }
  const std::size_t middle = range.begin + (range.end - range.begin) / 2;
  left_.push_back({middle, range.end});
  left_.push_back({range.begin, middle});
}

}  // namespace codewake::internal
