// Programs' files with damage anywhere in what is read of them.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "codewake/frame.hpp"
#include "place_programs.hpp"
#include "stacktrace/symbolizer.hpp"
#include "support/child.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kDamagesOfOneProgram = 600;

/// What is read: the headers, and what they lead to.
std::vector<Section> read_parts(const std::string& file) {
  constexpr std::size_t kHeader = 64, kSectionHeader = 64;
  std::uint64_t headers = 0;
  std::memcpy(&headers, file.data() + 40, sizeof headers);
  std::uint16_t count = 0;
  std::memcpy(&count, file.data() + 60, sizeof count);
  std::vector<Section> parts = {{"header", 0, kHeader}, {"section headers", headers, count * kSectionHeader}};
  for (const Section& section : sections_of(file)) {
    for (const char* begin : {".debug", ".zdebug", ".symtab", ".strtab", ".dynsym", ".shstrtab", ".note"}) {
      if (section.name.starts_with(begin)) parts.push_back(section);
    }
  }
  return parts;
}

/// The file with one kind of damage in one of its parts; the same for the same seed.
std::string damaged(std::string file, const std::vector<Section>& parts, std::uint64_t seed) {
  static constexpr unsigned char kExtremes[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
  std::mt19937_64 random(seed);
  const Section& part = parts[random() % parts.size()];
  const auto place = [&](std::size_t size) {
    return part.offset + (part.size <= size ? 0 : random() % (part.size - size));
  };
  switch (random() % 6) {
    case 0:
      file[place(1)] ^= static_cast<char>(1u << random() % 8);
      break;
    case 1:
      file[place(1)] = static_cast<char>(kExtremes[random() % std::size(kExtremes)]);
      break;
    case 2:  // many places
      for (std::uint64_t left = 2 + random() % 30; left > 0; --left)
        file[place(1)] = static_cast<char>(random());
      break;
    case 3: {  // cut off: zeros from there on
      const std::size_t begin = place(1);
      file.replace(begin, part.offset + part.size - begin, part.offset + part.size - begin, '\0');
      break;
    }
    case 4: {  // a reference that leads back, if one is there
      const std::size_t at = place(4);
      const auto back = static_cast<std::uint32_t>(random() % (at - part.offset + 1));
      std::memcpy(file.data() + at, &back, std::min<std::size_t>(sizeof back, part.size));
      break;
    }
    default: {  // a piece of it once more, over another
      const std::size_t size = std::min<std::size_t>(part.size, 1 + random() % 64);
      file.replace(place(size), size, file.substr(place(size), size));
      break;
    }
  }
  return file;
}

void write_over(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

void limit_memory() {
  if (kSanitized) return;  // its shadow takes terabytes of addresses
  constexpr rlim_t kMost = rlim_t{1} << 30;
  const rlimit limit{kMost, kMost};
  if (setrlimit(RLIMIT_AS, &limit) != 0) throw std::runtime_error("setrlimit failed");
}

/// Looks all places up in damaged files one after the other, saying each one's number before.
void read_damaged(const fs::path& program, const fs::path& copy) {
  constexpr unsigned kSecondsForOne = 20;
  const std::string content = read_file(program);
  const std::vector<Section> parts = read_parts(content);
  const std::vector<Place> places = places_in(program);
  internal::Module module = module_of(program);
  module.path = copy.string();
  limit_memory();
  std::size_t with_line = 0;
  for (std::uint64_t seed = 0; seed < kDamagesOfOneProgram; ++seed) {
    const std::string said = std::to_string(seed) + "\n";
    if (write(STDOUT_FILENO, said.data(), said.size()) < 0) throw std::runtime_error("write failed");
    write_over(copy, damaged(content, parts, seed));
    alarm(kSecondsForOne);
    internal::Symbolizer symbolizer;
    for (const Place& place : places) {
      void* const addresses[] = {reinterpret_cast<void*>(place.address + 1)};
      const std::vector<Frame> frames = symbolizer.resolve(addresses, {module});
      if (frames.empty() || frames.back().offset != place.address) throw std::runtime_error("no frame");
      if (frames.back().lineno != 0) ++with_line;
    }
  }
  alarm(0);
  // Else it was not damage that was looked at.
  if (with_line < places.size() * kDamagesOfOneProgram / 4) throw std::runtime_error("hardly any has a line");
}

}  // namespace

TEST_CASE("A program's file with damage anywhere does no harm") {
  for (const fs::path& program : place_programs()) {
    CAPTURE(program);
    const TemporaryFolder folder;
    const ChildResult result = in_child([&] { read_damaged(program, folder / "damaged"); });
    const std::string last = result.out.substr(result.out.rfind('\n', result.out.size() - 2) + 1);
    CAPTURE(last);
    CHECK(result.err == "");
    CHECK(result.signal == 0);
    CHECK(result.exit_code == 0);
  }
}

TEST_CASE("A file whose units all refer to the same endless list of ranges is read within bounds") {
  constexpr int kUnits = 20'000, kRanges = 20'000;
  const TemporaryFolder folder;
  std::string source =
      ".section .debug_abbrev,\"\"\n.byte 1,0x11,0,0x55,0x17,0x11,1,0,0,0\n"
      ".section .debug_ranges,\"\"\n";
  source += ".rept " + std::to_string(kRanges) + "\n.quad 0x1000,0x2000\n.endr\n.quad 0,0\n";
  source += ".section .debug_info,\"\"\n.rept " + std::to_string(kUnits) +
            "\n.long 21\n.short 4\n.long 0\n.byte 8\n.byte 1\n.long 0\n.quad 0\n.byte 0\n.endr\n";
  const fs::path assembly = folder.write("hostile.s", source);
  const fs::path object = folder / "hostile";
  if (!run_quietly("as " + assembly.string() + " -o " + object.string()))
    CODEWAKE_SKIP("as does not work here");
  const ChildResult result = in_child([&] {
    constexpr unsigned kSeconds = 60;
    limit_memory();
    alarm(kSeconds);
    const std::vector<Frame> frames = frames_at(module_of(object, ""), 0x1800);
    if (frames.size() != 1) throw std::runtime_error("no frame");
  });
  CHECK(result.err == "");
  CHECK(result.signal == 0);
  CHECK(result.exit_code == 0);
}

TEST_CASE("A name that does not end within its section is none, and nothing behind that is read") {
  const TemporaryFolder folder;
  // An offset into .debug_str, or the text itself as the last of the entries.
  const auto function_of = [&](const std::string& form, const std::string& name, const std::string& strings) {
    const std::string source =
        ".section .debug_abbrev,\"\"\n.byte 1,0x11,1,0x11,1,0x12,7,0,0,2,0x2e,0,0x11,1,0x12,7,3," + form +
        ",0,0,0\n.section .debug_info,\"\"\n.long 2f-1f\n1: .short 4\n.long 0\n.byte 8\n"
        ".byte 1\n.quad 0x1000,0x1000\n.byte 2\n.quad 0x1000,0x1000\n" +
        name + "\n2:\n.section .debug_str,\"\"\n" + strings + "\n.section .behind,\"\"\n.asciz \"unknown\"\n";
    const fs::path assembly = folder.write("names.s", source), object = folder / "names";
    if (!run_quietly("as " + assembly.string() + " -o " + object.string())) return std::string("as fails");
    const std::vector<Frame> frames = frames_at(module_of(object, ""), 0x1800);
    return frames.size() == 1 ? frames.front().function : "no frame";
  };
  const std::string ended = function_of("0xe", ".long 0\n.byte 0", ".asciz \"known\"");
  if (ended == "as fails") CODEWAKE_SKIP("as does not work here");
  CHECK(ended == "known");
  CHECK(function_of("0xe", ".long 0\n.byte 0", ".ascii \"known\"") == "");
  CHECK(function_of("8", ".asciz \"known\"\n.byte 0", "") == "known");
  CHECK(function_of("8", ".ascii \"known\"", "") == "");
}

}  // namespace codewake::testing
