#include "journal/dead_journal.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "journal/support.hpp"
#include "support/child.hpp"

using namespace codewake;
using namespace codewake::testing;
using internal::DeadJournal;
using internal::Lane;
using internal::LiveJournal;
namespace fs = std::filesystem;

namespace {

using Strings = std::vector<std::string>;

std::string wide(std::size_t number) {
  return fmt::format("{:0>230}", number);
}

Strings wide_from_to(std::size_t from, std::size_t to) {
  Strings all;
  for (std::size_t i = from; i < to; ++i) all.push_back(wide(i));
  return all;
}

// A run that ended without a word: what `body` does to its journal is all that there is.
std::string leave(const JournalFolder& folder, const std::function<void(LiveJournal&)>& body,
                  std::uint32_t slot_count = 16) {
  LiveJournal journal(folder.options(slot_count));
  body(journal);
  return journal.run();
}

std::unique_ptr<DeadJournal> open(const JournalFolder& folder, const std::string& run) {
  auto journal = folder.take_over(run);
  REQUIRE(journal);
  journal->open();
  return journal;
}

// Changes a file's bytes in place.
void change(const fs::path& file, std::size_t offset, const std::string& bytes) {
  std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
  out.seekp(static_cast<std::streamoff>(offset));
  out << bytes;
  REQUIRE(out.good());
}

constexpr std::size_t kFirstSlot = 8192;  // of a front of 16 slots

}  // namespace

TEST_CASE("A run that lives is not taken over, and one that left nothing is not there") {
  const JournalFolder folder;
  LiveJournal journal(folder.options());
  CHECK_FALSE(folder.take_over(journal.run()));
  CHECK_FALSE(folder.take_over("h-1-1-a-b-c-d-e"));
  journal.give_up_locks();
  CHECK(folder.take_over(journal.run()));
}

TEST_CASE("What a killed program had written is read in the order of time, with what it said of itself") {
  const JournalFolder folder;
  auto options = folder.options();
  const std::string run = options.about.run;
  const ChildResult killed = in_child([&] {
    LiveJournal journal(options);
    Lane* const lanes[] = {journal.acquire_lane(), journal.acquire_lane()};
    for (std::size_t i = 0; i < 3000; ++i) write(journal, *lanes[i % 2], wide(i));
    raise(SIGKILL);
  });
  REQUIRE(killed.signal == SIGKILL);
  const auto journal = open(folder, run);
  REQUIRE(journal->about());
  CHECK(*journal->about() == options.about);
  CHECK_FALSE(journal->is_at_end());
  const std::vector<Collected> found = collect_all(*journal);
  CHECK(texts(found) == wide_from_to(0, 3000));
  CHECK(found.back().time <= now());
  CHECK(found.back().time > now() - std::chrono::minutes(10));
  CHECK(journal->is_at_end());
  CHECK(journal->skipped_bytes() == 0);
  CHECK(journal->losses() == 0);
  CHECK_FALSE(journal->remove());
  CHECK(fs::is_empty(folder.path()));
  CHECK_FALSE(fs::exists(folder.front_root()));
}

TEST_CASE("What was stored before is left out, by the journal's own word and by the store's") {
  const JournalFolder folder;
  std::vector<Collected> all;
  const std::string run = leave(folder, [&](LiveJournal& journal) {
    Lane& lane = *journal.acquire_lane();
    for (std::size_t i = 0; i < 10; ++i) write(journal, lane, wide(i));
    all = collect_all(journal);
    journal.settle();
    for (std::size_t i = 10; i < 20; ++i) write(journal, lane, wide(i));
    const std::vector<Collected> more = collect_all(journal);
    all.insert(all.end(), more.begin(), more.end());  // stored, but the program died before it was noted
  });
  for (const std::size_t known : {0u, 5u, 10u, 13u, 19u, 20u}) {
    CAPTURE(known);
    const auto journal = open(folder, run);
    if (known > 0) journal->skip_to(1, all[known - 1].next_position);
    journal->skip_to(7, 4096);  // a lane that there is not
    CHECK(texts(collect_all(*journal)) == wide_from_to(std::max<std::size_t>(known, 10), 20));
    CHECK(journal->skipped_bytes() == 0);
  }
}

TEST_CASE("A position in the middle of reading goes on there, and one behind is not gone back to") {
  const JournalFolder folder;
  const std::string run = leave(folder, [&](LiveJournal& journal) {
    Lane& lane = *journal.acquire_lane();
    for (std::size_t i = 0; i < 5000; ++i) write(journal, lane, wide(i));
    journal.keep({.spill_everything = true});
  });
  const auto journal = open(folder, run);
  std::vector<internal::LanePosition> ends;
  const auto take = [&](std::size_t count) {
    journal->collect([&](const internal::TakenRecord& record) {
      if (count == 0) return false;
      --count;
      ends.push_back({record.lane, record.next_position});
      return true;
    });
  };
  take(100);
  journal->skip_to(1, ends[50].position);
  take(1900);
  CHECK(ends.size() == 2000);
  journal->skip_to(1, ends[1000].position);
  CHECK(texts(collect_all(*journal)) == wide_from_to(2000, 5000));
}

