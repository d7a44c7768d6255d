#include "journal/spill.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "journal/support.hpp"
#include "support/child.hpp"

using namespace codewake::testing;
using codewake::internal::read_spill_blocks;
using codewake::internal::Spill;
using codewake::internal::SpillBlock;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kHeader = 64;
constexpr std::size_t kFileHeader = 16;

SpillBlock block_of(std::uint32_t lane, std::uint64_t from, std::size_t size) {
  return {.lane = lane, .from = from, .to = from + size, .clock = {}};
}

// Appends a block of so many bytes, all of them this letter.
SpillBlock append(Spill& spill, std::uint32_t lane, std::uint64_t from, std::size_t size, char letter) {
  SpillBlock block = block_of(lane, from, size);
  REQUIRE_FALSE(spill.append(block, std::string(size, letter)));
  return block;
}

std::string read(const Spill& spill, const SpillBlock& block) {
  std::vector<std::uint64_t> words;
  REQUIRE_FALSE(spill.read(block, words));
  return {reinterpret_cast<const char*>(words.data()), words.size() * sizeof(std::uint64_t)};
}

struct Blocks {
  std::vector<SpillBlock> blocks = {};
  std::uint64_t skipped = 0;
};

Blocks blocks_of(const fs::path& file) {
  Blocks found;
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  found.blocks = read_spill_blocks(fd, 1, found.skipped);
  close(fd);
  return found;
}

// Of a file of these bytes.
Blocks blocks_in(const std::string& bytes) {
  Blocks found;
  const int fd = memfd_create("spill", MFD_CLOEXEC);
  REQUIRE(fd >= 0);
  REQUIRE(write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  found.blocks = read_spill_blocks(fd, 1, found.skipped);
  close(fd);
  return found;
}

std::vector<std::uint32_t> lanes_of(const Blocks& found) {
  std::vector<std::uint32_t> lanes;
  for (const SpillBlock& block : found.blocks) lanes.push_back(block.lane);
  return lanes;
}

}  // namespace

TEST_CASE("Blocks are read back as they were appended, in whatever order") {
  const TemporaryFolder folder;
  Spill spill(opened(folder.path()), 1u << 20);
  const SpillBlock first = append(spill, 1, 0, 800, 'a');
  const SpillBlock second = append(spill, 2, 4096, 8, 'b');
  CHECK(read(spill, second) == std::string(8, 'b'));
  CHECK(read(spill, first) == std::string(800, 'a'));
  CHECK(spill.used_bytes() == kFileHeader + 2 * kHeader + 808);
  CHECK(fs::file_size(folder / "spill-000001") == spill.used_bytes());
  CHECK_FALSE(spill.sync());
  CHECK_FALSE(spill.sync());
}

