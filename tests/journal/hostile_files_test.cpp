// A run's folder whose files are not what a writer leaves: nothing blocks, and nothing takes memory without
// bound.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/crc32c.hpp"
#include "journal/dead_journal.hpp"
#include "journal/file_io.hpp"
#include "journal/format.hpp"
#include "journal/front.hpp"
#include "journal/places.hpp"
#include "journal/run_folder.hpp"
#include "journal/support.hpp"
#include "support/child.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

using namespace codewake;
using namespace codewake::testing;
using internal::RunFolder;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMiB = 1u << 20;
const std::string kRun = "host-1-1-a-b-c-d-e";
const std::vector<const char*> kNames = {"run.json",     "crash", "modules.json", "front",
                                         "spill-000001", "lock",  "account"};

/// Reads the run in `folder` as a recoverer does, in a child that has 60 s, and memory for little more than a
/// front. What cannot be read may throw; a hang or a bomb ends the child.
ChildResult read_run(const fs::path& folder) {
  return in_child([&] {
    alarm(60);
    const rlimit memory{.rlim_cur = 700 * kMiB, .rlim_max = 700 * kMiB};
    if (!kSanitized && setrlimit(RLIMIT_AS, &memory) != 0) throw std::runtime_error("setrlimit");
    try {
      const auto journal = internal::DeadJournal::take_over(internal::open_roots(folder), kRun);
      if (journal == nullptr) return;
      journal->open();
      journal->read_note("modules.json");
      journal->collect([&](const internal::TakenRecord& record) {
        std::string content;
        static_cast<void>(journal->read_external(record, content));  // whatever it says, it must end
        return true;
      });
    } catch (const std::system_error&) {
    }
  });
}

/// A dead run's folder on disk, with what a run says of itself.
fs::path make_run(const TemporaryFolder& folder) {
  const RunFolder run = RunFolder::create(folder.path(), kRun);
  run.write_about({.run = kRun, .fingerprint = "fingerprint"});
  return run.path();
}

void make_sparse(const fs::path& file, std::uint64_t size_bytes) {
  std::ofstream(file, std::ios::app).flush();
  fs::resize_file(file, size_bytes);
}

void write_at(const fs::path& file, std::uint64_t offset, const void* bytes, std::size_t size) {
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(fd >= 0);
  REQUIRE_FALSE(internal::write_at(fd, bytes, size, offset));
  close(fd);
}

std::uint32_t crc_behind(const void* header, std::size_t from, std::size_t size) {
  return internal::crc32c(static_cast<const char*>(header) + from, size - from);
}

}  // namespace

TEST_CASE("A pipe in the place of any file of a run stops no recoverer") {
  for (const char* name : kNames) {
    CAPTURE(name);
    const TemporaryFolder folder;
    const fs::path run = make_run(folder);
    fs::remove(run / name);
    REQUIRE(mkfifo((run / name).c_str(), 0600) == 0);
    const ChildResult read = read_run(folder.path());
    INFO(read.err);
    CHECK(read.exit_code == 0);
  }
}

TEST_CASE("A link, a folder or a device in the place of any file of a run is not read") {
  for (const char* name : kNames) {
    CAPTURE(name);
    const TemporaryFolder folder;
    const fs::path run = make_run(folder);
    const fs::path elsewhere = folder.write("elsewhere", "not the run's");
    fs::remove(run / name);
    fs::create_symlink(elsewhere, run / name);
    CHECK(read_run(folder.path()).exit_code == 0);
    CHECK(read_file(elsewhere) == "not the run's");
    fs::remove(run / name);
    fs::create_directory(run / name);
    CHECK(read_run(folder.path()).exit_code == 0);
    fs::remove(run / name);
    if (mknod((run / name).c_str(), S_IFCHR | 0600, makedev(1, 5)) != 0) continue;  // /dev/zero; for root
    CHECK(read_run(folder.path()).exit_code == 0);
  }
}

TEST_CASE("A sparse file of the spill, as large as any, is read in a moment") {
  const TemporaryFolder folder;
  const fs::path run = make_run(folder);
  make_sparse(run / "spill-000001", 4u << 20);
  std::error_code error;
  fs::resize_file(run / "spill-000001", std::uint64_t{4} << 40, error);
  if (error) fs::resize_file(run / "spill-000001", std::uint64_t{1} << 40);
  const ChildResult read = read_run(folder.path());
  INFO(read.err);
  CHECK(read.exit_code == 0);
}

