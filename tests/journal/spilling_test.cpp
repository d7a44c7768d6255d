// What of a live journal moves to the disk, and comes back from there.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "journal/live_journal.hpp"
#include "journal/support.hpp"
#include "support/child.hpp"

using namespace codewake;
using namespace codewake::testing;
using internal::Accepted;
using internal::Lane;
using internal::LiveJournal;
namespace fs = std::filesystem;

namespace {

std::string wide(std::size_t number) {
  return fmt::format("{:0>230}", number);
}

std::vector<std::string> wide_up_to(std::size_t count) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(wide(i));
  return all;
}

// Writes with the keeper's help.
void write_kept(LiveJournal& journal, Lane& lane, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i) {
    REQUIRE(write(journal, lane, wide(i)) == Accepted::yes);
    if (journal.takes_room()) journal.keep({});
  }
}

std::uintmax_t bytes_in(const fs::path& folder) {
  std::uintmax_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder)) bytes += entry.file_size();
  return bytes;
}

}  // namespace

TEST_CASE("What does not fit into memory goes to the disk, and comes back in its order") {
  const JournalFolder folder;
  LiveJournal journal(folder.options(4));
  Lane& lane = *journal.acquire_lane();
  write_kept(journal, lane, 0, 20'000);  // 5 MB through a megabyte
  const fs::path run = folder.path() / journal.run();
  CHECK(count_files(run, "spill-") >= 1);
  CHECK(bytes_in(run) > 4'000'000);
  CHECK(texts(collect_all(journal)) == wide_up_to(20'000));
  journal.settle();
  CHECK(bytes_in(run) < 10'000);
  write_kept(journal, lane, 0, 5000);
  CHECK(texts(collect_all(journal)) == wide_up_to(5000));
  journal.remove_files();
}

TEST_CASE("Files that are smaller than a slot take what does not fit into memory") {
  for (const rlim_t most : {rlim_t{256} << 10, rlim_t{16} << 10}) {
    CAPTURE(most);
    const JournalFolder folder;
    const ChildResult child = in_child([&] {
      const rlimit limit{.rlim_cur = most, .rlim_max = most};
      if (setrlimit(RLIMIT_FSIZE, &limit) != 0) std::exit(10);
      LiveJournal journal(folder.options(4));
      Lane& lane = *journal.acquire_lane();
      for (std::size_t i = 0; i < 8000; ++i) {  // 2 MB through a megabyte
        if (write(journal, lane, wide(i)) != Accepted::yes) std::exit(11);
        if (journal.takes_room()) journal.keep({});
      }
      if (count_files(folder.path() / journal.run(), "spill-") < 2) std::exit(12);
      if (texts(collect_all(journal)) != wide_up_to(8000)) std::exit(13);
      journal.remove_files();
    });
    INFO(child.err);
    CHECK(child.signal == 0);
    CHECK(child.exit_code == 0);
  }
}

TEST_CASE("Reading and spilling go on beside each other, and nothing is read twice or left out") {
  const JournalFolder folder;
  LiveJournal journal(folder.options(4));
  Lane& lane = *journal.acquire_lane();
  std::vector<std::string> found;
  std::size_t written = 0;
  // Every combination of what may happen between two collects, some records at a time.
  for (std::size_t round = 0; round < 300; ++round) {
    write_kept(journal, lane, written, written + 50 + round % 7 * 37);
    written += 50 + round % 7 * 37;
    journal.keep({.spill_everything = round % 3 == 0});
    std::size_t left = round % 5 * 60;
    journal.collect([&](const internal::TakenRecord& record) {
      if (left == 0) return false;
      --left;
      found.push_back(text_of(record.payload));
      return true;
    });
    if (round % 2 == 0) journal.settle();
    journal.keep({.spill_everything = round % 4 == 0});
  }
  const std::vector<std::string> rest = texts(collect_all(journal));
  found.insert(found.end(), rest.begin(), rest.end());
  CHECK(found == wide_up_to(written));
  journal.settle();
  CHECK(journal.is_stored(journal.published()));
  CHECK(bytes_in(folder.path() / journal.run()) < 10'000);
  journal.remove_files();
}

TEST_CASE("Lanes whose records lie in memory and on the disk are merged by time") {
  const JournalFolder folder;
  LiveJournal journal(folder.options(16));
  Lane* const lanes[] = {journal.acquire_lane(), journal.acquire_lane(), journal.acquire_lane()};
  for (std::size_t i = 0; i < 9000; ++i) {
    REQUIRE(write(journal, *lanes[i % 3], wide(i)) == Accepted::yes);
    if (i % 2500 == 1000) journal.keep({.spill_everything = true});
  }
  CHECK(texts(collect_all(journal)) == wide_up_to(9000));
  journal.settle();
  journal.remove_files();
}

TEST_CASE("Times of records from the disk are those of the wall clock") {
  const JournalFolder folder;
  LiveJournal journal(folder.options(16));
  Lane& lane = *journal.acquire_lane();
  const Time before = now();
  for (std::size_t i = 0; i < 1500; ++i) write(journal, lane, wide(i));
  const Time after = now();
  journal.keep({.spill_everything = true});
  for (const Collected& record : collect_all(journal)) {
    CHECK(record.time >= before - std::chrono::microseconds(200));
    CHECK(record.time <= after + std::chrono::microseconds(200));
  }
  journal.remove_files();
}

TEST_CASE("The disk is used up to the limit, and then the journal is full") {
  const JournalFolder folder;
  auto options = folder.options(4);
  options.limit_bytes = 2'000'000;
  LiveJournal journal(std::move(options));
  Lane& lane = *journal.acquire_lane();
  std::size_t written = 0;
  while (written < 50'000 && write(journal, lane, wide(written)) == Accepted::yes) {
    ++written;
    if (journal.takes_room()) journal.keep({});
  }
  CHECK(written < 50'000);
  CHECK(written * 256 > 2'000'000);
  const fs::path run = folder.path() / journal.run();
  CHECK(bytes_in(run) < 2'000'000 + 4096);
  CHECK(texts(collect_all(journal)) == wide_up_to(written));
  journal.settle();
  CHECK(write(journal, lane, "again") == Accepted::yes);
  CHECK(journal.problem().empty());
  journal.remove_files();
}

TEST_CASE("Who waits for room in vain waits once, and not again before there was some") {
  const JournalFolder folder;
  auto options = folder.options(4);
  options.limit_bytes = 1'000'000;
  LiveJournal journal(std::move(options));
  Lane& lane = *journal.acquire_lane();
  while (write(journal, lane, wide(0)) == Accepted::yes) {
  }
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) CHECK(write(journal, lane, wide(0)) == Accepted::full);
  CHECK(std::chrono::steady_clock::now() - begin < 20 * LiveJournal::kPatience);
  journal.remove_files();
}

TEST_CASE("The keeper makes room for a writer that waits for it") {
  const JournalFolder folder;
  LiveJournal journal(folder.options(4));
  Lane& lane = *journal.acquire_lane();
  std::atomic<bool> done{false};
  std::thread keeper([&] {
    while (!done) {
      if (journal.takes_room()) journal.keep({});
      std::this_thread::yield();
    }
  });
  std::size_t lost = 0;
  for (std::size_t i = 0; i < 20'000; ++i) lost += write(journal, lane, wide(i)) != Accepted::yes;
  done = true;
  keeper.join();
  CHECK(lost == 0);
  CHECK(texts(collect_all(journal)).size() == 20'000);
  journal.remove_files();
}

TEST_CASE("A slot that the keeper takes back while a thread is about to write to it costs no event") {
  constexpr int kEvents = 300'000;
  const JournalFolder folder;
  LiveJournal journal(folder.options(4));  // so few that it takes those of each thread that does not move
  std::atomic<int> failed{0}, written{0}, running{2};
  std::atomic<bool> done{false};
  std::thread keeper([&] {
    while (!done) journal.keep({});
  });
  std::vector<std::thread> writers;
  for (int i = 0; i < 2; ++i) {
    writers.emplace_back([&] {
      Lane* const lane = journal.acquire_lane();
      const AttributeArgument data[] = {{"n", "a value"}};
      const EventInput event{.data = data};
      const internal::RecordContext context{.ticks = journal.ticks(), .process = 1, .flags = 0};
      for (int n = 0; n < kEvents; ++n) {
        std::uint64_t position = 0;
        Accepted accepted = Accepted::full;
        if (lane != nullptr) {
          lane->busy.store(true, std::memory_order_relaxed);
          std::atomic_signal_fence(std::memory_order_seq_cst);
          accepted = journal.append(*lane, event, context, position);
          lane->busy.store(false, std::memory_order_release);
        }
        if (accepted == Accepted::full) accepted = journal.append_common(event, context, position);
        if (accepted == Accepted::failed) ++failed;
        if (accepted == Accepted::yes) ++written;
      }
      --running;
    });
  }
  std::size_t collected = 0;
  const auto collect = [&] {
    collected += collect_all(journal).size();
    journal.settle();
  };
  while (running != 0) collect();
  for (std::thread& writer : writers) writer.join();
  done = true;
  keeper.join();
  collect();
  CHECK(failed == 0);
  CHECK(collected == static_cast<std::size_t>(written));
  journal.remove_files();
}

TEST_CASE("A disk that fails is told once, and memory is what is left") {
  const JournalFolder folder;
  const ChildResult child = in_child([&] {
    LiveJournal journal(folder.options(4));
    Lane& lane = *journal.acquire_lane();
    const rlimit limit{.rlim_cur = 100, .rlim_max = 100};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) std::exit(10);
    std::size_t written = 0;
    while (written < 50'000 && write(journal, lane, wide(written)) == Accepted::yes) {
      ++written;
      if (journal.takes_room()) journal.keep({});
    }
    if (written < 900 || written == 50'000) std::exit(11);
    if (journal.problem().find("cannot be written") == std::string::npos) std::exit(12);
    if (texts(collect_all(journal)) != wide_up_to(written)) std::exit(13);
    journal.settle();
    if (write(journal, lane, "again") != Accepted::yes) std::exit(14);
    journal.remove_files();
  });
  CHECK(child.exit_code == 0);
  CHECK(child.err.find("cannot be written") != std::string::npos);
}

TEST_CASE("What is synced is on the disk, large events too") {
  const JournalFolder folder;
  LiveJournal journal(folder.options());
  Lane& lane = *journal.acquire_lane();
  const std::string large(100'000, 'x');
  write(journal, lane, "small");
  write(journal, lane, large);
  journal.keep({.spill_everything = true, .sync = true});
  CHECK(journal.problem().empty());
  fs::remove_all(folder.front_root());  // as after a crash of the machine
  const std::string run = journal.run();
  journal.give_up_locks();
  auto dead = folder.take_over(run);
  REQUIRE(dead);
  dead->open();
  CHECK(texts(collect_all(*dead)) == std::vector<std::string>{"small", large});
  CHECK_FALSE(dead->remove());
}
