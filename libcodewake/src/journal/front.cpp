#include "journal/front.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/address_space.hpp"
#include "base/control_group.hpp"
#include "base/crc32c.hpp"
#include "base/file_size_signal.hpp"
#include "journal/file_io.hpp"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace codewake::internal {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::uint32_t kLeastInMemory = 2;

constexpr std::size_t round_up(std::size_t size, std::size_t unit) {
  return (size + unit - 1) / unit * unit;
}

constexpr std::size_t offset_of_slots(std::uint32_t slot_count) {
  return round_up(kLaneTableOffset + (slot_count + 1) * sizeof(StoredUpTo), kPage);
}

int reserve_range(int fd, std::size_t offset, std::size_t size) noexcept {
  const NoFileSizeSignal guard;
  int error = EINTR;
  while (error == EINTR) {
    error = posix_fallocate(fd, static_cast<off_t>(offset), static_cast<off_t>(size));
  }
  return error;
}

// As large as a file may be.
std::uint32_t slots_of_file(std::uint32_t most_slots) noexcept {
  const std::uint64_t most_bytes = most_file_bytes(), fixed = offset_of_slots(most_slots);
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(most_slots, most_bytes < fixed ? 0 : (most_bytes - fixed) / kSlotBytes));
}

std::uint32_t place_crc(std::uint32_t lane, std::uint64_t position) noexcept {
  const std::uint64_t place = place_word(lane, position);
  return crc32c(&place, sizeof place);
}

std::uint32_t slot_crc(const SlotHeader& header) noexcept {
  return crc32c(&header.lane, sizeof header - offsetof(SlotHeader, lane));
}

}  // namespace

std::uint32_t affordable_slots() noexcept {
  constexpr std::uint64_t kMost = std::uint64_t{kMostSlots} * kSlotBytes;
  constexpr std::uint64_t kLeast = 4u << 20;
  constexpr std::uint64_t kPart = 32;
  std::uint64_t memory = control_group_memory();
  struct sysinfo info {};
  if (sysinfo(&info) == 0)
    memory = std::min<std::uint64_t>(memory, std::uint64_t{info.totalram} * info.mem_unit);
  return static_cast<std::uint32_t>(std::clamp(memory / kPart, kLeast, kMost) / kSlotBytes);
}

Front::Front(const Folder* folder, std::uint32_t most_slots, TickSource ticks) : is_file_(folder != nullptr) {
  int error = 0;
  if (is_file_) {
    FileDescriptor file = folder->open_file(kFile, O_RDWR | O_CREAT | O_EXCL);
    if (file.number() < 0) error = errno;
    file_ = HeldFile(std::move(file));
  }
  if (error == 0) {
    error = map_most(is_file_ ? slots_of_file(most_slots) : most_slots,
                     std::min(is_file_ ? kLeastSlots : kLeastInMemory, most_slots));
    // The first error is the one to tell.
    if (error != 0 && is_file_) static_cast<void>(folder->remove_file(kFile));
  }
  if (error != 0)
    throw std::system_error(error, std::generic_category(),
                            is_file_ ? (folder->path() / kFile).string() : "memory for the journal");
  write_header(ticks);
}

Front::~Front() {
  if (base_ != nullptr) munmap(base_, size_bytes_);
}

// Address space and locked memory may be short: then half of it. The program, the store and their threads
// need address space, too.
int Front::map_most(std::uint32_t most_slots, std::uint32_t least_slots) noexcept {
  constexpr std::uint64_t kPart = 4;
  const std::uint64_t affordable =
      std::max<std::uint64_t>(address_space_left() / kPart / kSlotBytes, least_slots);
  int error = EFBIG;
  for (auto slots = static_cast<std::uint32_t>(std::min<std::uint64_t>(most_slots, affordable));
       slots >= least_slots && slots != 0; slots /= 2) {
    error = map(slots);
    if (error != ENOMEM && error != EAGAIN) return error;
  }
  return error;
}

// After mlockall(MCL_FUTURE), a mapping has all of its pages at once, and those of a file would be there
// without having been reserved. So it is made without access, and unlocked.
int Front::map(std::uint32_t slot_count) noexcept {
  slot_count_ = slot_count;
  slots_offset_ = offset_of_slots(slot_count);
  size_bytes_ = slots_offset_ + std::size_t{slot_count} * kSlotBytes;
  if (is_file_) {
    const NoFileSizeSignal guard;
    if (ftruncate(file_.fd(), static_cast<off_t>(size_bytes_)) != 0) return errno;
    if (const int error = reserve_range(file_.fd(), 0, slots_offset_); error != 0) return error;
  }
  const int kind = MAP_SHARED | MAP_NORESERVE | (is_file_ ? 0 : MAP_ANONYMOUS);
  void* const mapped = mmap(nullptr, size_bytes_, PROT_NONE, kind, is_file_ ? file_.fd() : -1, 0);
  if (mapped == MAP_FAILED) return errno;
  munlock(mapped, size_bytes_);
  if (mprotect(mapped, size_bytes_, PROT_READ | PROT_WRITE) != 0) {
    const int error = errno;
    munmap(mapped, size_bytes_);
    return error;
  }
  base_ = static_cast<char*>(mapped);
  return 0;
}

