// Frames from the files of programs that do not run.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "codewake/frame.hpp"
#include "place_programs.hpp"
#include "stacktrace/loaded_modules.hpp"
#include "stacktrace/small_symbols.hpp"
#include "stacktrace/symbolizer.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

using codewake::Frame;
using codewake::internal::Module;
using codewake::internal::SmallSymbols;
using codewake::internal::Symbolizer;
using codewake::internal::SymbolOptions;
using codewake::internal::Trust;
using codewake::testing::frames_at;
using codewake::testing::module_of;
using codewake::testing::Place;
using codewake::testing::place_programs;
using codewake::testing::places_in;
using codewake::testing::read_file;
using codewake::testing::run_quietly;
using codewake::testing::Stripped;
using codewake::testing::TemporaryFolder;

namespace fs = std::filesystem;

namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.ends_with(end);
}

void check_frames(const Place& place, const std::vector<Frame>& frames) {
  CAPTURE(place.name);
  REQUIRE_FALSE(frames.empty());
  for (const Frame& frame : frames) {
    CAPTURE(frame.function);
    CHECK(fs::path(frame.filename).filename() == "places.cpp");
    CHECK(frame.lineno != 0);
    CHECK(frame.offset == place.address);
  }
  const std::string instance = place.name == "lambda" ? " [Number = int]" : "";
  CHECK(frames.front().src == "PLACE(\"" + place.name + "\");" + instance);
  const std::string& function = frames.front().function;
  CAPTURE(function);
  if (place.name == "plain") CHECK(function == "plain");
  if (place.name == "method") CHECK(function == "shop::Order::total(int) const");
  if (place.name == "lambda") CHECK(function.find("operator()(int) const") != std::string::npos);
  if (place.name == "local") CHECK(function.find("Local::run(int)") != std::string::npos);
  if (place.name != "inlined method") return;
  REQUIRE(frames.size() == 3);
  CHECK(ends_with(function, "shop::(anonymous namespace)::Basket::weigh(int) const"));
  CHECK(frames[1].function ==
        "shop::(anonymous namespace)::inlined(int, shop::(anonymous namespace)::Basket const&)");
  CHECK(frames[1].src == "return basket.weigh(first) + 1;");
  CHECK(frames[2].function == "shop::(anonymous namespace)::hidden(int)");
  CHECK(frames[2].src == "return inlined(number, basket);");
}

// What only a file without debug information gives.
void check_unknown(const Frame& frame, const Module& module, std::uint64_t address) {
  CHECK(frame.filename == module.path);
  CHECK(frame.lineno == 0);
  CHECK(frame.module == module.path);
  CHECK(frame.build_id == module.build_id);
  CHECK(frame.offset == address);
  CHECK(std::stoull(frame.src.substr(1), nullptr, 16) == address);
}

void check_all(const Stripped& stripped, const Module& module) {
  for (const Place& place : stripped.places)
    check_frames(place, frames_at(module, place.address, stripped.options()));
}

}  // namespace

TEST_CASE(
    "A program's file gives functions, lines and inlined calls, by whatever compiler and way it was built") {
  REQUIRE_FALSE(place_programs().empty());
  for (const fs::path& program : place_programs()) {
    CAPTURE(program);
    const Module module = module_of(program);
    const std::vector<Place> places = places_in(program);
    CHECK(places.size() >= 5);
    for (const Place& place : places) check_frames(place, frames_at(module, place.address));
  }
}

TEST_CASE("A stripped program's debug file is found by its link, wherever it may lie") {
  TemporaryFolder other;
  for (const std::string place : {"program.debug", ".debug/program.debug"}) {
    CAPTURE(place);
    const Stripped stripped(place);
    if (!stripped.works) CODEWAKE_SKIP("objcopy does not work here");
    check_all(stripped, module_of(stripped.program));
  }
  const Stripped stripped("program.debug");
  const fs::path below = stripped.folder / "root" / stripped.folder.path().relative_path();
  fs::create_directories(below);
  fs::rename(stripped.folder / "program.debug", below / "program.debug");
  check_all(stripped, module_of(stripped.program));
}