TEST_CASE("A file that is full is followed by another, and goes when all of its blocks are stored") {
  const TemporaryFolder folder;
  Spill spill(opened(folder.path()), 40'000);  // files of 10'000
  std::vector<SpillBlock> blocks;
  for (std::uint32_t i = 0; i < 6; ++i) blocks.push_back(append(spill, i, 0, 4000, 'x'));
  CHECK(count_files(folder.path(), "spill-") == 2);
  CHECK(blocks[2].file == 1);
  CHECK(blocks[3].file == 2);
  spill.release(blocks[0]);
  spill.release(blocks[2]);
  CHECK(fs::exists(folder / "spill-000001"));
  spill.release(blocks[1]);
  CHECK_FALSE(fs::exists(folder / "spill-000001"));
  CHECK(read(spill, blocks[3]) == std::string(4000, 'x'));
  CHECK(spill.used_bytes() == fs::file_size(folder / "spill-000002"));
}

TEST_CASE("The file that is written to shrinks when all of its blocks are stored, and is written to again") {
  const TemporaryFolder folder;
  Spill spill(opened(folder.path()), 40'000);
  for (int round = 0; round < 10; ++round) {
    const SpillBlock one = append(spill, 1, 0, 4000, 'x');
    const SpillBlock two = append(spill, 1, 4000, 4000, 'y');
    spill.release(one);
    CHECK(read(spill, two) == std::string(4000, 'y'));
    spill.release(two);
    CHECK(spill.used_bytes() == kFileHeader);
    CHECK(fs::file_size(folder / "spill-000001") == kFileHeader);
  }
  CHECK(count_files(folder.path(), "spill-") == 1);
}

TEST_CASE("There is room up to the limit and not behind it") {
  const TemporaryFolder folder;
  constexpr std::uint64_t kLimit = 40'000;
  Spill spill(opened(folder.path()), kLimit);
  CHECK(spill.has_room(kLimit - kFileHeader - kHeader));
  CHECK_FALSE(spill.has_room(kLimit - kFileHeader - kHeader + 1));
  std::vector<SpillBlock> blocks;
  while (spill.has_room(4000)) blocks.push_back(append(spill, 1, 0, 4000, 'x'));
  CHECK(spill.used_bytes() <= kLimit);
  CHECK(spill.used_bytes() > kLimit - 4000 - 2 * kHeader);
  for (const SpillBlock& block : blocks) spill.release(block);
  CHECK(spill.has_room(4000));
  CHECK(count_files(folder.path(), "spill-") == 1);
}

TEST_CASE("A disk that fails is told, and nothing has changed then") {
  const TemporaryFolder folder;
  const ChildResult child = in_child([&] {
    const rlimit limit{.rlim_cur = 10'000, .rlim_max = 10'000};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) std::exit(10);
    Spill spill(opened(folder.path()), 1u << 20);
    SpillBlock first = block_of(1, 0, 4000);
    if (spill.append(first, std::string(4000, 'a'))) std::exit(11);
    const std::uint64_t used = spill.used_bytes();
    SpillBlock large = block_of(1, 4000, 12'000);
    const std::error_code error = spill.append(large, std::string(12'000, 'b'));
    if (error != std::errc::file_too_large) std::exit(12);
    if (spill.used_bytes() != used || fs::file_size(folder / "spill-000001") != used) std::exit(13);
    SpillBlock small = block_of(1, 4000, 80);
    if (spill.append(small, std::string(80, 'c'))) std::exit(14);
    std::vector<std::uint64_t> words;
    if (spill.read(first, words) || words.size() != 500 || words[0] != 0x6161616161616161u) std::exit(15);
    if (spill.read(small, words) || words.size() != 10 || words[0] != 0x6363636363636363u) std::exit(16);
  });
  CHECK(child.signal == 0);
  CHECK(child.exit_code == 0);
  const Blocks found = blocks_of(folder / "spill-000001");
  CHECK(found.blocks.size() == 2);
  CHECK(found.skipped == 0);
}

TEST_CASE("Files are no larger than the process may make them") {
  const TemporaryFolder folder;
  const ChildResult child = in_child([&] {
    const rlimit limit{.rlim_cur = 10'000, .rlim_max = 10'000};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) std::exit(10);
    Spill spill(opened(folder.path()), 1u << 20);
    for (std::uint64_t i = 0; i < 10; ++i) {
      SpillBlock block = block_of(1, 4000 * i, 4000);
      if (spill.append(block, std::string(4000, 'a'))) std::exit(11);
      if (block.file != i / 2 + 1) std::exit(12);
    }
  });
  CHECK(child.signal == 0);
  CHECK(child.exit_code == 0);
}

TEST_CASE("A folder that is gone is an error, not an end") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "run");
  Spill spill(opened(folder / "run"), 1u << 20);
  fs::remove_all(folder / "run");
  SpillBlock block = block_of(1, 0, 8);
  CHECK(spill.append(block, "12345678") == std::errc::no_such_file_or_directory);
  CHECK(spill.used_bytes() == 0);
}

TEST_CASE("The blocks of a dead run's file are found with their places") {
  const TemporaryFolder folder;
  Spill spill(opened(folder.path()), 1u << 20);
  const SpillBlock one = append(spill, 1, 4096, 70'000, 'a');  // larger than what is read at once
  const SpillBlock two = append(spill, 2, 8, 16, 'b');
  const Blocks found = blocks_of(folder / "spill-000001");
  REQUIRE(found.blocks.size() == 2);
  CHECK(found.blocks[0].offset == one.offset);
  CHECK(found.blocks[0].from == 4096);
  CHECK(found.blocks[0].to == 4096 + 70'000);
  CHECK(found.blocks[1].offset == two.offset);
  CHECK(found.blocks[1].lane == 2);
  CHECK(found.skipped == 0);
}

TEST_CASE("A spill file that is cut off anywhere gives what is left of it") {
  const TemporaryFolder folder;
  const fs::path file = folder / "spill-000001";
  Spill spill(opened(folder.path()), 1u << 20);
  append(spill, 1, 0, 104, 'a');
  append(spill, 2, 0, 200, 'b');
  const std::string bytes = read_file(file);
  const std::size_t second = kFileHeader + kHeader + 104;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    const Blocks found = blocks_in(bytes.substr(0, size));
    const std::size_t blocks = size >= second + kHeader ? 2 : size >= kFileHeader + kHeader ? 1 : 0;
    REQUIRE(found.blocks.size() == blocks);
    if (blocks == 0) continue;
    const SpillBlock& last = found.blocks.back();
    CHECK(last.offset + (last.to - last.from) <= size);
    CHECK((last.to - last.from) % 8 == 0);
    const std::size_t whole = blocks == 2 ? 200 : 104;
    if (size < second || blocks == 2) CHECK(found.skipped == whole - (last.to - last.from));
  }
}

TEST_CASE(
    "A bit that is wrong in a spill file costs no block, two in a header cost no other block than its own") {
  const TemporaryFolder folder;
  const fs::path file = folder / "spill-000001";
  Spill spill(opened(folder.path()), 1u << 20);
  const std::vector<SpillBlock> blocks = {append(spill, 1, 0, 16, 'a'), append(spill, 2, 0, 40, 'b'),
                                          append(spill, 3, 0, 24, 'c')};
  const std::string bytes = read_file(file);
  for (std::size_t byte = 0; byte < bytes.size(); ++byte) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      CAPTURE(byte);
      CAPTURE(bit);
      std::string flipped = bytes;
      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
      const Blocks mended = blocks_in(flipped);
      CHECK(lanes_of(mended) == std::vector<std::uint32_t>{1, 2, 3});
      CHECK(mended.skipped == 0);
      for (std::size_t i = 0; i < blocks.size(); ++i) {
        CHECK(mended.blocks[i].from == blocks[i].from);
        CHECK(mended.blocks[i].to == blocks[i].to);
        CHECK(mended.blocks[i].offset == blocks[i].offset);
      }

      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << (bit + 1) % 8));
      const Blocks found = blocks_in(flipped);
      std::vector<std::uint32_t> expected;
      std::uint64_t skipped = 0;
      for (const SpillBlock& block : blocks) {
        const bool header_is_hit = byte >= block.offset - kHeader && byte < block.offset;
        if (header_is_hit) {
          skipped = kHeader + block.to - block.from;
        } else {
          expected.push_back(block.lane);
        }
      }
      CHECK(lanes_of(found) == expected);
      CHECK(found.skipped == skipped);
    }
  }
}

