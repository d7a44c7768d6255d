// Journals that are damaged after the program's death: a bit that flips costs one record at most.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "codewake/recovery.hpp"
#include "faults/scene.hpp"
#include "support/child.hpp"

namespace codewake::testing {
namespace {

using namespace std::chrono_literals;

/// Bytes of a file in which records lie, as FORMAT.md says.
struct Stretch {
  std::filesystem::path file;
  std::size_t begin;
  std::size_t end;
};

/// A file that may be large, and mostly a hole.
class File {
 public:
  explicit File(const std::filesystem::path& path) : fd_(open(path.c_str(), O_RDWR | O_CLOEXEC)) {
    REQUIRE(fd_ >= 0);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { close(fd_); }

  /// 0 behind the end.
  std::uint32_t word(std::size_t offset) const {
    std::uint32_t word = 0;
    return pread(fd_, &word, sizeof word, static_cast<off_t>(offset)) == sizeof word ? word : 0;
  }
  void flip(std::size_t offset, unsigned bit) const {
    unsigned char byte = 0;
    CHECK(pread(fd_, &byte, 1, static_cast<off_t>(offset)) == 1);
    byte = static_cast<unsigned char>(byte ^ (1u << bit));
    CHECK(pwrite(fd_, &byte, 1, static_cast<off_t>(offset)) == 1);
  }

 private:
  int fd_;
};

// The records of each slot that is in use.
void find_in_front(const std::filesystem::path& path, std::vector<Stretch>& found) {
  const File file(path);
  const std::size_t slot_bytes = file.word(12), slots = file.word(16), first = file.word(24);
  for (std::size_t begin = first; begin < first + slots * slot_bytes; begin += slot_bytes) {
    if (file.word(begin) != 0x4C535743u) continue;
    std::size_t at = begin + 64;
    while (at < begin + slot_bytes) {
      const std::uint32_t length = file.word(at);
      if (length == 0 || length > slot_bytes) break;
      at += length;
    }
    if (at > begin + 64) found.push_back({path, begin + 64, at});
  }
}

// The records of each block.
void find_in_spill(const std::filesystem::path& path, std::vector<Stretch>& found) {
  const File file(path);
  const std::size_t size = std::filesystem::file_size(path);
  for (std::size_t at = 16; file.word(at) == 0x42535743u;) {
    const std::size_t begin = at + 64, end = begin + file.word(at + 12);
    if (end > size) break;
    found.push_back({path, begin, end});
    at = end;
  }
}

std::vector<Stretch> find_records(const Scene& scene) {
  std::vector<Stretch> found;
  for (const auto& file : scene.journal().files()) {
    const std::string name = file.filename();
    if (name == "front") find_in_front(file, found);
    if (name.starts_with("spill-")) find_in_spill(file, found);
    if (name.starts_with("large-")) found.push_back({file, 0, std::filesystem::file_size(file)});
  }
  std::erase_if(found, [](const Stretch& s) { return s.begin == s.end; });  // killed before it wrote there
  return found;
}

void flip_bit(Scene& scene, const Stretch& stretch) {
  const std::size_t offset = stretch.begin + scene.draw(stretch.end - stretch.begin);
  File(stretch.file).flip(offset, static_cast<unsigned>(scene.draw(8)));
}

std::shared_ptr<Store> away_queue(const Scene& scene, std::uint64_t) {
  return scene.target().queue(scene.options(), {.is_away = true});
}

std::shared_ptr<Store> away_durable_queue(const Scene& scene, std::uint64_t) {
  Config::Queue options = scene.options();
  options.durability = Durability::machine;
  return scene.target().queue(options, {.is_away = true});
}

TEST_CASE("Bits that flip in the records left behind cost one event each at most") {
  const Torture torture = testing::torture(8);
  Scene scene(torture);
  Tally all;
  std::uint64_t flips = 0;
  for (int i = 0; i < torture.kills; ++i) {
    scene.run_and_kill({.make_store = i % 2 == 0 ? away_queue : away_durable_queue, .large_in = 200});
    const std::vector<Stretch> stretches = find_records(scene);
    const std::uint64_t here = stretches.empty() ? 0 : 1 + scene.draw(12);
    for (std::uint64_t f = 0; f < here; ++f) flip_bit(scene, stretches[scene.draw(stretches.size())]);
    const pid_t recoverer =
        start_child([&] { recover_all(*scene.target().store(), scene.journal().path()); });
    CHECK(wait_for(recoverer) == 0);
    CHECK(scene.journal().runs().empty());
    const Tally tally = scene.look();
    INFO("seed " << torture.seed << ", round " << i << ": " << here << " flips, " << tally.lost << " lost");
    CHECK(tally.lost <= here);
    flips += here;
    all = all + tally;
  }
  MESSAGE(flips << " flips cost " << all.lost << " events");
  all.lost = all.lost > flips ? all.lost - flips : 0;
  scene.conclude("with bits flipped in records", all);
}

TEST_CASE(
    "Bits that flip anywhere in the files left behind make no recoverer crash, hang or repeat an event") {
  const Torture torture = testing::torture(8);
  Scene scene(torture);
  Tally all;
  for (int i = 0; i < torture.kills; ++i) {
    scene.run_and_kill({.make_store = i % 2 == 0 ? away_queue : away_durable_queue, .large_in = 200});
    std::vector<Stretch> stretches;
    for (const auto& file : scene.journal().files()) {
      // The heads of the files are where it hurts.
      const std::size_t size = std::min<std::size_t>(std::filesystem::file_size(file), 64 * 1024);
      if (size != 0) stretches.push_back({file, 0, size});
    }
    for (int f = 0; f < 40 && !stretches.empty(); ++f)
      flip_bit(scene, stretches[scene.draw(stretches.size())]);
    const pid_t recoverer = start_child([&] {
      alarm(60);
      const auto store = scene.target().store();
      const RecoveryOptions options{.journal_folder = scene.journal().path()};
      recover_journals(*store, options);
      recover_journals(*store, options);
    });
    CHECK(wait_for(recoverer) == 0);
    for (const auto& run : scene.journal().runs()) std::filesystem::remove_all(run);
    all = all + scene.look();
  }
  MESSAGE("flips anywhere cost " << all.lost << " of " << all.told << " events");
  all.lost = 0;
  scene.conclude("with bits flipped anywhere", all);
}

}  // namespace
}  // namespace codewake::testing