TEST_CASE("A stripped program's debug file is found by its build-id, also where the program is gone") {
  const std::string build_id = module_of(place_programs("-O2").front()).build_id;
  const Stripped stripped("root/.build-id/" + build_id.substr(0, 2) + "/" + build_id.substr(2) + ".debug");
  if (!stripped.works) CODEWAKE_SKIP("objcopy does not work here");
  const Module module = module_of(stripped.program);
  check_all(stripped, module);
  fs::remove(stripped.program);
  check_all(stripped, module);
}

TEST_CASE("A debug file of another build is not used") {
  const Stripped stripped("program.debug");
  if (!stripped.works) CODEWAKE_SKIP("objcopy does not work here");
  fs::copy_file(place_programs("-O0").front(), stripped.folder / "program.debug",
                fs::copy_options::overwrite_existing);
  const Module module = module_of(stripped.program);
  const std::uint64_t address = stripped.places.front().address;
  const std::vector<Frame> frames = frames_at(module, address, stripped.options());
  REQUIRE(frames.size() == 1);
  check_unknown(frames.front(), module, address);
}

TEST_CASE("Without build-ids the checksum of the debug link decides") {
  Stripped stripped("program.debug", "--strip-all --remove-section=.note.gnu.build-id");
  if (!stripped.works) CODEWAKE_SKIP("objcopy does not work here");
  const Module module = module_of(stripped.program);
  REQUIRE(module.build_id == "");
  check_all(stripped, module);
  std::string content = read_file(stripped.folder / "program.debug");
  content.back() ^= 1;
  stripped.folder.write("program.debug", content);
  const std::uint64_t address = stripped.places.front().address;
  check_unknown(frames_at(module, address, stripped.options()).front(), module, address);
}

TEST_CASE("A program that was stripped for good gives module and offset") {
  const Stripped stripped("program.debug");
  if (!stripped.works) CODEWAKE_SKIP("objcopy does not work here");
  fs::remove(stripped.folder / "program.debug");
  const Module module = module_of(stripped.program);
  for (const Place& place : stripped.places) {
    const std::vector<Frame> frames = frames_at(module, place.address, stripped.options());
    REQUIRE(frames.size() == 1);
    check_unknown(frames.front(), module, place.address);
    CHECK(frames.front().function == "");
  }
}

TEST_CASE("A shared object that was stripped for good gives the functions that it exports") {
  const TemporaryFolder folder;
  const std::string plugin = std::string(std::getenv("CODEWAKE_TEST_PROGRAMS")) + "/frames_plugin.so";
  const fs::path stripped = folder / "plugin.so";
  if (!run_quietly("objcopy --strip-all " + plugin + " " + stripped.string()))
    CODEWAKE_SKIP("objcopy does not work here");
  std::uint64_t address = 1;
  const Module module = module_of(stripped);
  // Where the function lies is what the symbols say: the first offset that has a name.
  Frame frame;
  for (; frame.function.empty() && address < 0x10000; address += 4)
    frame = frames_at(module, address, {.debug_roots = {}}).front();
  CHECK(frame.function == "call_back");
  check_unknown(frame, module, frame.offset);
}

TEST_CASE("A file that has taken the place of another tells nothing") {
  const fs::path program = place_programs("-O2").front();
  const std::uint64_t address = places_in(program).front().address;
  for (const std::string build_id : {"", "0123456789012345678901234567890123456789", "not a build-id"}) {
    const Module module = module_of(program, build_id);
    const std::vector<Frame> frames = frames_at(module, address);
    REQUIRE(frames.size() == 1);
    check_unknown(frames.front(), module, address);
    CHECK(frames.front().function == "");
  }
}

TEST_CASE("What is no ELF file tells nothing") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "folder");
  folder.write("empty", "");
  folder.write("text", "no program\n");
  folder.write("magic", "\177ELF\2\1\1");
  for (const std::string name : {"folder", "empty", "text", "magic", "missing"}) {
    CAPTURE(name);
    const Module module = module_of(folder / name, "");
    check_unknown(frames_at(module, 0x1234).front(), module, 0x1234);
  }
  for (const std::string path : {"linux-vdso.so.1", "", "/dev/zero", "relative/program"}) {
    const Module module = module_of(path, "");
    check_unknown(frames_at(module, 0x1234).front(), module, 0x1234);
  }
}