TEST_CASE("What lies in memory and on the disk as well is read once") {
  const JournalFolder folder;
  std::size_t count = 0;
  const std::string run = leave(folder, [&](LiveJournal& journal) {
    Lane& lane = *journal.acquire_lane();
    for (int round = 0; round < 9; ++round) {
      for (int i = 0; i < 300; ++i) write(journal, lane, wide(count++));
      journal.keep({.spill_everything = round != 8});
    }
  });
  const auto journal = open(folder, run);
  CHECK(texts(collect_all(*journal)) == wide_from_to(0, count));
  CHECK(journal->skipped_bytes() == 0);
}

TEST_CASE("The disk alone, or the memory alone, gives what was on it") {
  for (const bool keep_disk : {true, false}) {
    CAPTURE(keep_disk);
    const JournalFolder folder;
    const std::string run = leave(folder, [&](LiveJournal& journal) {
      Lane& lane = *journal.acquire_lane();
      for (std::size_t i = 0; i < 200; ++i) write(journal, lane, wide(i));
      journal.keep({.spill_everything = true});
      for (std::size_t i = 200; i < 300; ++i) write(journal, lane, wide(i));
    });
    fs::remove_all((keep_disk ? folder.front_root() : folder.path()) / run);
    const auto journal = open(folder, run);
    CHECK(journal->about());
    CHECK(texts(collect_all(*journal)) == wide_from_to(0, keep_disk ? 200 : 300));
    CHECK(journal->skipped_bytes() == 0);
  }
}

TEST_CASE("Large events are found beside the journal, and one whose file is broken is said to be") {
  const JournalFolder folder;
  const Strings large = {std::string(100'000, 'a'), std::string(200'000, 'b')};
  std::uint64_t position = 0;
  const std::string run = leave(folder, [&](LiveJournal& journal) {
    Lane& lane = *journal.acquire_lane();
    write(journal, lane, large[0]);
    position = lane.position();
    write(journal, lane, large[1]);
    write(journal, lane, "small");
  });
  CHECK(texts(collect_all(*open(folder, run))) == Strings{large[0], large[1], "small"});
  const fs::path file = folder.path() / run / fmt::format("large-1-{}", position);
  change(file, 5000, "wrong");
  CHECK(texts(collect_all(*open(folder, run))) == Strings{large[0], "(no event)", "small"});
  fs::resize_file(file, 1000);
  CHECK(texts(collect_all(*open(folder, run)))[0] == large[0]);
  fs::remove(file);
  CHECK(texts(collect_all(*open(folder, run)))[2] == "small");
}

TEST_CASE("A front whose header has a wrong bit is read, one with more is given up, and the disk is not") {
  const JournalFolder folder;
  const std::string run = leave(folder, [&](LiveJournal& journal) {
    Lane& lane = *journal.acquire_lane();
    for (std::size_t i = 0; i < 200; ++i) write(journal, lane, wide(i));
    journal.keep({.spill_everything = true});
    for (std::size_t i = 200; i < 300; ++i) write(journal, lane, wide(i));
  });
  const fs::path front = folder.front_root() / run / "front";
  const std::string header = read_file(front).substr(0, 36);
  for (std::size_t byte = 0; byte < header.size(); ++byte) {
    CAPTURE(byte);
    std::string broken = header;
    broken[byte] = static_cast<char>(broken[byte] ^ 0x10);
    change(front, 0, broken);
    {
      const auto mended = open(folder, run);
      CHECK(texts(collect_all(*mended)) == wide_from_to(0, 300));
      CHECK(mended->skipped_bytes() == 0);
    }
    broken[byte] = static_cast<char>(broken[byte] ^ 0x20);
    change(front, 0, broken);
    const auto journal = open(folder, run);
    CHECK(texts(collect_all(*journal)) == wide_from_to(0, 200));
    CHECK(journal->skipped_bytes() >= fs::file_size(front));
  }
  for (const std::size_t size : {0u, 1u, 1000u, 4096u}) {
    fs::resize_file(front, size);
    CHECK(texts(collect_all(*open(folder, run))).size() == 200);
  }
}

