#include "stacktrace/line_table.hpp"

#include <doctest/doctest.h>
#include <dwarf.h>
#include <elfutils/libdw.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "place_programs.hpp"
#include "stacktrace/elf_file.hpp"

namespace codewake::testing {
namespace {

using internal::ElfFile;
using internal::LineRow;
using internal::LineSections;
using internal::LineTable;
using internal::read_line_table;

/// Which line, of which file, the code from an address on is of; of none: 0.
using Lines = std::map<std::uint64_t, std::pair<std::uint32_t, std::string>>;

void add(Lines& lines, std::uint64_t address, std::uint32_t line, std::string file, bool is_end) {
  lines[address] = is_end || line == 0 ? std::pair(0u, std::string()) : std::pair(line, std::move(file));
}

/// The units of a file, with their line tables as libdw has them and as we do.
class Units {
 public:
  explicit Units(const std::filesystem::path& path) : file_(ElfFile::open(path.string(), {.all = true})) {
    REQUIRE(file_ != nullptr);
    dwarf_ = dwarf_begin_elf(file_->elf(), DWARF_C_READ, nullptr);
    REQUIRE(dwarf_ != nullptr);
    sections_ = {.lines = file_->unpacked_section(".debug_line"),
                 .line_strings = file_->unpacked_section(".debug_line_str"),
                 .strings = file_->unpacked_section(".debug_str")};
  }
  Units(const Units&) = delete;
  Units& operator=(const Units&) = delete;
  ~Units() { dwarf_end(dwarf_); }

  const LineSections& sections() const { return sections_; }
  const ElfFile& file() const { return *file_; }

  template <class Visit>
  void each(Visit visit) const {
    Dwarf_CU* unit = nullptr;
    Dwarf_Die die;
    std::uint8_t type = 0;
    while (dwarf_get_units(dwarf_, unit, &unit, nullptr, &type, &die, nullptr) == 0) {
      Dwarf_Attribute attribute;
      Dwarf_Word offset = 0;
      if (dwarf_formudata(dwarf_attr(&die, DW_AT_stmt_list, &attribute), &offset) == 0) visit(die, offset);
    }
  }

