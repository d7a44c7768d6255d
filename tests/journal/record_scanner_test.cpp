#include "journal/record_scanner.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "journal/append.hpp"
#include "journal/support.hpp"
#include "support/skip.hpp"

using namespace codewake::testing;
using codewake::internal::Record;
using codewake::internal::RecordScanner;

namespace {

constexpr std::uint32_t kLane = 5;
constexpr std::uint64_t kPosition = 8192;

struct Scan {
  std::vector<std::string> texts = {};
  std::vector<std::uint64_t> positions = {};
  std::uint64_t end = 0;
  std::uint64_t skipped = 0;
  std::uint64_t torn = 0;
};

Scan scan(std::string_view bytes, std::uint32_t lane = kLane, std::uint64_t position = kPosition) {
  const AlignedBytes aligned(bytes);
  RecordScanner scanner(aligned.span(), lane, position);
  Scan found;
  while (const auto record = scanner.peek()) {
    found.texts.push_back(text_of(record->payload));
    found.positions.push_back(record->position);
    CHECK(record->lane == lane);
    CHECK(record->next_position == record->position + record->header.length_bytes);
    scanner.pop();
  }
  CHECK_FALSE(scanner.peek());
  found.end = scanner.position();
  found.skipped = scanner.skipped_bytes();
  found.torn = scanner.torn_bytes();
  return found;
}

struct Sample {
  Piece piece{kLane, kPosition};
  std::vector<std::string> texts = {"first", "the second, which is longer", "3rd", "and the last"};
  std::vector<std::size_t> offsets;  // and the end
  bool has_end_mark;

  explicit Sample(bool with_end_mark) : has_end_mark(with_end_mark) {
    for (const std::string& text : texts) offsets.push_back(piece.add(text));
    offsets.push_back(piece.size());
    if (with_end_mark) append_end_of_slot(piece.lane());
  }
  std::size_t size() const { return offsets.back(); }
  std::string bytes() const { return piece.written(); }
  // Which record a byte belongs to; the number of records for what lies behind them.
  std::size_t record_at(std::size_t byte) const {
    const auto next = std::upper_bound(offsets.begin(), offsets.end(), byte);
    return static_cast<std::size_t>(next - offsets.begin()) - 1;
  }
  std::vector<std::string> without(std::size_t record) const {
    std::vector<std::string> left = texts;
    if (record < left.size()) left.erase(left.begin() + static_cast<std::ptrdiff_t>(record));
    return left;
  }
};

void check_flip(const Sample& sample, const std::string& bytes, std::size_t byte, unsigned bit) {
  CAPTURE(byte);
  CAPTURE(bit);
  std::string flipped = bytes;
  flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
  const Scan found = scan(flipped);
  const std::size_t hit = sample.record_at(byte);
  CHECK(found.texts == sample.without(hit));
  const std::size_t records = sample.texts.size();
  const bool something_follows = hit + 1 < records || (hit < records && sample.has_end_mark);
  CHECK(found.skipped == (something_follows ? sample.offsets[hit + 1] - sample.offsets[hit] : 0));
  CHECK(found.torn == (something_follows ? 0 : flipped.size() - sample.offsets[hit]));
}

}  // namespace

TEST_CASE("Records are read in their order, up to the first word that is zero") {
  const Sample sample(false);
  const Scan found = scan(sample.bytes());
  CHECK(found.texts == sample.texts);
  for (std::size_t i = 0; i < found.positions.size(); ++i) {
    CHECK(found.positions[i] == kPosition + sample.offsets[i]);
  }
  CHECK(found.end == kPosition + sample.size());
  CHECK(found.skipped == 0);
  CHECK(found.torn == 0);
}

TEST_CASE("An end mark ends a slot, and the lane goes on behind it") {
  const Sample sample(true);
  const Scan found = scan(sample.bytes() + "what lies behind does not matter");
  CHECK(found.texts == sample.texts);
  CHECK(found.end == kPosition + sample.size() + 8);
  CHECK(found.torn == 0);
}

TEST_CASE("A bit that is wrong anywhere costs the record that it is in, and no other") {
  const Sample sample(false);
  const std::string bytes = sample.bytes();
  for (std::size_t byte = 0; byte < sample.size(); ++byte) {
    for (unsigned bit = 0; bit < 8; ++bit) check_flip(sample, bytes, byte, bit);
  }
}

TEST_CASE("With an end mark a wrong bit costs no more than its record, and the mark itself costs none") {
  const Sample sample(true);
  const std::string bytes = sample.bytes();
  for (std::size_t byte = 0; byte < sample.size() + 8; ++byte) {
    for (unsigned bit = 0; bit < 8; ++bit) check_flip(sample, bytes, byte, bit);
  }
}