void Front::write_header(TickSource ticks) noexcept {
  FrontHeader& written = header();
  std::memcpy(written.magic, kFrontMagic, sizeof kFrontMagic);
  written.version = kFrontVersion;
  written.slot_bytes = kSlotBytes;
  written.slot_count = slot_count_;
  written.lane_count = lane_count();
  written.slots_offset = static_cast<std::uint32_t>(slots_offset_);
  written.tick_source = static_cast<std::uint32_t>(ticks);
  written.crc = crc32c(&written, offsetof(FrontHeader, crc));
}

std::uint32_t Front::slots_with_room() const noexcept {
  struct statvfs system {};
  if (!file_.is_open() || fstatvfs(file_.fd(), &system) != 0) return slot_count_;
  if (system.f_blocks == 0) return slot_count_;  // memory without a limit of its own
  const std::uint64_t slots = std::uint64_t{system.f_bavail} * system.f_frsize / kSlotBytes;
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(slots + (has_least_ ? kLeastSlots : 0), slot_count_));
}

int Front::reserve_least() noexcept {
  if (!file_.is_open() || std::exchange(has_tried_least_, true)) return 0;
  const std::size_t least = std::min(kLeastSlots, slot_count_) * kSlotBytes;
  const int error = reserve_range(file_.fd(), slots_offset_, least);
  has_least_ = error == 0;
  return error;
}

int Front::reserve(std::uint32_t index) noexcept {
  const std::size_t offset = slots_offset_ + index * kSlotBytes;
  const bool is_open = file_.is_open();
  if (is_open) {
    if (const int error = reserve_range(file_.fd(), offset, kSlotBytes); error != 0) return error;
  }
  if (madvise(slot(index), kSlotBytes, MADV_POPULATE_WRITE) == 0) return 0;
  if (is_file_ && !is_open) return errno == EFAULT ? ENOSPC : errno;
  if (!is_file_ && errno != EINVAL) return errno == EFAULT ? ENOMEM : errno;
  // A kernel before 5.14: the pages are there, or memory is, so that touching them is enough.
  for (std::size_t at = 0; at < kSlotBytes; at += kPage) {
    std::atomic_ref<char>(slot(index)[at]).store(0, std::memory_order_relaxed);
  }
  return 0;
}

void Front::give_back(std::uint32_t index) noexcept {
  if (is_file_ && index < kLeastSlots) return;
  const std::size_t offset = slots_offset_ + index * kSlotBytes;
  // Where the file system cannot do it, the memory stays in use, and that is all.
  if (file_.is_open()) {
    static_cast<void>(fallocate(file_.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                static_cast<off_t>(offset), static_cast<off_t>(kSlotBytes)));
  } else {
    static_cast<void>(madvise(slot(index), kSlotBytes, MADV_REMOVE));
  }
}

void Front::begin_slot(std::uint32_t index, std::uint32_t lane, std::uint64_t base_position) noexcept {
  char* const at = slot(index);
  auto& written = *reinterpret_cast<SlotHeader*>(at);
  std::memset(at + sizeof(SlotHeader), 0, sizeof(std::uint64_t));
  written.lane = lane;
  written.unused = 0;
  written.base_position = base_position;
  std::memset(written.zeros, 0, sizeof written.zeros);
  written.crc = slot_crc(written);
  std::atomic_ref<std::uint32_t>(written.magic).store(kSlotMagic, std::memory_order_release);
}

void Front::free_slot(std::uint32_t index) noexcept {
  auto& written = *reinterpret_cast<SlotHeader*>(slot(index));
  std::atomic_ref<std::uint32_t>(written.magic).store(0, std::memory_order_release);
}

// Killed in the middle of it, the entry tells nothing, and the store's own position is all there is.
void Front::set_stored(std::uint32_t lane, std::uint64_t position) noexcept {
  StoredUpTo& written = reinterpret_cast<StoredUpTo*>(base_ + kLaneTableOffset)[lane];
  written = {.position = position, .crc = place_crc(lane, position), .unused = 0};
}

void Front::close_in_child() noexcept {
  munmap(base_, size_bytes_);
  base_ = nullptr;
  file_ = HeldFile();
}

bool is_valid(const SlotHeader& header) noexcept {
  return header.magic == kSlotMagic && header.crc == slot_crc(header) &&
         header.base_position <= kLastPosition;
}

std::uint64_t position_of(const StoredUpTo& stored, std::uint32_t lane) noexcept {
  return stored.crc == place_crc(lane, stored.position) ? stored.position : 0;
}

}  // namespace codewake::internal
