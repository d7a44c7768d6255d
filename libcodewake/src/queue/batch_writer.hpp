// Gets the items of a batch into a store, whatever the store answers.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/queue_store.hpp"
#include "queue/batch_builder.hpp"
#include "queue/retry_policy.hpp"

namespace codewake::internal {

/// A batch that is refused is split until what is refused is one item: that one is set aside, the others are
/// stored. One that fails again and again is written in smaller parts. After an answer that says nothing, the
/// store's positions decide, before anything else is done about the same items. Never waits by itself, and
/// never throws what the store threw. Thread-bound.
class BatchWriter {
 public:
  enum class Outcome {
    done,      ///< every item is stored, or set aside
    progress,  ///< some are, or they are tried in smaller parts; the next attempt goes on
    wait,      ///< the store is away; the next attempt goes on where this one ended
  };

  struct Told {
    /// An item is stored; its event's id, 0 where the store did not say.
    std::function<void(std::size_t item, Id event_id)> stored;
    std::function<void(std::size_t item, const std::string& reason)> rejected;
    /// The storage is not the one that it was, or in an older state.
    std::function<void()> replaced;
  };

  /// All must outlive it.
  BatchWriter(QueueBackend& backend, BatchBuilder& builder, Told told);

  /// From now on it is about what the builder has now.
  void begin();

  /// Writes once at most.
  Outcome attempt();

  /// For who cannot wait: the next attempt begins with one item, which tells a store that is away from one
  /// that so much was too much for. False where the last failed with one item.
  bool try_least() noexcept;

  /// Why the last attempt ended with `wait`.
  const std::string& problem() const noexcept { return problem_; }

 private:
  struct Range {
    std::size_t begin;
    std::size_t end;
  };

  void write_next();
  bool was_stored(Range range);
  void cut_next();
  void settle_next(const BatchResult* result);
  void note_problem(const char* problem) noexcept;
  void note_rejected(const std::string& reason);

  QueueBackend& backend_;
  BatchBuilder& builder_;
  Told told_;
  std::vector<Range> left_;  // the last is the next
  bool in_doubt_ = false;    // whether the next was written already: it stays as it is until that is known
  WriteLimit limit_;         // outlives the batch
  std::string problem_;
};

}  // namespace codewake::internal