TEST_CASE("A file that is cut off anywhere does no harm") {
  const TemporaryFolder folder;
  const fs::path program = place_programs("-O2").front();
  const std::string content = read_file(program);
  const std::vector<Place> places = places_in(program);
  for (std::size_t size = 0; size < content.size(); size += size < 1024 ? 7 : 511) {
    const Module module =
        module_of(folder.write("cut", content.substr(0, size)), module_of(program).build_id);
    for (const Place& place : places) CHECK(frames_at(module, place.address).front().offset == place.address);
  }
}

TEST_CASE("A file that is cut off while it is open is not touched behind its end") {
  const TemporaryFolder folder;
  const fs::path program = folder / "program";
  fs::copy_file(place_programs("-O2").front(), program);
  const std::vector<Place> places = places_in(program);
  const Module module = module_of(program);
  Symbolizer symbolizer({.trust = Trust::own_run});
  void* const first[] = {reinterpret_cast<void*>(places[0].address + 1)};
  check_frames(places[0], symbolizer.resolve(first, {module}));
  fs::resize_file(program, 100);
  for (const Place& place : places) {
    void* const addresses[] = {reinterpret_cast<void*>(place.address + 1)};
    CHECK(symbolizer.resolve(addresses, {module}).front().offset == place.address);
  }
}

TEST_CASE(
    "A stripped program that carries its symbols in .gnu_debugdata has the names of all its functions") {
  if (!SmallSymbols::can_be_read()) CODEWAKE_SKIP("built without liblzma");
  const fs::path original = place_programs("-O2").front();
  const TemporaryFolder folder;
  const auto at = [&](const char* name) { return (folder / name).string(); };
  const bool works = run_quietly("objcopy --strip-debug " + original.string() + " " + at("small")) &&
                     run_quietly("xz -k " + at("small")) &&
                     run_quietly("objcopy --strip-all --add-section .gnu_debugdata=" + at("small.xz") + " " +
                                 original.string() + " " + at("program"));
  if (!works) CODEWAKE_SKIP("xz or objcopy does not work here");
  const Module module = module_of(at("program"));
  for (const Place& place : places_in(original)) {
    CAPTURE(place.name);
    const std::vector<Frame> frames = frames_at(module, place.address);
    REQUIRE(frames.size() == 1);
    check_unknown(frames.front(), module, place.address);
    if (place.name == "plain") CHECK(frames.front().function == "plain");
    if (place.name == "inlined method")
      CHECK(frames.front().function == "shop::(anonymous namespace)::hidden(int)");
  }
  std::ofstream(at("not.xz")) << "no xz at all";
  REQUIRE(run_quietly("objcopy --strip-all --add-section .gnu_debugdata=" + at("not.xz") + " " +
                      original.string() + " " + at("damaged")));
  for (const Place& place : places_in(original)) {
    CHECK(frames_at(module_of(at("damaged")), place.address).front().offset == place.address);
  }
}

TEST_CASE("What zstd has compressed is unpacked in a file that is too large to be copied at once, too") {
  const std::vector<fs::path> programs = place_programs("-zstd");
  if (programs.empty()) CODEWAKE_SKIP("built without libzstd, or the linker does without it");
  const TemporaryFolder folder;
  const std::string pad = (folder / "pad").string(), large = (folder / "program").string();
  std::ofstream(pad) << std::string(5 << 20, '\0');
  REQUIRE(run_quietly("objcopy --add-section .debug_types.dwo=" + pad + " " + programs.front().string() +
                      " " + large));
  REQUIRE(fs::file_size(large) > codewake::internal::ElfFile::kMaxCopiedBytes);
  for (const Place& place : places_in(programs.front())) {
    check_frames(place, frames_at(module_of(large), place.address));
  }
}

TEST_CASE("Debug information that must be unpacked and is too large leaves the functions' names") {
  for (const fs::path& program : place_programs("-packed")) {
    const Module module = module_of(program);
    for (const Place& place : places_in(program)) {
      if (place.name != "method") continue;
      const std::vector<Frame> frames =
          frames_at(module, place.address, {.trust = Trust::own_run, .max_bytes = 1000});
      REQUIRE(frames.size() == 1);
      check_unknown(frames.front(), module, place.address);
      CHECK(frames.front().function == "shop::Order::total(int) const");
    }
  }
}