TEST_CASE("A block that says more than a slot holds is none") {
  const TemporaryFolder folder;
  const fs::path run = make_run(folder);
  internal::BlockHeader header{.magic = internal::kBlockMagic,
                               .crc = 0,
                               .lane = 1,
                               .size_bytes = 0xFFFFFFF8u,
                               .from_position = 0,
                               .tick_source = 0,
                               .unused = 0,
                               .clock = {}};
  header.crc = crc_behind(&header, 8, sizeof header);
  write_at(run / "spill-000001", sizeof(internal::SpillHeader), &header, sizeof header);
  make_sparse(run / "spill-000001", std::uint64_t{4} << 30);
  const ChildResult read = read_run(folder.path());
  INFO(read.err);
  CHECK(read.exit_code == 0);
}

TEST_CASE("A front with more slots than any, and as many lanes, is read in a moment") {
  const TemporaryFolder folder;
  const fs::path run = make_run(folder);
  internal::FrontHeader header{};
  std::memcpy(header.magic, internal::kFrontMagic, sizeof header.magic);
  header.version = internal::kJournalVersion;
  header.slot_bytes = internal::kSlotBytes;
  header.slot_count = internal::kMostSlots + 1;
  header.lane_count = header.slot_count + 1;
  header.slots_offset = 65536;
  header.crc = internal::crc32c(&header, offsetof(internal::FrontHeader, crc));
  write_at(run / "front", 0, &header, sizeof header);
  make_sparse(run / "front", std::uint64_t{1} << 36);
  CHECK(read_run(folder.path()).exit_code == 0);
}

TEST_CASE("A large payload that is a hole, whatever size it says, takes no memory") {
  const TemporaryFolder folder;
  const auto run = opened(make_run(folder));
  for (const std::uint64_t size : {std::uint64_t{1} << 30, std::uint64_t{0xFFFFFFFF}}) {
    make_sparse(run->path() / "large-1-0", size);
    std::string content;
    const internal::ExternalPayload payload{.size_bytes = size, .crc = 0, .unused = 0};
    CHECK(internal::read_external_file(*run, 1, 0, payload, content) == std::errc::bad_message);
    CHECK(content.capacity() < kMiB);
  }
  // Both sides of the bound: what has no hole is read.
  const std::string whole(100'000, 'x');
  REQUIRE_FALSE(run->write_new_file("large-1-8", whole, false));
  std::string content;
  const internal::ExternalPayload payload{
      .size_bytes = whole.size(), .crc = internal::crc32c(whole.data(), whole.size()), .unused = 0};
  CHECK_FALSE(internal::read_external_file(*run, 1, 8, payload, content));
  CHECK(content == whole);
  // A file of several names could be the content of as many records.
  fs::create_hard_link(run->path() / "large-1-8", run->path() / "large-1-16");
  CHECK(internal::read_external_file(*run, 1, 8, payload, content) == std::errc::bad_message);
}

TEST_CASE("A run.json that is longer or deeper than one is, says nothing, and costs nothing") {
  const TemporaryFolder folder;
  RunFolder run = RunFolder::create(folder.path(), kRun);
  run.write_about({.run = kRun, .fingerprint = "fingerprint"});
  std::string text = read_file(run.path() / "run.json");
  const std::string brace = text.substr(text.rfind('}'));
  text.resize(text.rfind('}'));
  const auto read_with = [&](const std::string& more) {
    std::ofstream(run.path() / "run.json", std::ios::binary) << text << more << brace;
    return run.read_about();
  };
  CHECK(read_with(""));
  CHECK(read_with(R"(, "later": [[[]]])"));
  CHECK_FALSE(read_with(R"(, "later": [[[[]]]])"));
  const std::string rest(65536 - text.size() - brace.size(), ' ');
  CHECK(read_with(rest));
  CHECK_FALSE(read_with(rest + ' '));
  std::ofstream(run.path() / "run.json", std::ios::binary) << std::string(100 * kMiB, '[');
  const auto start = std::chrono::steady_clock::now();
  CHECK_FALSE(run.read_about());
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST_CASE("A note beside the journal that is larger than one is, is none") {
  const TemporaryFolder folder;
  const fs::path run = make_run(folder);
  std::ofstream(run / "modules.json") << "[]";
  make_sparse(run / "modules.json", internal::DeadJournal::kMostNoteBytes + 1);
  const auto journal = internal::DeadJournal::take_over(internal::open_roots(folder.path()), kRun);
  REQUIRE(journal != nullptr);
  CHECK(journal->read_note("modules.json") == "");
  fs::resize_file(run / "modules.json", internal::DeadJournal::kMostNoteBytes);
  CHECK(journal->read_note("modules.json").size() == internal::DeadJournal::kMostNoteBytes);
}
