// The front of a run's journal: one file of slots in shared memory, mapped once. What is written to it is the
// kernel's, and outlives the program.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/folder.hpp"
#include "base/held_file.hpp"
#include "journal/format.hpp"

namespace codewake::internal {

/// No front has more.
inline constexpr std::uint32_t kMostSlots = (256u << 20) / kSlotBytes;

/// A front in a file has so many that no other program can take: fewer are no front.
inline constexpr std::uint32_t kLeastSlots = 8;

/// How many slots a front may have on this machine: 256 MiB, but no more than a part of the memory that the
/// machine, or one of the process's control groups, has.
std::uint32_t affordable_slots() noexcept;

/// Its slots and lanes are numbered from 0. Thread-safe: callers see to it that one slot is reserved or given
/// back by one thread at a time.
class Front {
 public:
  /// Makes the file in `folder`, where it must not be; without a folder, memory that is gone with the
  /// process, which takes no descriptor. Where files, the address space or locked memory are limited, there
  /// are fewer slots than `most_slots`. Throws std::system_error where there would be fewer than kLeastSlots
  /// of a file, or than two of memory.
  Front(const Folder* folder, std::uint32_t most_slots, TickSource ticks);
  static constexpr const char* kFile = "front";
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;
  ~Front();

  std::uint32_t slot_count() const noexcept { return slot_count_; }
  /// For how many of them the file system has room now.
  std::uint32_t slots_with_room() const noexcept;
  std::uint32_t lane_count() const noexcept { return slot_count_ + 1; }
  char* slot(std::uint32_t index) const noexcept { return base_ + slots_offset_ + index * kSlotBytes; }
  FrontHeader& header() const noexcept { return *reinterpret_cast<FrontHeader*>(base_); }

  /// Notes that the store has a lane up to `position`. One thread at a time.
  void set_stored(std::uint32_t lane, std::uint64_t position) noexcept;

  /// Takes the pages of the first kLeastSlots slots from the file system, and does not map them: they stay
  /// the front's, and reserve() does not fail for them. Tried once. Returns an error number,
  /// 0 for success. For one thread at a time.
  int reserve_least() noexcept;

  /// Takes a slot's pages from the file system, so that no write to it can fail, and maps them, so that none
  /// is slow. Returns an error number, 0 for success.
  int reserve(std::uint32_t index) noexcept;

  /// Gives the pages back, but for those of reserve_least(). The slot must be free.
  void give_back(std::uint32_t index) noexcept;

  /// Marks a slot as one of a lane's, whose next record is at `base_position`.
  void begin_slot(std::uint32_t index, std::uint32_t lane, std::uint64_t base_position) noexcept;
  void free_slot(std::uint32_t index) noexcept;

  /// In a forked child: the parent's memory is not for it.
  void close_in_child() noexcept;

 private:
  int map_most(std::uint32_t most_slots, std::uint32_t least_slots) noexcept;
  int map(std::uint32_t slot_count) noexcept;
  void write_header(TickSource ticks) noexcept;

  const bool is_file_;
  bool has_tried_least_ = false, has_least_ = false;
  std::uint32_t slot_count_ = 0;
  std::size_t slots_offset_ = 0;
  std::size_t size_bytes_ = 0;
  HeldFile file_;
  char* base_ = nullptr;
};

/// Whether a slot's header says what it should, and of which lane it is.
bool is_valid(const SlotHeader& header) noexcept;

/// The position that was noted; 0 where none was, or it is damaged.
std::uint64_t position_of(const StoredUpTo& stored, std::uint32_t lane) noexcept;

}  // namespace codewake::internal
