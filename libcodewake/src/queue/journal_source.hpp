// Journals of dead runs, wherever they are read: by this process, or by one that has become their owner.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "codewake/stacktrace.hpp"
#include "journal/live_journal.hpp"
#include "journal/run_folder.hpp"
#include "stacktrace/captured_stack.hpp"
#include "stacktrace/crash_page.hpp"

namespace codewake::internal {

/// The journal of one dead run, which is locked as long as the object exists. Functions throw
/// std::system_error where it cannot be read. Thread-bound.
class JournalSource {
 public:
  virtual ~JournalSource() = default;

  virtual const std::string& run() const noexcept = 0;
  /// Empty where no file tells any more whose it was.
  virtual const std::optional<RunAbout>& about() const noexcept = 0;

  /// Looks for what there is: before all that follows.
  virtual void open() = 0;
  virtual std::uint64_t size_bytes() const noexcept = 0;

  /// Goes on at `position`, unless the lane has been read further.
  virtual void skip_to(std::uint32_t lane, std::uint64_t position) = 0;

  /// As LiveJournal::collect.
  virtual void collect(const std::function<bool(const TakenRecord&)>& take) = 0;
  virtual std::error_code read_external(const TakenRecord& record, std::string& content) = 0;

  /// What the run died of; null where it did not crash.
  virtual const CrashPage* crash() const noexcept = 0;
  virtual void skip_crash() noexcept = 0;

  /// Of addresses in that run; of those in its crash page.
  virtual Stacktrace stack_of(const CapturedStack& stack) = 0;
  virtual Stacktrace crash_stack() = 0;

  struct Damage {
    std::uint64_t skipped_bytes = 0;    ///< that should have been records
    std::uint64_t losses = 0;           ///< events that the run did not accept
    std::uint64_t gone_events = 0;      ///< see DeadJournal
    std::uint64_t reported_losses = 0;  ///< of these, those that the run knew a stored event to report
  };
  virtual Damage damage() = 0;

  /// Deletes the files, and gives up the locks. Says what could not be deleted.
  virtual std::error_code remove() = 0;
};

struct JournalUser {
  uid_t number = 0;
  std::string name = {};  ///< the number, where the user has none
};

/// All that there are in one place. Thread-bound.
class JournalSources {
 public:
  virtual ~JournalSources() = default;

  /// Whose journals they are, where that is another user than this process's: what they say of users, ids and
  /// names of runs is not believed then.
  virtual std::optional<JournalUser> other_user() const { return std::nullopt; }

  /// The names of the runs that are there now. Throws std::system_error.
  virtual std::vector<std::string> runs() = 0;
  virtual bool has(const std::string& run) = 0;

  /// Null where its owner lives, or another recoverer has it, or nothing is left of it. Throws
  /// std::system_error.
  virtual std::unique_ptr<JournalSource> take_over(const std::string& run) = 0;
};

}  // namespace codewake::internal
