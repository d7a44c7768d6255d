// The journal of a run that is dead: what was not stored of it, read from its files, whatever state they are
// in.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "base/tick_clock.hpp"
#include "journal/live_journal.hpp"
#include "journal/record_scanner.hpp"
#include "journal/run_folder.hpp"
#include "journal/spill.hpp"
#include "stacktrace/crash_page.hpp"

namespace codewake::internal {

/// Thread-bound.
class DeadJournal {
 public:
  /// Locks the run's folders in these roots, see `open_roots`; null where its owner lives, or another
  /// recoverer has it, or nothing of this user is left of it. Throws std::system_error where something is
  /// there and cannot be read.
  static std::unique_ptr<DeadJournal> take_over(const std::vector<std::shared_ptr<const Folder>>& roots,
                                                const std::string& run);

  ~DeadJournal();
  DeadJournal(const DeadJournal&) = delete;
  DeadJournal& operator=(const DeadJournal&) = delete;

  const std::string& run() const noexcept { return run_; }
  /// Empty where no file tells any more whose it was.
  const std::optional<RunAbout>& about() const noexcept { return about_; }

  /// Opens the files: what there is, is known then. Throws std::system_error.
  void open();

  /// Goes on at `position`, unless the lane has been read further.
  void skip_to(std::uint32_t lane, std::uint64_t position);

  /// As LiveJournal::collect.
  void collect(const std::function<bool(const TakenRecord&)>& take);
  std::error_code read_external(const TakenRecord& record, std::string& content) const;

  /// What the run died of; null where it did not crash.
  const CrashPage* crash() const noexcept { return crash_.get(); }
  void skip_crash() noexcept { crash_.reset(); }

  /// Whether nothing is left to collect.
  bool is_at_end();

  std::uint64_t skipped_bytes() const noexcept { return skipped_bytes_; }
  /// Events that the run did not take, and of how many of these it has told by an event.
  std::uint64_t losses() const noexcept { return losses_; }
  std::uint64_t reported_losses() const noexcept { return reported_losses_; }
  /// Events that were in a front that is gone or in the spill, when the run noted it last, less those that
  /// were stored then; 0 where the front is there.
  std::uint64_t gone_events() const noexcept { return gone_events_; }
  std::uint64_t size_bytes() const noexcept { return size_bytes_; }

  /// A file beside the journal, of at most kMostNoteBytes; empty where there is none.
  std::string read_note(const std::string& name) const;
  static constexpr std::size_t kMostNoteBytes = 4u << 20;

  /// Deletes the files, and gives up the locks. Says what could not be deleted.
  std::error_code remove();

 private:
  /// A piece of a lane: a block of the spill, or a slot of the front, of which the end is not known.
  struct Piece {
    std::shared_ptr<const FileDescriptor> file;
    std::uint64_t offset = 0;
    std::uint64_t from = 0;
    std::uint64_t to = 0;  ///< at most
    bool is_slot = false;
    std::shared_ptr<const ClockLines> clock;
  };
  struct LaneState {
    using Taken = TakenRecord;

    std::uint32_t id = 0;
    std::uint64_t position = 0;
    std::vector<Piece> pieces;
    std::size_t piece = 0;  ///< the next to be opened
    std::vector<std::uint64_t> words;
    std::optional<RecordScanner> scanner;
    std::uint64_t torn_bytes = 0;  ///< at the end of the last piece; the next may have them whole
  };

  DeadJournal(std::string run, std::vector<RunFolder> folders);

  void open_front(const RunFolder& folder);
  void open_spill(const RunFolder& folder);
  void look_for_account();
  void add_slots(const std::shared_ptr<const FileDescriptor>& file, const FrontHeader& header,
                 std::uint64_t file_bytes);
  static std::shared_ptr<const ClockLines> clock_of(const FrontHeader& header);
  LaneState& lane(std::uint32_t id);
  bool peek(LaneState& lane, TakenRecord& record);
  bool open_piece(LaneState& lane);

  std::string run_;
  std::vector<RunFolder> folders_;
  std::optional<RunAbout> about_;
  std::map<std::uint32_t, LaneState> lanes_;
  std::unique_ptr<CrashPage> crash_;
  std::uint64_t skipped_bytes_ = 0;
  std::uint64_t losses_ = 0, reported_losses_ = 0;
  std::uint64_t gone_events_ = 0;
  std::uint64_t size_bytes_ = 0;
  bool has_front_ = false;
};

}  // namespace codewake::internal
