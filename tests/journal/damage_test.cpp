// Damage at random places of a dead run's files: what it did not hit is read, once and in order.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "journal/dead_journal.hpp"
#include "journal/spill.hpp"
#include "journal/support.hpp"

using namespace codewake;
using namespace codewake::testing;
using internal::DeadJournal;
using internal::Lane;
using internal::LiveJournal;
namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t kSlots = 8;
constexpr std::uint32_t kLanes = 3;
constexpr std::size_t kFrontHeader = 4096;
constexpr std::size_t kSlotsOffset = 8192;

struct File {
  fs::path path;
  std::string bytes;
};

// A run with records in memory, on the disk, and in both.
struct Run {
  JournalFolder folder;
  std::string name;
  std::vector<File> files;
  std::vector<Collected> records;

  Run() {
    std::mt19937_64 random(7);
    LiveJournal journal(folder.options(kSlots));
    std::vector<Lane*> lanes;
    for (std::uint32_t i = 0; i < kLanes; ++i) lanes.push_back(journal.acquire_lane());
    for (std::size_t i = 0; i < 3000; ++i) {
      const std::string text = fmt::format("{} {}", i, std::string(random() % 600, 'x'));
      REQUIRE(write(journal, *lanes[random() % kLanes], text) == internal::Accepted::yes);
      if (i == 600 || i == 1900) journal.keep({.spill_everything = true});
    }
    name = journal.run();
    journal.give_up_locks();
    for (const fs::path& root : {folder.path(), folder.front_root()}) {
      for (const auto& entry : fs::directory_iterator(root / name)) {
        const std::string file = entry.path().filename();
        if (file == "front" || file.starts_with("spill-"))
          files.push_back({entry.path(), read_file(entry.path())});
      }
    }
    const auto dead = folder.take_over(name);
    dead->open();
    records = collect_all(*dead);
    REQUIRE(records.size() == 3000);
    REQUIRE(files.size() == 2);
  }
};

// Which records have a copy that lies whole in the undamaged bytes, with every header that leads there.
class Expectation {
 public:
  Expectation(const Run& run, const std::vector<std::string>& damaged) {
    for (std::size_t i = 0; i < run.files.size(); ++i) {
      const std::string& good = run.files[i].bytes;
      if (run.files[i].path.filename() == "front") {
        add_front(good, damaged[i]);
      } else {
        add_spill(good, damaged[i]);
      }
    }
  }

  // True where no copy of these positions is damaged.
  bool is_untouched(const Collected& record) const {
    bool found = false;
    for (const Piece& piece : pieces_) {
      if (piece.lane != record.lane || record.position < piece.from || record.next_position > piece.to)
        continue;
      const auto size = static_cast<std::size_t>(record.next_position - record.position);
      const std::size_t at = piece.offset + static_cast<std::size_t>(record.position - piece.from);
      const bool same = piece.header_is_good && at + size <= piece.damaged->size() &&
                        piece.good->compare(at, size, *piece.damaged, at, size) == 0;
      if (!same) return false;
      found = true;
    }
    return found;
  }

 private:
  struct Piece {
    const std::string* good;
    const std::string* damaged;
    std::size_t offset;
    std::uint32_t lane;
    std::uint64_t from;
    std::uint64_t to;
    bool header_is_good;
  };

  static bool is_same(const std::string& good, const std::string& damaged, std::size_t at, std::size_t size) {
    return at + size <= damaged.size() && good.compare(at, size, damaged, at, size) == 0;
  }

  void add_front(const std::string& good, const std::string& damaged) {
    const bool front_is_good =
        is_same(good, damaged, 0, 36) && damaged.size() >= sizeof(internal::FrontHeader);
    for (std::uint32_t i = 0; i < kSlots; ++i) {
      const std::size_t at = kSlotsOffset + i * internal::kSlotBytes;
      internal::SlotHeader header;
      std::memcpy(&header, good.data() + at, sizeof header);
      if (header.magic == 0) continue;
      pieces_.push_back({.good = &good,
                         .damaged = &damaged,
                         .offset = at + sizeof header,
                         .lane = header.lane,
                         .from = header.base_position,
                         .to = header.base_position + internal::kSlotBytes - sizeof header,
                         .header_is_good = front_is_good && is_same(good, damaged, at, sizeof header)});
    }
  }

