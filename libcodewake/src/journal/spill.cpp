#include "journal/spill.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/crc32c.hpp"
#include "journal/file_io.hpp"
#include "journal/repair.hpp"

namespace codewake::internal {
namespace {

constexpr std::uint64_t kMostFileBytes = 16u << 20;
constexpr std::size_t kWord = 8;

std::uint32_t block_crc(const BlockHeader& header) noexcept {
  return crc32c(&header.lane, sizeof header - offsetof(BlockHeader, lane));
}

BlockHeader header_of(const SpillBlock& block, std::size_t size_bytes) noexcept {
  BlockHeader header{.magic = kBlockMagic,
                     .crc = 0,
                     .lane = block.lane,
                     .size_bytes = static_cast<std::uint32_t>(size_bytes),
                     .from_position = block.from,
                     .tick_source = static_cast<std::uint32_t>(block.ticks),
                     .unused = 0,
                     .clock = block.clock};
  header.crc = block_crc(header);
  return header;
}

bool is_valid(const BlockHeader& header) noexcept {
  return header.magic == kBlockMagic && header.crc == block_crc(header) && header.size_bytes % kWord == 0 &&
         header.size_bytes <= kSlotBytes && header.from_position <= kLastPosition;
}

bool is_nothing(const BlockHeader& header) noexcept {
  static constexpr char kZeros[sizeof header] = {};
  return std::memcmp(&header, kZeros, sizeof header) == 0;
}

std::error_code last_error() noexcept {
  return {errno, std::generic_category()};
}

std::string name_of(std::uint32_t file) {
  return fmt::format("spill-{:06}", file);
}

}  // namespace

Spill::Spill(std::shared_ptr<const Folder> folder, std::uint64_t limit_bytes)
    : folder_(std::move(folder)),
      limit_bytes_(limit_bytes),
      file_bytes_(std::min(kMostFileBytes, limit_bytes / 4)) {}

Spill::~Spill() {
  close_in_child();
}

void Spill::close_in_child() noexcept {
  files_.clear();
  written_ = {};
  read_ = {};
}

// Opened again, too, where the program has closed the descriptor.
std::error_code Spill::hold(OpenFile& file, std::uint32_t number) const {
  if (file.number == number && file.held.is_open()) return {};
  FileDescriptor opened = folder_->open_file(name_of(number), O_RDWR);
  if (opened.number() < 0) return last_error();
  file = {.number = number, .held = HeldFile(std::move(opened))};
  return {};
}

bool Spill::has_room(std::size_t size_bytes) const noexcept {
  return used_bytes_ + sizeof(SpillHeader) + sizeof(BlockHeader) + size_bytes <= limit_bytes_;
}

std::size_t Spill::most_block_bytes() noexcept {
  constexpr std::size_t kHeaders = sizeof(SpillHeader) + sizeof(BlockHeader);
  return std::max<std::size_t>(most_file_bytes(), kHeaders) - kHeaders;
}

std::error_code Spill::open_next() {
  const std::uint32_t number = current_ + 1;
  SpillHeader header{};
  std::memcpy(header.magic, kSpillMagic, sizeof kSpillMagic);
  header.version = kJournalVersion;
  header.crc = crc32c(&header, offsetof(SpillHeader, crc));
  const std::string name = name_of(number);
  // First, for without memory there must be no file.
  const auto entry = files_.try_emplace(number, File{.size_bytes = sizeof header}).first;
  FileDescriptor file = folder_->open_file(name, O_RDWR | O_CREAT | O_EXCL);
  std::error_code error = file.number() < 0 ? last_error() : std::error_code();
  HeldFile held(std::move(file));
  if (!error) {
    error = write_at(held.fd(), &header, sizeof header, 0);
    if (error) static_cast<void>(folder_->remove_file(name));  // it is empty
  }
  if (error) {
    files_.erase(entry);
    return error;
  }
  written_ = {.number = number, .held = std::move(held)};
  is_folder_synced_ = false;
  used_bytes_ += sizeof header;
  const std::uint32_t before = std::exchange(current_, number);
  const auto old = files_.find(before);
  if (old != files_.end() && old->second.blocks == 0) remove(before);
  return {};
}

std::error_code Spill::append(SpillBlock& block, std::span<const char> bytes) {
  auto file = files_.find(current_);
  const auto is_full = [&](const File& out) {
    // A block that fits into no file is a full disk, which the write says.
    const bool needs_another = out.size_bytes + sizeof(BlockHeader) + bytes.size() > most_file_bytes() &&
                               bytes.size() <= most_block_bytes();
    return out.size_bytes >= file_bytes_ || needs_another;
  };
  if (file == files_.end() || is_full(file->second)) {
    if (const std::error_code error = open_next()) return error;
    file = files_.find(current_);
  }
  File& out = file->second;
  if (const std::error_code error = hold(written_, file->first)) return error;
  const int fd = written_.held.fd();
  const BlockHeader header = header_of(block, bytes.size());
  // The bytes before the header: a block that was begun and not finished is none.
  std::error_code error = write_at(fd, bytes.data(), bytes.size(), out.size_bytes + sizeof header);
  if (!error) error = write_at(fd, &header, sizeof header, out.size_bytes);
  if (error) {
    static_cast<void>(ftruncate(fd, static_cast<off_t>(out.size_bytes)) == 0);
    return error;
  }
  block.file = current_;
  block.offset = out.size_bytes + sizeof header;
  out.size_bytes += sizeof header + bytes.size();
  used_bytes_ += sizeof header + bytes.size();
  ++out.blocks;
  out.is_synced = false;
  return {};
}

std::error_code Spill::sync() {
  for (auto& [number, file] : files_) {
    if (file.is_synced) continue;
    OpenFile& used = number == written_.number ? written_ : read_;
    if (const std::error_code error = hold(used, number)) return error;
    if (fdatasync(used.held.fd()) != 0) return last_error();
    file.is_synced = true;
  }
  if (is_folder_synced_) return {};
  const std::error_code error = folder_->sync();
  is_folder_synced_ = !error;
  return error;
}

std::error_code Spill::read(const SpillBlock& block, std::vector<std::uint64_t>& words) const {
  if (!files_.contains(block.file)) return std::make_error_code(std::errc::no_such_file_or_directory);
  const std::size_t size = block.to - block.from;
  words.resize(size / kWord);
  if (const std::error_code error = hold(read_, block.file)) return error;
  try {
    words.resize(read_at(read_.held.fd(), words.data(), size, block.offset) / kWord);
  } catch (const std::system_error& error) {
    return error.code();
  }
  return {};
}

void Spill::release(const SpillBlock& block) noexcept {
  const auto file = files_.find(block.file);
  if (file == files_.end() || --file->second.blocks != 0) return;
  if (block.file != current_) {
    remove(block.file);
  } else if (!hold(written_, block.file) && ftruncate(written_.held.fd(), sizeof(SpillHeader)) == 0) {
    used_bytes_ -= file->second.size_bytes - sizeof(SpillHeader);
    file->second.size_bytes = sizeof(SpillHeader);
  }
}

void Spill::remove(std::uint32_t number) noexcept {
  const auto file = files_.find(number);
  static_cast<void>(folder_->remove_file(name_of(number)));  // what stays goes with the folder
  if (read_.number == number) read_ = {};
  used_bytes_ -= file->second.size_bytes;
  files_.erase(file);
}

std::vector<SpillBlock> read_spill_blocks(int fd, std::uint32_t file, std::uint64_t& skipped_bytes) {
  struct stat status {};
  if (fstat(fd, &status) != 0) throw std::system_error(last_error(), "reading a journal");
  const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
  // A writer begins another file once one has kMostFileBytes.
  const std::uint64_t size = std::min(file_bytes, kMostFileBytes + sizeof(BlockHeader) + kSlotBytes);
  skipped_bytes += file_bytes - size;
  std::vector<SpillBlock> blocks;
  constexpr std::size_t kWindow = 64 * 1024;
  std::vector<char> window;
  std::uint64_t window_at = 0;
  std::uint64_t passed_over = 0;
  bool is_unfinished = false;  // where a header should be is nothing: the block was being written
  std::uint64_t at = sizeof(SpillHeader);
  while (at + sizeof(BlockHeader) <= size) {
    if (at < window_at || at + sizeof(BlockHeader) > window_at + window.size()) {
      window.resize(kWindow);
      window.resize(read_at(fd, window.data(), kWindow, at));
      window_at = at;
      if (window.size() < sizeof(BlockHeader)) break;
    }
    BlockHeader header;
    std::memcpy(&header, window.data() + (at - window_at), sizeof header);
    // Where a block is known to begin, a flipped bit is turned back; elsewhere it would be looked for
    // everywhere.
    const bool is_expected = passed_over == 0 && !is_nothing(header);
    const auto is_good = [](const BlockHeader& h) { return is_valid(h); };
    if (is_expected ? !is_good_or_repaired(header, is_good) : !is_valid(header)) {
      if (passed_over == 0) is_unfinished = is_nothing(header);
      at += kWord;
      passed_over += kWord;
      continue;
    }
    skipped_bytes += std::exchange(passed_over, 0);
    at += sizeof header;
    const std::uint64_t there = std::min<std::uint64_t>(header.size_bytes, (size - at) / kWord * kWord);
    skipped_bytes += header.size_bytes - there;
    blocks.push_back({.file = file,
                      .offset = at,
                      .lane = header.lane,
                      .from = header.from_position,
                      .to = header.from_position + there,
                      .ticks = static_cast<TickSource>(header.tick_source),
                      .clock = header.clock});
    at += there;
  }
  if (passed_over != 0 && !is_unfinished) skipped_bytes += size - (at - passed_over);
  return blocks;
}

}  // namespace codewake::internal