TEST_CASE("Bytes that are cut off anywhere cost the record that is cut, and what came after it") {
  const Sample sample(false);
  const std::string bytes = sample.bytes();
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    CAPTURE(size);
    const Scan found = scan(std::string_view(bytes).substr(0, size));
    const std::size_t whole = sample.record_at(size);
    const std::vector<std::string> expected(sample.texts.begin(),
                                            sample.texts.begin() + static_cast<std::ptrdiff_t>(whole));
    CHECK(found.texts == expected);
    CHECK(found.skipped == 0);
    const std::size_t left = size - sample.offsets[whole];
    CHECK(found.torn == (left >= 8 && whole < sample.texts.size() ? left : 0));
  }
}

TEST_CASE("A record that was torn at any byte is passed over") {
  const Sample sample(false);
  for (std::size_t record = 0; record < sample.texts.size(); ++record) {
    for (std::size_t byte = sample.offsets[record] + 1; byte < sample.offsets[record + 1]; ++byte) {
      CAPTURE(byte);
      std::string torn = sample.bytes();
      const std::string before = torn;
      std::fill(torn.begin() + static_cast<std::ptrdiff_t>(byte),
                torn.begin() + static_cast<std::ptrdiff_t>(sample.offsets[record + 1]), '\0');
      CHECK(scan(torn).texts == (torn == before ? sample.texts : sample.without(record)));
    }
  }
}

TEST_CASE("A length that became zero does not hide what comes behind it") {
  const Sample sample(false);
  for (std::size_t record = 0; record < sample.texts.size(); ++record) {
    for (const std::size_t width : {4u, 8u}) {
      CAPTURE(record);
      std::string bytes = sample.bytes();
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(sample.offsets[record]), width, '\0');
      CHECK(scan(bytes).texts == sample.without(record));
    }
  }
}

TEST_CASE("Records of an earlier use of the slot are never seen") {
  const Sample old(false);
  const std::string bytes = old.bytes();
  CHECK(scan(bytes, kLane + 1).texts.empty());
  CHECK(scan(bytes, kLane, kPosition + 8).texts.empty());
  CHECK(scan(bytes, kLane, kPosition - 8).texts.empty());
  CHECK(scan(bytes, 0, kPosition).texts.empty());
  // One new record stands where the old ones were, which still lie behind it.
  const std::size_t slot_bytes = old.size();
  Piece later(kLane, kPosition + 2 * slot_bytes);
  later.add("new");
  std::string reused = bytes;
  const std::string fresh = later.written();
  reused.replace(0, fresh.size(), fresh);
  const Scan found = scan(reused, kLane, kPosition + 2 * slot_bytes);
  CHECK(found.texts == std::vector<std::string>{"new"});
  CHECK(found.torn == 0);
}

TEST_CASE("A scanner goes on where it is told, and says the same until it is told to go on") {
  const Sample sample(false);
  const AlignedBytes aligned(sample.bytes());
  RecordScanner scanner(aligned.span(), kLane, kPosition);
  scanner.seek(kPosition + sample.offsets[2]);
  for (int i = 0; i < 2; ++i) {
    const auto record = scanner.peek();
    REQUIRE(record);
    CHECK(text_of(record->payload) == sample.texts[2]);
  }
  scanner.seek(kPosition + (1u << 20));
  CHECK_FALSE(scanner.peek());
  scanner.seek(kPosition + 4);  // no record begins there: the next that does is found
  REQUIRE(scanner.peek());
}

TEST_CASE("Bytes that are nothing at all are read to their end") {
  CHECK(scan("").texts.empty());
  CHECK(scan("1234567").texts.empty());
  CHECK(scan(std::string(4096, '\0')).torn == 0);
  CHECK(scan(std::string(4096, '\xFF')).torn == 4096);
  CHECK(scan(std::string(4096, '\x18')).texts.empty());
}

TEST_CASE("Events that are appended without a call are whole records, up to the end of the slot") {
  using namespace codewake;
  constexpr internal::RecordContext kContext{
      .ticks = internal::TickSource::counter, .process = 2, .flags = 0};
#if !defined(__x86_64__)
  CODEWAKE_SKIP("this processor has no time stamp counter");
#endif
  if (!internal::can_append_quickly(kContext)) {
    CODEWAKE_SKIP("this processor has no instruction for checksums");
  }
  Piece piece(kLane, kPosition, 16384);
  std::vector<std::string> texts;
  const auto append = [&](const std::string& text) {
    const AttributeArgument data[] = {{"n", text}};
    return append_quickly(piece.lane(), data, nullptr, kContext);
  };
  CHECK_FALSE(append(std::string(internal::kQuickBytes, 'x')));
  CHECK(piece.size() == 0);
  for (std::size_t size = 0;; size = (size + 1) % 70) {
    const std::string text(size, static_cast<char>('a' + size % 26));
    if (!append(text)) break;
    texts.push_back(text);
  }
  CHECK(piece.lane().room() >= 0);
  CHECK(piece.lane().room() < 200);
  const Scan found = scan(piece.written());
  CHECK(found.texts == texts);
  CHECK(found.skipped == 0);
  CHECK(found.end == kPosition + piece.size());
}
