// Brings what dead runs left into their store, a batch at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "codewake/queue_store.hpp"
#include "codewake/recovery.hpp"
#include "queue/batch_builder.hpp"
#include "queue/batch_writer.hpp"
#include "queue/dead_letters.hpp"
#include "queue/journal_source.hpp"

namespace codewake::internal {

/// Thread-bound.
class Recoverer {
 public:
  /// `own_run` is left alone; empty: none. Events that the store rejects go to `dead_folder`, see
  /// DeadLetters.
  Recoverer(QueueBackend& backend, std::unique_ptr<JournalSources> sources, std::filesystem::path dead_folder,
            std::string fingerprint, BatchLimits limits, std::string own_run);
  ~Recoverer();

  /// Leaves journals alone that hold events.
  void take_crashes_only() noexcept { crashes_only_ = true; }

  /// Looks for runs. Throws std::system_error where they cannot be looked for.
  void find();

  enum class Step { progress, wait, done };

  /// Does a batch of work: `wait` where the store is away (see the last of `runs`), `done` when no run is
  /// left. Never throws.
  Step step() noexcept;

  /// After `wait`, for who cannot wait: whether to step on at once, with less. See BatchWriter.
  bool try_least() noexcept;

  /// Those that `step` has looked at so far; the last is at work.
  const std::vector<JournalRun>& runs() const noexcept { return runs_; }

 private:
  struct Work;

  Step note_failure(const char* problem, bool store_is_away);
  bool open_next();
  void read_positions();
  bool read_positions(const std::string& label);
  bool is_of_owner(Id process);
  Step go_on();
  bool begin_batch();
  bool collect();
  void add_crash();
  void add_reports();
  void finish();

  QueueBackend& backend_;
  std::unique_ptr<JournalSources> sources_;
  std::filesystem::path dead_folder_;
  std::string fingerprint_;
  BatchLimits limits_;
  std::string own_run_;
  bool crashes_only_ = false;
  std::deque<std::string> left_;
  std::vector<JournalRun> runs_;
  std::unique_ptr<Work> work_;
};

}  // namespace codewake::internal
