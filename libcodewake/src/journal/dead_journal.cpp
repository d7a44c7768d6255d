#include "journal/dead_journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/crc32c.hpp"
#include "journal/account.hpp"
#include "journal/crash_file.hpp"
#include "journal/file_io.hpp"
#include "journal/merge.hpp"
#include "journal/repair.hpp"

namespace codewake::internal {
namespace {

constexpr std::string_view kSpillPrefix = "spill-";

// Null where there is none. What is no regular file of the run's owner is damage, and not waited for.
std::shared_ptr<const FileDescriptor> open_to_read(const Folder& folder, const std::string& name) {
  auto file = std::make_shared<const FileDescriptor>(folder.open_file(name, O_RDONLY));
  if (file->number() >= 0) return file;
  if (errno == ENOENT) return nullptr;
  const bool is_none = errno == EINVAL || errno == EPERM || errno == ELOOP || errno == ENXIO;
  throw std::system_error(
      errno, std::generic_category(),
      (folder.path() / name).string() + (is_none ? " is no regular file of the journal's user" : ""));
}

// What is fixed in it: a header that is not ours gives nothing to go by.
bool is_valid(const FrontHeader& header) {
  return std::memcmp(header.magic, kFrontMagic, sizeof kFrontMagic) == 0 && header.version == kFrontVersion &&
         header.crc == crc32c(&header, offsetof(FrontHeader, crc)) && header.slot_bytes == kSlotBytes &&
         header.slot_count <= kMostSlots;
}

}  // namespace

std::unique_ptr<DeadJournal> DeadJournal::take_over(const std::vector<std::shared_ptr<const Folder>>& roots,
                                                    const std::string& run) {
  std::vector<RunFolder> folders;
  for (const std::shared_ptr<const Folder>& root : roots) {
    if (!root->has(run)) continue;
    auto folder = RunFolder::take_over(root, run);
    if (!folder) return nullptr;
    folders.push_back(std::move(*folder));
  }
  if (folders.empty()) return nullptr;
  return std::unique_ptr<DeadJournal>(new DeadJournal(run, std::move(folders)));
}

DeadJournal::DeadJournal(std::string run, std::vector<RunFolder> folders)
    : run_(std::move(run)), folders_(std::move(folders)) {
  for (const RunFolder& folder : folders_) {
    if (!about_) about_ = folder.read_about();
  }
}

DeadJournal::~DeadJournal() = default;

void DeadJournal::open() {
  for (const RunFolder& folder : folders_) {
    open_spill(folder);
    open_front(folder);
    if (crash_ == nullptr) crash_ = read_crash_page(*folder.folder());
  }
  if (!has_front_) look_for_account();
  for (auto& [id, lane] : lanes_) {
    std::stable_sort(lane.pieces.begin(), lane.pieces.end(),
                     [](const Piece& a, const Piece& b) { return a.from < b.from; });
    if (lane.position == 0 && !lane.pieces.empty() && lane.pieces.front().from != 0) {
      lane.position = lane.pieces.front().from;  // what came before has been stored and let go
    }
  }
}

DeadJournal::LaneState& DeadJournal::lane(std::uint32_t id) {
  LaneState& state = lanes_[id];
  state.id = id;
  return state;
}

void DeadJournal::look_for_account() {
  for (const RunFolder& folder : folders_) {
    const std::optional<Account> account = read_account(*folder.folder());
    if (!account) continue;
    gone_events_ = account->accepted - account->settled;
    losses_ += account->lost;
    reported_losses_ += account->reported;
    return;
  }
}

void DeadJournal::open_spill(const RunFolder& folder) {
  std::vector<std::pair<std::uint32_t, std::string>> files;
  for (std::string& name : folder.folder()->entries()) {
    std::uint32_t number = 0;
    if (!name.starts_with(kSpillPrefix)) continue;
    std::from_chars(name.data() + kSpillPrefix.size(), name.data() + name.size(), number);
    files.emplace_back(number, std::move(name));
  }
  std::sort(files.begin(), files.end());
  for (const auto& [number, name] : files) {
    const auto file = open_to_read(*folder.folder(), name);
    if (file == nullptr) continue;
    size_bytes_ += size_of(file->number());
    for (const SpillBlock& block : read_spill_blocks(file->number(), number, skipped_bytes_)) {
      const auto clock = std::make_shared<ClockLines>(block.ticks);
      clock->add({.from_ticks = 0, .points = block.clock});
      lane(block.lane)
          .pieces.push_back({.file = file,
                             .offset = block.offset,
                             .from = block.from,
                             .to = block.to,
                             .is_slot = false,
                             .clock = clock});
    }
  }
}

// The oldest that would have room may be half written over.
std::shared_ptr<const ClockLines> DeadJournal::clock_of(const FrontHeader& header) {
  auto clock = std::make_shared<ClockLines>(static_cast<TickSource>(header.tick_source));
  const std::uint64_t count = std::min<std::uint64_t>(header.clock_lines, kFrontLines - 1);
  for (std::uint64_t i = header.clock_lines - count; i < header.clock_lines; ++i)
    clock->add(header.clock[i % kFrontLines]);
  return clock;
}

void DeadJournal::open_front(const RunFolder& folder) {
  const auto file = open_to_read(*folder.folder(), Front::kFile);
  if (file == nullptr) return;
  has_front_ = true;
  const int fd = file->number();
  FrontHeader header{};
  const std::uint64_t file_bytes = size_of(fd);
  const auto is_good = [](const FrontHeader& h) { return is_valid(h); };
  constexpr std::size_t kFixedBytes = offsetof(FrontHeader, crc) + sizeof header.crc;
  if (read_at(fd, &header, sizeof header, 0) < sizeof header ||
      !is_good_or_repaired(header, is_good, kFixedBytes)) {
    skipped_bytes_ += file_bytes;
    return;
  }
  losses_ += header.lost_full + header.lost_error;
  reported_losses_ += header.lost_reported;
  add_slots(file, header, file_bytes);
  std::vector<StoredUpTo> stored(header.slot_count + 1);
  stored.resize(read_at(fd, stored.data(), stored.size() * sizeof stored[0], kLaneTableOffset) /
                sizeof stored[0]);
  for (auto& [id, state] : lanes_) {
    if (id < stored.size()) state.position = std::max(state.position, position_of(stored[id], id));
  }
}

void DeadJournal::add_slots(const std::shared_ptr<const FileDescriptor>& file, const FrontHeader& header,
                            std::uint64_t file_bytes) {
  const std::shared_ptr<const ClockLines> clock = clock_of(header);
  // What somebody has cut off may have held records, or not.
  const std::uint64_t whole = header.slots_offset + std::uint64_t{header.slot_count} * kSlotBytes;
  if (file_bytes < whole) skipped_bytes_ += whole - file_bytes;
  for (std::uint32_t slot = 0; slot < header.slot_count; ++slot) {
    const std::uint64_t offset = header.slots_offset + std::uint64_t{slot} * kSlotBytes;
    if (offset + sizeof(SlotHeader) > file_bytes) break;
    const off_t data = lseek(file->number(), static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // holes up to the end
    if (data >= static_cast<off_t>(offset + kSlotBytes)) continue;
    SlotHeader found{};
    if (read_at(file->number(), &found, sizeof found, offset) < sizeof found) continue;
    if (std::popcount(found.magic) <= 1) continue;  // free, whatever has become of a bit
    size_bytes_ += kSlotBytes;
    if (!is_good_or_repaired(found, [](const SlotHeader& h) { return internal::is_valid(h); })) {
      skipped_bytes_ += kSlotBytes;
      continue;
    }
    lane(found.lane)
        .pieces.push_back({.file = file,
                           .offset = offset + sizeof found,
                           .from = found.base_position,
                           .to = found.base_position + kSlotBytes - sizeof found,
                           .is_slot = true,
                           .clock = clock});
  }
}

void DeadJournal::skip_to(std::uint32_t id, std::uint64_t position) {
  const auto found = lanes_.find(id);
  if (found == lanes_.end() || found->second.position >= position) return;
  found->second.position = position;
  found->second.scanner.reset();
  found->second.piece = 0;
}

bool DeadJournal::open_piece(LaneState& lane) {
  for (; lane.piece < lane.pieces.size(); ++lane.piece) {
    const Piece& piece = lane.pieces[lane.piece];
    if (piece.to <= lane.position) continue;
    lane.torn_bytes = 0;
    if (piece.from > lane.position) {
      skipped_bytes_ += piece.from - lane.position;
      lane.position = piece.from;
    }
    const std::size_t size = piece.to - piece.from;
    lane.words.assign(size / sizeof(std::uint64_t), 0);
    lane.words.resize(read_at(piece.file->number(), lane.words.data(), size, piece.offset) /
                      sizeof(std::uint64_t));
    const auto* bytes = reinterpret_cast<const char*>(lane.words.data());
    lane.scanner.emplace(std::span(bytes, lane.words.size() * sizeof(std::uint64_t)), lane.id, piece.from);
    lane.scanner->seek(lane.position);
    ++lane.piece;
    return true;
  }
  skipped_bytes_ += std::exchange(lane.torn_bytes, 0);
  return false;
}

bool DeadJournal::peek(LaneState& lane, TakenRecord& record) {
  while (lane.scanner || open_piece(lane)) {
    if (const auto found = lane.scanner->peek()) {
      static_cast<Record&>(record) = *found;
      return true;
    }
    skipped_bytes_ += lane.scanner->skipped_bytes();
    lane.torn_bytes = lane.scanner->torn_bytes();
    lane.position = std::max(lane.position, lane.scanner->position());
    lane.scanner.reset();
    lane.words = {};
  }
  return false;
}

void DeadJournal::collect(const std::function<bool(const TakenRecord&)>& take) {
  std::vector<LaneState*> lanes;
  for (auto& [id, lane] : lanes_) lanes.push_back(&lane);
  merge_by_time(
      lanes, [&](LaneState* lane, TakenRecord& record) { return peek(*lane, record); },
      [&](LaneState* lane, TakenRecord& record) {
        record.time = lane->pieces[lane->piece - 1].clock->to_time(record.header.time);
        if (!take(record)) return false;
        lane->position = record.next_position;
        lane->scanner->pop();
        return true;
      });
}

bool DeadJournal::is_at_end() {
  TakenRecord record;
  return std::none_of(lanes_.begin(), lanes_.end(), [&](auto& lane) { return peek(lane.second, record); });
}

std::error_code DeadJournal::read_external(const TakenRecord& record, std::string& content) const {
  std::error_code error = std::make_error_code(std::errc::no_such_file_or_directory);
  ExternalPayload payload{};
  if (record.payload.size() < sizeof payload) return std::make_error_code(std::errc::bad_message);
  std::memcpy(&payload, record.payload.data(), sizeof payload);
  for (const RunFolder& folder : folders_) {
    error = read_external_file(*folder.folder(), record.lane, record.position, payload, content);
    if (!error) break;
  }
  return error;
}

std::string DeadJournal::read_note(const std::string& name) const {
  for (const RunFolder& folder : folders_) {
    const std::optional<std::string> content = folder.folder()->read_file(name, kMostNoteBytes);
    if (content) return content->size() > kMostNoteBytes ? std::string() : *content;
  }
  return {};
}

std::error_code DeadJournal::remove() {
  std::error_code error;
  lanes_.clear();
  for (RunFolder& folder : folders_) {
    if (const std::error_code failed = folder.remove()) error = failed;
  }
  return error;
}

}  // namespace codewake::internal