  void add_spill(const std::string& good, const std::string& damaged) {
    for (std::size_t at = sizeof(internal::SpillHeader); at < good.size();) {
      internal::BlockHeader header;
      std::memcpy(&header, good.data() + at, sizeof header);
      REQUIRE(header.magic == internal::kBlockMagic);
      pieces_.push_back({.good = &good,
                         .damaged = &damaged,
                         .offset = at + sizeof header,
                         .lane = header.lane,
                         .from = header.from_position,
                         .to = header.from_position + header.size_bytes,
                         .header_is_good = is_same(good, damaged, at, sizeof header)});
      at += sizeof header + header.size_bytes;
    }
  }

  std::vector<Piece> pieces_;
};

std::string damage(const std::string& good, std::mt19937_64& random) {
  std::string bytes = good;
  for (std::uint64_t hits = random() % 6; hits > 0; --hits) {
    if (bytes.empty()) break;
    // Headers are small, and hit more often than their size asks for.
    const std::size_t bound = random() % 3 == 0 ? kFrontHeader + 256 : bytes.size();
    const std::size_t at = random() % std::min(bound, bytes.size());
    const std::size_t size = std::min<std::size_t>(1 + random() % 2000, bytes.size() - at);
    switch (random() % 6) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 1:
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), size, '\0');
        break;
      case 2:
        std::generate_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), size,
                        [&] { return static_cast<char>(random()); });
        break;
      case 3:  // a piece of the file stands in another place
        bytes.replace(at, size, good, random() % good.size(), size);
        break;
      case 4:
        bytes.resize(bytes.size() - random() % std::min<std::size_t>(bytes.size(), 300'000));
        break;
      default:
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), size, '\xFF');
    }
  }
  return bytes;
}

void check(const Run& run, const std::vector<std::string>& damaged) {
  for (std::size_t i = 0; i < damaged.size(); ++i) {
    std::ofstream(run.files[i].path, std::ios::binary | std::ios::trunc) << damaged[i];
  }
  const auto dead = run.folder.take_over(run.name);
  REQUIRE(dead);
  dead->open();
  const std::vector<Collected> found = collect_all(*dead);
  CHECK(dead->is_at_end());

  std::map<std::pair<std::uint32_t, std::uint64_t>, const Collected*> written;
  for (const Collected& record : run.records) written[{record.lane, record.position}] = &record;
  std::map<std::uint32_t, std::uint64_t> ends;
  std::set<const Collected*> delivered;
  for (const Collected& record : found) {
    // Nothing is invented, nothing comes twice, and each lane keeps its order.
    const auto known = written.find({record.lane, record.position});
    const bool was_written = known != written.end() && known->second->text == record.text;
    const bool is_new = was_written && delivered.insert(known->second).second;
    const bool is_in_order = record.position >= ends[record.lane];
    if (!was_written || !is_new || !is_in_order) {
      FAIL_CHECK("lane " << record.lane << " position " << record.position
                         << " was invented, or comes twice");
    }
    ends[record.lane] = record.next_position;
  }
  const Expectation expectation(run, damaged);
  for (const Collected& record : run.records) {
    if (delivered.contains(&record) || !expectation.is_untouched(record)) continue;
    FAIL_CHECK("lane " << record.lane << " position " << record.position << " was not hit, and is missing");
  }
}

}  // namespace

TEST_CASE("Whatever happens to a dead run's files, what was not hit is read once and in order") {
  const Run run;
  std::mt19937_64 random(20'240'229);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    std::vector<std::string> damaged;
    for (const File& file : run.files) damaged.push_back(damage(file.bytes, random));
    check(run, damaged);
  }
}
