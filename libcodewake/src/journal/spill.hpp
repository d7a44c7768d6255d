// The part of a run's journal that is on disk: blocks of the lanes' bytes, in files that are written to their
// end and deleted when nothing in them is needed any more.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "base/folder.hpp"
#include "base/held_file.hpp"
#include "journal/format.hpp"

namespace codewake::internal {

/// Where a piece of a lane lies in the spill.
struct SpillBlock {
  std::uint32_t file = 0;
  std::uint64_t offset = 0;  ///< of the bytes, behind the block's header
  std::uint32_t lane = 0;
  std::uint64_t from = 0;  ///< positions in the lane
  std::uint64_t to = 0;
  TickSource ticks = TickSource::realtime;
  ClockPoints clock = {};
};

/// Has two descriptors, however much there is: one to write, one to read. Thread-bound to the holder of the
/// lock that guards it, but for `used_bytes`.
class Spill {
 public:
  /// Files go into `folder` and take `limit_bytes` in all.
  Spill(std::shared_ptr<const Folder> folder, std::uint64_t limit_bytes);
  Spill(const Spill&) = delete;
  Spill& operator=(const Spill&) = delete;
  ~Spill();

  /// Whether a block of so many bytes stays within the limit.
  bool has_room(std::size_t size_bytes) const noexcept;

  /// How large a block can be in a file that is no larger than the process may make one.
  static std::size_t most_block_bytes() noexcept;

  /// Appends a block; `block` says which, and is told where. After an error nothing has changed.
  std::error_code append(SpillBlock& block, std::span<const char> bytes);

  /// Returns once what was appended survives the machine.
  std::error_code sync();

  /// Reads a block's bytes.
  std::error_code read(const SpillBlock& block, std::vector<std::uint64_t>& words) const;

  /// The block is stored: its file goes when all of its blocks are.
  void release(const SpillBlock& block) noexcept;

  std::uint64_t used_bytes() const noexcept { return used_bytes_; }

  void close_in_child() noexcept;

 private:
  struct File {
    std::uint64_t size_bytes = 0;
    std::uint32_t blocks = 0;
    bool is_synced = true;
  };
  struct OpenFile {
    std::uint32_t number = 0;  // 0: none
    HeldFile held = {};
  };

  std::error_code hold(OpenFile& file, std::uint32_t number) const;
  std::error_code open_next();
  void remove(std::uint32_t number) noexcept;

  std::shared_ptr<const Folder> folder_;
  std::uint64_t limit_bytes_;
  std::uint64_t file_bytes_;
  std::uint64_t used_bytes_ = 0;
  std::uint32_t current_ = 0;
  bool is_folder_synced_ = true;
  std::map<std::uint32_t, File> files_;
  OpenFile written_;
  mutable OpenFile read_;
};

/// The blocks of a spill file of a dead run, as far as they can be read; `skipped_bytes` are those that
/// should have been blocks. What lies behind the largest size that a writer lets a file have is not read.
/// Throws std::system_error where the file cannot be read.
std::vector<SpillBlock> read_spill_blocks(int fd, std::uint32_t file, std::uint64_t& skipped_bytes);

}  // namespace codewake::internal
