// What the journal's tests share: pieces of lanes in memory, folders, and what is read from a journal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/event.hpp"
#include "journal/dead_journal.hpp"
#include "journal/lane.hpp"
#include "journal/live_journal.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {

/// A piece of a lane in memory, written as a slot is. `words` holds `bytes`, zeros at first.
class Piece {
 public:
  explicit Piece(std::uint32_t lane, std::uint64_t position = 0, std::size_t size_bytes = 4096);
  Piece(const Piece&) = delete;
  Piece& operator=(const Piece&) = delete;

  /// Appends an event with this text; the result is where it begins, in the piece.
  std::size_t add(std::string_view text, internal::RecordContext context = {});
  std::size_t add(const EventInput& event, internal::RecordContext context = {});
  /// Gives the record at `offset` another time, and a checksum that fits to it.
  void stamp(std::size_t offset, std::uint64_t ticks);

  internal::Lane& lane() noexcept { return lane_; }
  std::size_t size() const noexcept;  ///< of what has been written
  /// With the word behind it, as it lies in a slot.
  std::string written() const;
  std::span<char> bytes() noexcept;

 private:
  std::vector<std::uint64_t> words_;
  internal::Lane lane_;
  std::uint64_t position_;
};

/// Bytes aligned as a scanner wants them.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::string_view bytes);
  std::span<const char> span() const noexcept;

 private:
  std::vector<std::uint64_t> words_;
  std::size_t size_;
};

/// `48 65 78` for bytes, and back.
std::string to_spaced_hex(std::string_view bytes);
std::string from_spaced_hex(std::string_view hex);

/// The text of an event that `Piece::add` or `write` wrote; anything else is told in brackets.
std::string text_of(std::span<const char> payload);

std::shared_ptr<const internal::Folder> opened(const std::filesystem::path& folder);

/// Where the front of a run that keeps its journal there goes on this machine; nothing is left of having
/// looked.
std::filesystem::path front_root_of(const std::filesystem::path& journal_folder);

/// A journal folder, with what belongs to it in shared memory: gone afterwards.
class JournalFolder {
 public:
  JournalFolder() = default;
  JournalFolder(const JournalFolder&) = delete;
  JournalFolder& operator=(const JournalFolder&) = delete;
  ~JournalFolder();

  const std::filesystem::path& path() const noexcept { return folder_.path(); }
  std::filesystem::path front_root() const { return front_root_of(path()); }

  /// Options for a new run.
  internal::JournalOptions options(std::uint32_t slot_count = 16) const;

  std::unique_ptr<internal::DeadJournal> take_over(const std::string& run) const;

 private:
  TemporaryFolder folder_;
};

/// A record that was collected.
struct Collected {
  std::uint32_t lane = 0;
  std::uint64_t position = 0;
  std::uint64_t next_position = 0;
  std::string text = {};
  Time time = {};
};

/// Writes an event with this text, the way that a program's thread does.
internal::Accepted write(internal::LiveJournal& journal, internal::Lane& lane, std::string_view text);

/// Everything that there is to collect now.
std::vector<Collected> collect_all(internal::LiveJournal& journal);
std::vector<Collected> collect_all(internal::DeadJournal& journal);
std::vector<std::string> texts(const std::vector<Collected>& records);

/// `prefix0`, `prefix1`, …
std::vector<std::string> numbered(std::string_view prefix, std::size_t count, std::size_t first = 0);

/// How many files in a folder have names that begin so.
std::size_t count_files(const std::filesystem::path& folder, std::string_view prefix);

}  // namespace codewake::testing