 private:
  std::unique_ptr<ElfFile> file_;
  Dwarf* dwarf_ = nullptr;
  LineSections sections_;
};

std::string absolute(const std::string& path, Dwarf_Die& unit) {
  Dwarf_Attribute attribute;
  const char* const folder = dwarf_formstring(dwarf_attr(&unit, DW_AT_comp_dir, &attribute));
  return path.starts_with('/') || folder == nullptr ? path : std::string(folder) + "/" + path;
}

Lines lines_of_libdw(Dwarf_Die& unit, std::set<std::uint64_t>& ends) {
  Lines found;
  Dwarf_Lines* lines = nullptr;
  std::size_t count = 0;
  REQUIRE(dwarf_getsrclines(&unit, &lines, &count) == 0);
  for (std::size_t i = 0; i < count; ++i) {
    Dwarf_Line* const line = dwarf_onesrcline(lines, i);
    Dwarf_Addr address = 0;
    int number = 0;
    bool is_end = false;
    const bool is_read = dwarf_lineaddr(line, &address) == 0 && dwarf_lineno(line, &number) == 0 &&
                         dwarf_lineendsequence(line, &is_end) == 0;
    if (!is_read) throw std::runtime_error("libdw cannot read a line");
    if (is_end) ends.insert(address);
    const char* const path = dwarf_linesrc(line, nullptr, nullptr);
    add(found, address, static_cast<std::uint32_t>(number), path == nullptr ? "" : absolute(path, unit),
        is_end);
  }
  return found;
}

/// A row at the end of its sequence is of no code; with libdw it hides the end, or what begins there.
bool is_same_for_code(const Lines& ours, const Lines& libdw, const std::set<std::uint64_t>& ends) {
  return std::ranges::equal(ours, libdw, [&](const auto& a, const auto& b) {
    return a == b || (a.first == b.first && ends.contains(a.first));
  });
}

Lines lines_of(const LineTable& table, Dwarf_Die& unit) {
  Lines found;
  for (const LineRow& row : table.rows) {
    add(found, row.address, row.line, absolute(table.files.at(row.file), unit), row.is_end);
  }
  return found;
}

bool anywhere(std::uint64_t) {
  return true;
}

/// Two files with many units: that of this test, and the library.
std::vector<std::filesystem::path> large_files() {
  return {"/proc/self/exe", std::getenv("CODEWAKE_TEST_LIBRARY")};
}

}  // namespace

TEST_CASE("A line table says the same of code as libdw does") {
  std::vector<std::filesystem::path> files = place_programs("");
  for (const auto& file : large_files()) {
    const auto elf = ElfFile::open(file.string(), {.all = true});
    if (elf != nullptr && elf->has_debug_info()) files.push_back(file);
  }
  std::size_t compared = 0;
  for (const auto& path : files) {
    CAPTURE(path.string());
    const Units units(path);
    units.each([&](Dwarf_Die& unit, std::uint64_t offset) {
      const auto table = read_line_table(units.sections(), offset, &anywhere);
      REQUIRE(table);
      std::set<std::uint64_t> ends;
      const Lines libdw = lines_of_libdw(unit, ends);
      const bool is_same = is_same_for_code(lines_of(*table, unit), libdw, ends);
      CHECK(is_same);
      const bool is_sorted = std::ranges::is_sorted(table->rows, {}, &LineRow::address);
      CHECK(is_sorted);
      compared += table->rows.size();
    });
  }
  CHECK(compared > 100);
}

TEST_CASE("Lines of functions that the linker has dropped are left out, and no others") {
  std::size_t left_out = 0;
  for (const auto& path : place_programs("-dropped")) {
    CAPTURE(path.string());
    const Units units(path);
    const auto is_code = [&](std::uint64_t address) { return units.file().is_code(address); };
    units.each([&](Dwarf_Die&, std::uint64_t offset) {
      const auto all = read_line_table(units.sections(), offset, &anywhere);
      const auto kept = read_line_table(units.sections(), offset, is_code);
      REQUIRE(kept);
      CHECK(std::ranges::all_of(kept->rows,
                                [&](const LineRow& row) { return row.is_end || is_code(row.address); }));
      left_out += all->rows.size() - kept->rows.size();
    });
  }
  if (!place_programs("-dropped").empty()) CHECK(left_out > 0);
}

TEST_CASE("What is no line table gives none, and a damaged one ends somewhere") {
  const auto read = [](const std::string& bytes, std::uint64_t offset = 0) {
    return read_line_table({.lines = bytes, .line_strings = {}, .strings = {}}, offset, &anywhere);
  };
  CHECK_FALSE(read(""));
  CHECK_FALSE(read("abc"));
  CHECK_FALSE(read(std::string(100, '\xFF')));
  CHECK_FALSE(read(std::string(100, '\0')));
  CHECK_FALSE(read("abc", 4));
  CHECK_FALSE(read("abc", UINT64_MAX));
  std::mt19937 random(7);
  for (const auto& path : place_programs("-O2")) {
    const Units units(path);
    const std::string lines(units.sections().lines);
    REQUIRE(lines.size() > 100);
    for (int round = 0; round < 2000; ++round) {
      std::string damaged = lines;
      for (int change = 0; change < 1 + round % 4; ++change)
        damaged[(change % 2 == 0 ? random() % 64 : random() % damaged.size())] = static_cast<char>(random());
      if (round % 5 == 0) damaged.resize(random() % damaged.size());
      LineSections sections = units.sections();
      sections.lines = damaged;
      if (const auto table = read_line_table(sections, 0, &anywhere))
        CHECK(table->rows.size() <= damaged.size());
    }
  }
}

}  // namespace codewake::testing
