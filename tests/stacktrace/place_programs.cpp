#include "place_programs.hpp"

#include <doctest/doctest.h>
#include <elf.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "stacktrace/elf_file.hpp"
#include "stacktrace/symbolizer.hpp"

namespace codewake::testing {

namespace fs = std::filesystem;
using internal::Module;

std::vector<fs::path> place_programs(const std::string& part) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(std::getenv("CODEWAKE_TEST_PROGRAMS"))) {
    const std::string name = entry.path().filename().string();
    const bool is_program = name.starts_with("places-") && !name.ends_with(".dwo");
    if (is_program && name.find(part) != std::string::npos) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string place_sources() {
  return test_data("../stacktrace/programs").lexically_normal().string();
}

std::vector<Section> sections_of(const std::string& file) {
  Elf64_Ehdr header;
  std::memcpy(&header, file.data(), sizeof header);
  const auto section = [&](std::size_t number) {
    Elf64_Shdr found;
    std::memcpy(&found, file.data() + header.e_shoff + number * sizeof found, sizeof found);
    return found;
  };
  const char* names = file.data() + section(header.e_shstrndx).sh_offset;
  std::vector<Section> sections;
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    const Elf64_Shdr found = section(i);
    if (found.sh_type == SHT_NULL || found.sh_type == SHT_NOBITS || found.sh_size == 0) continue;
    sections.push_back({names + found.sh_name, found.sh_offset, found.sh_size});
  }
  return sections;
}

std::vector<Place> places_in(const fs::path& program) {
  const std::string content = read_file(program);
  std::vector<Place> places;
  for (const Section& section : sections_of(content)) {
    if (section.name != ".places") continue;
    for (std::size_t at = 0; at + 8 < section.size;) {
      Place& place = places.emplace_back();
      std::memcpy(&place.address, content.data() + section.offset + at, 8);
      place.name = content.data() + section.offset + at + 8;
      at += (8 + place.name.size() + 1 + 7) / 8 * 8;
    }
  }
  return places;
}

Module module_of(const fs::path& file, std::string build_id) {
  Module module;
  module.path = file.string();
  module.build_id = std::move(build_id);
  module.end = UINTPTR_MAX;
  module.identity = module.identify();
  return module;
}

Module module_of(const fs::path& file) {
  const auto elf = internal::ElfFile::open(file.string(), {.all = true});
  REQUIRE(elf != nullptr);
  return module_of(file, elf->build_id());
}

std::vector<Frame> frames_at(const Module& module, std::uint64_t address, internal::SymbolOptions options) {
  internal::Symbolizer symbolizer(std::move(options));
  void* const addresses[] = {reinterpret_cast<void*>(address + 1)};
  return symbolizer.resolve(addresses, {module});
}

bool run_quietly(const std::string& command) {
  return std::system((command + " 2>/dev/null").c_str()) == 0;
}

Stripped::Stripped(const std::string& debug_file, const std::string& strip_options)
    : original(place_programs("-O2").front()), program(folder / "program"), places(places_in(original)) {
  build_id = module_of(original).build_id;
  const fs::path debug = folder / debug_file;
  fs::create_directories(debug.parent_path());
  works = run_quietly("objcopy --only-keep-debug " + original.string() + " " + debug.string()) &&
          run_quietly("objcopy " + strip_options + " --add-gnu-debuglink=" + debug.string() + " " +
                      original.string() + " " + program.string());
}

}  // namespace codewake::testing
