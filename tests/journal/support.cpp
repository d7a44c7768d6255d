#include "journal/support.hpp"

#include <fmt/format.h>

#include <cstring>
#include <stdexcept>

#include "journal/event_codec.hpp"
#include "journal/format.hpp"
#include "journal/places.hpp"

namespace codewake::testing {

using internal::Accepted;
using internal::DeadJournal;
using internal::LiveJournal;
using internal::TakenRecord;

namespace {

template <class Journal>
std::vector<Collected> collect_from(Journal& journal) {
  std::vector<Collected> records;
  journal.collect([&](const TakenRecord& record) {
    std::string content;
    std::span<const char> payload = record.payload;
    if ((record.header.flags & internal::kExternal) != 0) {
      const std::error_code error = journal.read_external(record, content);
      if (error) content = error.message();
      payload = content;
    }
    records.push_back({.lane = record.lane,
                       .position = record.position,
                       .next_position = record.next_position,
                       .text = text_of(payload),
                       .time = record.time});
    return true;
  });
  return records;
}

}  // namespace

Piece::Piece(std::uint32_t lane, std::uint64_t position, std::size_t size_bytes)
    : words_(size_bytes / sizeof(std::uint64_t)), lane_(lane), position_(position) {
  char* const begin = bytes().data();
  lane_.writer.at = begin;
  lane_.writer.end = begin + bytes().size() - internal::kEndOfSlotBytes;
  lane_.writer.position_offset = position - reinterpret_cast<std::uintptr_t>(begin);
}

std::size_t Piece::add(std::string_view text, internal::RecordContext context) {
  const AttributeArgument data[] = {{"n", text}};
  return add(EventInput{.data = data}, context);
}

std::size_t Piece::add(const EventInput& event, internal::RecordContext context) {
  const std::size_t offset = size();
  if (!append_event(lane_, event, context)) throw std::logic_error("the piece is too small");
  return offset;
}

void Piece::stamp(std::size_t offset, std::uint64_t ticks) {
  char* const record = bytes().data() + offset;
  std::uint32_t length = 0;
  std::memcpy(&length, record, sizeof length);
  std::memcpy(record + 8, &ticks, sizeof ticks);
  const std::uint32_t crc =
      internal::record_crc(record, length, internal::place_word(lane_.id, position_ + offset));
  std::memcpy(record + 4, &crc, sizeof crc);
}

std::size_t Piece::size() const noexcept {
  return lane_.position() - position_;
}

std::string Piece::written() const {
  return {reinterpret_cast<const char*>(words_.data()), size() + sizeof(std::uint64_t)};
}

std::span<char> Piece::bytes() noexcept {
  return {reinterpret_cast<char*>(words_.data()), words_.size() * sizeof(std::uint64_t)};
}

AlignedBytes::AlignedBytes(std::string_view bytes) : words_((bytes.size() + 7) / 8 + 1), size_(bytes.size()) {
  std::memcpy(words_.data(), bytes.data(), bytes.size());
}

std::span<const char> AlignedBytes::span() const noexcept {
  return {reinterpret_cast<const char*>(words_.data()), size_};
}

std::string to_spaced_hex(std::string_view bytes) {
  std::string hex;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    hex += fmt::format("{}{:02x}",
                       i == 0        ? ""
                       : i % 16 == 0 ? "\n"
                                     : " ",
                       static_cast<unsigned char>(bytes[i]));
  }
  return hex;
}

std::string from_spaced_hex(std::string_view hex) {
  std::string bytes;
  std::string digits;
  for (const char c : hex) {
    if (c == ' ' || c == '\n') continue;
    digits += c;
    if (digits.size() < 2) continue;
    bytes += static_cast<char>(std::stoi(digits, nullptr, 16));
    digits.clear();
  }
  return bytes;
}

std::string text_of(std::span<const char> payload) {
  internal::DecodedEvent event;
  if (!internal::decode_event(payload, event)) return "(no event)";
  if (event.data.size() != 1 || event.data[0].value.kind() != Value::Kind::text) return "(no text)";
  return std::string(event.data[0].value.borrowed_text());
}

std::shared_ptr<const internal::Folder> opened(const std::filesystem::path& folder) {
  return std::make_shared<const internal::Folder>(internal::Folder::open(folder));
}

std::filesystem::path front_root_of(const std::filesystem::path& journal_folder) {
  const std::vector<std::filesystem::path> roots = internal::front_roots(journal_folder);
  for (const std::filesystem::path& root : roots) {
    if (std::filesystem::exists(root)) return root;
  }
  const internal::Folder made = internal::make_front_root(journal_folder, 1);
  static_cast<void>(made.remove());
  return made.path();
}

JournalFolder::~JournalFolder() {
  std::error_code ignored;  // a test that fails to clean up has not failed
  std::filesystem::remove_all(front_root(), ignored);
}

internal::JournalOptions JournalFolder::options(std::uint32_t slot_count) const {
  return {.folder = path(),
          .slot_count = slot_count,
          .about = {.run = internal::make_run_name(now()),
                    .fingerprint = "fingerprint",
                    .store = "a store",
                    .executable = "/bin/program",
                    .pid = 42,
                    .started = Time(std::chrono::seconds(1'700'000'000))}};
}

std::unique_ptr<DeadJournal> JournalFolder::take_over(const std::string& run) const {
  return DeadJournal::take_over(internal::open_roots(path()), run);
}

Accepted write(LiveJournal& journal, internal::Lane& lane, std::string_view text) {
  const AttributeArgument data[] = {{"n", text}};
  const EventInput event{.data = data};
  const internal::RecordContext context{.ticks = journal.ticks(), .process = 1, .flags = 0};
  if (append_event(lane, event, context)) return Accepted::yes;
  std::uint64_t position = 0;
  const Accepted accepted = journal.append(lane, event, context, position);
  return accepted == Accepted::full ? journal.append_common(event, context, position) : accepted;
}

std::vector<Collected> collect_all(LiveJournal& journal) {
  return collect_from(journal);
}

std::vector<Collected> collect_all(DeadJournal& journal) {
  return collect_from(journal);
}

std::vector<std::string> texts(const std::vector<Collected>& records) {
  std::vector<std::string> found;
  for (const Collected& record : records) found.push_back(record.text);
  return found;
}

std::vector<std::string> numbered(std::string_view prefix, std::size_t count, std::size_t first) {
  std::vector<std::string> names;
  for (std::size_t i = first; i < first + count; ++i) names.push_back(fmt::format("{}{}", prefix, i));
  return names;
}

std::size_t count_files(const std::filesystem::path& folder, std::string_view prefix) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    count += entry.path().filename().string().starts_with(prefix);
  }
  return count;
}

}  // namespace codewake::testing