TEST_CASE("A slot whose header has a wrong bit is read") {
  const JournalFolder folder;
  const std::string run = leave(folder, [&](LiveJournal& journal) {
    Lane& lane = *journal.acquire_lane();
    for (std::size_t i = 0; i < 20; ++i) write(journal, lane, wide(i));
  });
  const fs::path front = folder.front_root() / run / "front";
  const std::string whole = read_file(front);
  std::size_t slot = kFirstSlot;
  while (whole.substr(slot, 4) != "CWSL") slot += internal::kSlotBytes;
  for (std::size_t bit = 0; bit < 8 * 64; ++bit) {
    CAPTURE(bit);
    std::string header = whole.substr(slot, 64);
    header[bit / 8] = static_cast<char>(header[bit / 8] ^ (1 << bit % 8));
    change(front, slot, header);
    const auto journal = open(folder, run);
    CHECK(texts(collect_all(*journal)) == wide_from_to(0, 20));
    CHECK(journal->skipped_bytes() == 0);
  }
}

TEST_CASE("A slot whose header is broken is lost, and no other") {
  const JournalFolder folder;
  const std::string run = leave(folder, [&](LiveJournal& journal) {
    Lane& lane = *journal.acquire_lane();
    for (std::size_t i = 0; i < 2500; ++i) write(journal, lane, wide(i));
  });
  const fs::path front = folder.front_root() / run / "front";
  std::uint64_t begin = 0, end = 0;
  {
    const auto journal = open(folder, run);
    const std::vector<Collected> all = collect_all(*journal);
    REQUIRE(all.size() == 2500);
    for (std::size_t i = 1; i < all.size() && end == 0; ++i) {
      if (all[i].position == all[i - 1].next_position) continue;
      (begin == 0 ? begin : end) = i;  // the second slot is between two end marks
    }
  }
  REQUIRE(end > begin);
  // Slots are handed out from the last that was reserved: the one with the right base is found by its header.
  const std::string whole = read_file(front);
  for (std::size_t slot = 0; slot < 16; ++slot) {
    const std::string bytes = whole.substr(kFirstSlot + slot * internal::kSlotBytes, 64);
    std::uint64_t base = 0;
    std::memcpy(&base, bytes.data() + 16, sizeof base);
    if (bytes.substr(0, 4) != "CWSL" || base == 0 || base > 300'000) continue;
    change(front, kFirstSlot + slot * internal::kSlotBytes + 9, "x");
  }
  const auto journal = open(folder, run);
  Strings expected = wide_from_to(0, begin);
  const Strings rest = wide_from_to(end, 2500);
  expected.insert(expected.end(), rest.begin(), rest.end());
  CHECK(texts(collect_all(*journal)) == expected);
  CHECK(journal->skipped_bytes() > 0);
}

TEST_CASE("A noted position that is broken is not believed") {
  const JournalFolder folder;
  const std::string run = leave(folder, [&](LiveJournal& journal) {
    Lane& lane = *journal.acquire_lane();
    for (std::size_t i = 0; i < 10; ++i) write(journal, lane, wide(i));
    collect_all(journal);
    journal.settle();
    for (std::size_t i = 10; i < 20; ++i) write(journal, lane, wide(i));
  });
  const fs::path front = folder.front_root() / run / "front";
  const std::size_t place = internal::kLaneTableOffset + sizeof(internal::StoredUpTo);
  const std::string good = read_file(front).substr(place, 12);
  CHECK(texts(collect_all(*open(folder, run))) == wide_from_to(10, 20));
  for (std::size_t byte = 0; byte < good.size(); ++byte) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string broken = good;
      broken[byte] = static_cast<char>(broken[byte] ^ (1 << bit));
      change(front, place, broken);
      CHECK(texts(collect_all(*open(folder, run))) == wide_from_to(0, 20));
    }
  }
}

TEST_CASE("Losses that no event tells of are told") {
  const JournalFolder folder;
  const std::string run = leave(folder, [&](LiveJournal& journal) {
    journal.header().lost_full = 10;
    journal.header().lost_error = 5;
    journal.header().lost_reported = 3;
  });
  const auto journal = open(folder, run);
  CHECK(journal->losses() == 15);
  CHECK(journal->reported_losses() == 3);
}

TEST_CASE("A note beside the journal is read, and one that is not there is empty") {
  const JournalFolder folder;
  const std::string run = leave(folder, [&](LiveJournal& journal) {
    std::ofstream(journal.folders().front()->path() / "modules.json") << "[]";
  });
  const auto journal = open(folder, run);
  CHECK(journal->read_note("modules.json") == "[]");
  CHECK(journal->read_note("other.json").empty());
}

TEST_CASE("A journal in a forked child's hands stays its parent's") {
  const JournalFolder folder;
  LiveJournal journal(folder.options());
  Lane& lane = *journal.acquire_lane();
  write(journal, lane, "before");
  journal.lock_for_fork();
  const ChildResult child = in_child([&] {
    journal.unlock_after_fork();
    journal.close_in_child();
    std::_Exit(folder.take_over(journal.run()) ? 1 : 0);
  });
  journal.unlock_after_fork();
  CHECK(child.exit_code == 0);
  write(journal, lane, "after");
  CHECK(texts(collect_all(journal)) == Strings{"before", "after"});
  journal.remove_files();
}
