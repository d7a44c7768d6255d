#include "journal/live_journal.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "journal/event_codec.hpp"
#include "journal/support.hpp"
#include "support/skip.hpp"

using namespace codewake;
using namespace codewake::testing;
using internal::Accepted;
using internal::Lane;
using internal::LiveJournal;
namespace fs = std::filesystem;

namespace {

using Strings = std::vector<std::string>;

// About a thousand of these fill a slot.
std::string wide(std::size_t number) {
  return fmt::format("{:0>230}", number);
}

// Writes wide events with rising numbers until as many slots are full; the result is the next number.
std::size_t fill_slots(LiveJournal& journal, Lane& lane, std::size_t slots, std::size_t first = 0) {
  const std::uint64_t goal = lane.position() + slots * internal::kSlotBytes;
  while (lane.position() < goal) REQUIRE(write(journal, lane, wide(first++)) == Accepted::yes);
  return first;
}

bool is_rising_from(const Strings& found, std::size_t first) {
  for (const std::string& text : found) {
    if (text != wide(first++)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("Records of many lanes come in the order of their time, with the time of the wall clock") {
  const JournalFolder folder;
  LiveJournal journal(folder.options(64));
  std::vector<Lane*> lanes;
  for (int i = 0; i < 8; ++i) lanes.push_back(journal.acquire_lane());
  const Time before = now();
  for (std::size_t i = 0; i < 400; ++i) {
    REQUIRE(write(journal, *lanes[i * 7 % lanes.size()], std::to_string(i)) == Accepted::yes);
  }
  const Time after = now();
  const std::vector<Collected> found = collect_all(journal);
  CHECK(texts(found) == numbered("", 400));
  using namespace std::chrono_literals;
  for (const Collected& record : found) {
    CHECK(record.time >= before - 100us);
    CHECK(record.time <= after + 100us);
  }
  CHECK(collect_all(journal).empty());
  CHECK(journal.accepted() == 400);
  CHECK(journal.problem().empty());
  journal.remove_files();
}

TEST_CASE("A lane keeps its order over every change of its slot") {
  const JournalFolder folder;
  LiveJournal journal(folder.options());
  Lane& lane = *journal.acquire_lane();
  const std::size_t count = fill_slots(journal, lane, 5);
  const std::vector<Collected> found = collect_all(journal);
  CHECK(found.size() == count);
  CHECK(is_rising_from(texts(found), 0));
  for (std::size_t i = 1; i < found.size(); ++i) {
    const std::uint64_t gap = found[i].position - found[i - 1].next_position;
    CHECK((gap == 0 || gap == internal::kEndOfSlotBytes));
  }
  journal.remove_files();
}

TEST_CASE("A record that was refused comes again, and what was taken does not") {
  const JournalFolder folder;
  LiveJournal journal(folder.options());
  Lane& lane = *journal.acquire_lane();
  for (const std::string& text : numbered("e", 5)) write(journal, lane, text);
  Strings taken;
  journal.collect([&](const internal::TakenRecord& record) {
    if (taken.size() == 2) return false;
    taken.push_back(text_of(record.payload));
    return true;
  });
  CHECK(taken == numbered("e", 2));
  CHECK(texts(collect_all(journal)) == numbered("e", 3, 2));
  journal.remove_files();
}

TEST_CASE("A lane that a thread gave back goes on under the next") {
  const JournalFolder folder;
  LiveJournal journal(folder.options());
  Lane& lane = *journal.acquire_lane();
  write(journal, lane, "of the first");
  journal.release_lane(lane);
  Lane& again = *journal.acquire_lane();
  CHECK(&again == &lane);
  write(journal, again, "of the second");
  const std::vector<Collected> found = collect_all(journal);
  CHECK(texts(found) == Strings{"of the first", "of the second"});
  CHECK(found[1].position == found[0].next_position);
  journal.remove_files();
}

TEST_CASE("There are fewer lanes than slots, so that every lane can go on, and the others share one") {
  const JournalFolder folder;
  LiveJournal journal(folder.options(16));
  std::vector<Lane*> lanes;
  while (Lane* const lane = journal.acquire_lane()) lanes.push_back(lane);
  CHECK(lanes.size() == 8);
  const auto write_anywhere = [&](std::size_t where) {
    const std::string text = wide(where);
    const AttributeArgument data[] = {{"n", text}};
    std::uint64_t position = 0;
    const internal::RecordContext context{.ticks = journal.ticks(), .process = 1, .flags = 0};
    return where < lanes.size() ? write(journal, *lanes[where], text)
                                : journal.append_common({.data = data}, context, position);
  };
  // Every lane goes over the ends of slots, with the store's help alone: it is never stuck.
  std::size_t collected = 0;
  constexpr std::size_t kEvents = 30'000;
  for (std::size_t i = 0; i < kEvents; ++i) {
    const std::size_t where = i / 100 % (lanes.size() + 1);
    if (write_anywhere(where) == Accepted::yes) continue;
    collected += collect_all(journal).size();
    journal.settle();
    REQUIRE(write_anywhere(where) == Accepted::yes);
  }
  CHECK(collected + collect_all(journal).size() == kEvents);
  CHECK(journal.accepted() == kEvents);
  journal.remove_files();
}

TEST_CASE("Processes come through the common lane and are not counted as events") {
  const JournalFolder folder;
  LiveJournal journal(folder.options());
  REQUIRE(journal.append_process({.app_name = "shop"}, 1) == Accepted::yes);
  CHECK(journal.append_process({.app_name = std::string(70'000, 'x')}, 2) == Accepted::too_large);
  std::vector<std::string> names;
  journal.collect([&](const internal::TakenRecord& record) {
    CHECK(record.lane == internal::kCommonLane);
    CHECK(record.header.process == 1);
    if (const auto info = internal::decode_process(record.payload)) names.push_back(info->app_name);
    return true;
  });
  CHECK(names == Strings{"shop"});
  CHECK(journal.accepted() == 0);
  journal.remove_files();
}

TEST_CASE("A full journal that may drop says so, and takes events again when something was stored") {
  const JournalFolder folder;
  auto options = folder.options(4);
  options.in_memory = true;
  LiveJournal journal(std::move(options));
  Lane& lane = *journal.acquire_lane();
  std::size_t count = 0;
  while (write(journal, lane, wide(count)) == Accepted::yes) ++count;
  CHECK(write(journal, lane, wide(count)) == Accepted::full);
  CHECK(journal.takes_room());
  const std::vector<Collected> found = collect_all(journal);
  CHECK(found.size() == count);
  CHECK(write(journal, lane, wide(count)) == Accepted::full);  // taken is not stored
  journal.settle();
  CHECK(write(journal, lane, wide(count)) == Accepted::yes);
  CHECK(texts(collect_all(journal)) == Strings{wide(count)});
}

TEST_CASE("A full journal that may block does until something is stored, or it is closed") {
  for (const bool close : {false, true}) {
    CAPTURE(close);
    const JournalFolder folder;
    auto options = folder.options(2);
    options.in_memory = true;
    options.block_when_full = true;
    LiveJournal journal(std::move(options));
    Lane& lane = *journal.acquire_lane();
    std::atomic<std::size_t> written{0};
    std::atomic<bool> ended{false};
    std::thread writer([&] {
      while (written < 5000 && write(journal, lane, wide(written)) == Accepted::yes) ++written;
      ended = true;
    });
    while (!journal.takes_room()) std::this_thread::yield();  // it has found no slot
    if (close) {
      journal.close();
      writer.join();
      CHECK(written < 5000);
      CHECK(write(journal, lane, wide(0)) == Accepted::closed);
      CHECK(collect_all(journal).size() == written);
      continue;
    }
    std::size_t collected = 0;
    while (!ended || collected < written) {
      const Strings found = texts(collect_all(journal));
      CHECK(is_rising_from(found, collected));
      collected += found.size();
      journal.settle();
      std::this_thread::yield();
    }
    writer.join();
    CHECK(collected == 5000);
  }
}

TEST_CASE("Events that are larger than a slot takes lie in files of their own, until they are stored") {
  const JournalFolder folder;
  LiveJournal journal(folder.options());
  const fs::path run = folder.path() / journal.run();
  Lane& lane = *journal.acquire_lane();
  Strings expected;
  for (const std::size_t size : {10u, 65'000u, 65'503u, 65'504u, 65'520u, 100'000u, 3'000'000u}) {
    expected.push_back(std::string(size, static_cast<char>('a' + expected.size())));
    REQUIRE(write(journal, lane, expected.back()) == Accepted::yes);
  }
  CHECK(count_files(run, "large-1-") == 4);
  CHECK(texts(collect_all(journal)) == expected);
  CHECK(count_files(run, "large-") == 4);
  journal.settle();
  CHECK(count_files(run, "large-") == 0);
  CHECK(journal.problem().empty());
  journal.remove_files();
}

TEST_CASE("Large events count against the limit") {
  const JournalFolder folder;
  auto options = folder.options();
  options.limit_bytes = 1'000'000;
  LiveJournal journal(std::move(options));
  Lane& lane = *journal.acquire_lane();
  CHECK(write(journal, lane, std::string(1'000'001, 'x')) == Accepted::too_large);
  CHECK(write(journal, lane, std::string(600'000, 'x')) == Accepted::yes);
  CHECK(write(journal, lane, std::string(600'000, 'y')) == Accepted::full);
  CHECK(collect_all(journal).size() == 1);
  journal.settle();
  CHECK(write(journal, lane, std::string(600'000, 'y')) == Accepted::yes);
  journal.remove_files();
}

TEST_CASE("In memory, the journal leaves no files, and takes large events too") {
  const JournalFolder folder;
  auto options = folder.options();
  options.in_memory = true;
  LiveJournal journal(std::move(options));
  CHECK(journal.problem().empty());
  CHECK(journal.folders().empty());
  Lane& lane = *journal.acquire_lane();
  const std::string large(200'000, 'l');
  REQUIRE(write(journal, lane, large) == Accepted::yes);
  REQUIRE(write(journal, lane, "small") == Accepted::yes);
  journal.keep({.spill_everything = true, .sync = true});
  CHECK(texts(collect_all(journal)) == Strings{large, "small"});
  journal.settle();
  CHECK(fs::is_empty(folder.path()));
  CHECK_FALSE(fs::exists(folder.front_root()));
}

TEST_CASE("Without its folder the journal has shared memory, and says so") {
  const JournalFolder folder;
  std::ofstream(folder.path() / "file") << "";
  auto options = folder.options();
  options.folder = folder.path() / "file";  // not a folder
  const fs::path front_root = front_root_of(options.folder);
  {
    LiveJournal journal(std::move(options));
    CHECK(journal.problem().find("shared memory alone") != std::string::npos);
    REQUIRE(journal.folders().size() == 1);
    CHECK(journal.folders()[0]->path() == front_root / journal.run());
    Lane& lane = *journal.acquire_lane();
    const std::string large(200'000, 'l');
    REQUIRE(write(journal, lane, large) == Accepted::yes);
    journal.keep({.spill_everything = true});
    CHECK(texts(collect_all(journal)) == Strings{large});
    journal.settle();
    journal.remove_files();
  }
  fs::remove_all(front_root);
}

TEST_CASE("Without shared memory the journal lies on the disk, and says so") {
  const JournalFolder folder;
  std::ofstream(folder.front_root()) << "a file where the folder should be";
  LiveJournal journal(folder.options());
  CHECK(journal.problem().find("on the disk alone") != std::string::npos);
  CHECK(fs::exists(folder.path() / journal.run() / "front"));
  Lane& lane = *journal.acquire_lane();
  REQUIRE(write(journal, lane, "event") == Accepted::yes);
  CHECK(texts(collect_all(journal)) == Strings{"event"});
  journal.remove_files();
}

TEST_CASE("Without any folder the journal lies in private memory, and says so") {
  const JournalFolder folder;
  std::ofstream(folder.path() / "file") << "";
  auto options = folder.options();
  options.folder = folder.path() / "file";
  const fs::path front_root = front_root_of(options.folder);
  std::ofstream(front_root) << "a file where the folder should be";
  LiveJournal journal(std::move(options));
  CHECK(journal.problem().find("private memory") != std::string::npos);
  CHECK(journal.folders().empty());
  Lane& lane = *journal.acquire_lane();
  REQUIRE(write(journal, lane, "event") == Accepted::yes);
  CHECK(texts(collect_all(journal)) == Strings{"event"});
  fs::remove_all(front_root);
}

TEST_CASE("When all is stored and the files are removed, nothing of the run is left") {
  const JournalFolder folder;
  LiveJournal journal(folder.options());
  Lane& lane = *journal.acquire_lane();
  fill_slots(journal, lane, 3);
  journal.keep({.spill_everything = true});
  collect_all(journal);
  journal.settle();
  CHECK(journal.is_stored(journal.published()));
  write(journal, lane, "one more");
  CHECK_FALSE(journal.is_stored(journal.published()));
  journal.remove_files();
  CHECK(fs::is_empty(folder.path()));
  CHECK_FALSE(fs::exists(folder.front_root()));
}

TEST_CASE("Whoever closes the journal waits for those that write, up to the deadline") {
  const JournalFolder folder;
  LiveJournal journal(folder.options());
  Lane& lane = *journal.acquire_lane();
  journal.close();
  CHECK(journal.is_closed());
  using Clock = std::chrono::steady_clock;
  CHECK(journal.wait_for_writers(Clock::now()));
  lane.busy = true;
  CHECK_FALSE(journal.wait_for_writers(Clock::now()));
  std::thread writer([&] { lane.busy = false; });
  CHECK(journal.wait_for_writers(Clock::now() + std::chrono::minutes(1)));
  writer.join();
  journal.remove_files();
}

TEST_CASE("Memory that the program has written over costs what stood there, and not the rest") {
  const JournalFolder folder;
  LiveJournal journal(folder.options());
  Lane& lane = *journal.acquire_lane();
  std::vector<char*> places;
  for (const std::string& text : numbered("e", 6)) {
    write(journal, lane, text);
    places.push_back(lane.writer.at);
  }
  for (const std::uint32_t length : {7u, 8u, 0x7FFFFFF8u}) {
    CAPTURE(length);
    std::memcpy(places[1], &length, sizeof length);  // the third begins where the second ends
    if (length == 7) CHECK(texts(collect_all(journal)) == Strings{"e0", "e1", "e3", "e4", "e5"});
  }
  CHECK(journal.problem().find("written over") != std::string::npos);
  std::memcpy(lane.writer.at, "garbage!", 8);  // behind the last: the next record makes it good
  CHECK(collect_all(journal).empty());
  write(journal, lane, "next");
  CHECK(texts(collect_all(journal)) == Strings{"next"});
  journal.remove_files();
}