TEST_CASE(
    "A program that closes the files' descriptors finds its own files as they were, and the spill goes on") {
  const TemporaryFolder folder;
  const ChildResult child = in_child([&] {
    Spill spill(opened(folder.path()), 1 << 20);
    SpillBlock before = block_of(1, 0, 64);
    if (spill.append(before, std::string(64, 'a'))) _exit(1);
    for (int fd = STDERR_FILENO + 1; fd < 1024; ++fd) close(fd);
    const int own = open((folder / "own").c_str(), O_RDWR | O_CREAT, 0600);
    for (int fd = own + 1; fd < 1024; ++fd) dup2(own, fd);  // whichever number it was
    SpillBlock after = block_of(1, 64, 64);
    if (spill.append(after, std::string(64, 'b')) || spill.sync()) _exit(3);
    if (read(spill, before) != std::string(64, 'a') || read(spill, after) != std::string(64, 'b')) _exit(4);
    struct stat status {};
    if (fstat(own, &status) != 0 || status.st_size != 0) _exit(5);
    spill.release(before);
    spill.release(after);
    if (fstat(own, &status) != 0) _exit(6);
    _exit(0);
  });
  CHECK(child.exit_code == 0);
}

TEST_CASE("A block that was being written when the program died is none, and nothing was lost with it") {
  const TemporaryFolder folder;
  const fs::path file = folder / "spill-000001";
  Spill spill(opened(folder.path()), 1u << 20);
  append(spill, 1, 0, 16, 'a');
  const Blocks found = blocks_in(read_file(file) + std::string(kHeader, '\0') + std::string(200, 'x'));
  CHECK(found.blocks.size() == 1);
  CHECK(found.skipped == 0);
}
