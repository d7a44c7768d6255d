// What another user can put in the way of the files that stacks are resolved by.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "base/file_descriptor.hpp"
#include "codewake/frame.hpp"
#include "codewake/stacktrace.hpp"
#include "leaking_module.hpp"
#include "place_programs.hpp"
#include "stacktrace/elf_file.hpp"
#include "stacktrace/symbolizer.hpp"
#include "support/child.hpp"
#include "support/other_user.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;
using internal::Trust;

constexpr unsigned kMostSeconds = 60;

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

void give_to(const fs::path& file, uid_t user) {
  if (lchown(file.c_str(), user, user) != 0)
    throw std::system_error(errno, std::generic_category(), file.string());
}

void make_pipe(const fs::path& path) {
  fs::remove(path);
  if (mkfifo(path.c_str(), 0666) != 0) throw std::system_error(errno, std::generic_category(), path.string());
}

#define CODEWAKE_REQUIRE_TWO_USERS() \
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason)

}  // namespace

TEST_CASE("A module that another user can write names no source file, for any user") {
  CODEWAKE_REQUIRE_TWO_USERS();
  const LeakingModule leaking;
  if (!leaking.works) CODEWAKE_SKIP("g++ does not work here");
  // Root's own program may name what root may read: the test is one.
  REQUIRE(leaking.frame(Trust::own_run).src == kSecret);
  REQUIRE(leaking.frame(Trust::own_process).src == kSecret);
  const auto check = [&] {
    // The process executes the module's code: names are no harm.
    const Frame frame = leaking.frame(Trust::own_process);
    CHECK(frame.function == "leak");
    CHECK(frame.lineno == 1);
    CHECK(frame.filename == leaking.secret.string());
    CHECK(frame.src == "");
    // Root takes no file of another user apart for a run that has ended.
    CHECK(leaking.frame(Trust::own_run).function == "");
    CHECK(leaking.frame(Trust::own_run).src.starts_with("+0x"));
    CHECK(leaking.frame(Trust::stored) == leaking.unresolved());
  };
  give_to(leaking.file, kOtherUser);
  check();
  give_to(leaking.file, 0);
  fs::permissions(leaking.file, fs::perms(0777));
  check();
}

TEST_CASE("A shared object of another user that root's process has loaded names no source file") {
  CODEWAKE_REQUIRE_TWO_USERS();
  const LeakingModule leaking;
  if (!leaking.works) CODEWAKE_SKIP("g++ does not work here");
  give_to(leaking.file, kOtherUser);
  void* const object = dlopen(leaking.file.c_str(), RTLD_NOW);
  REQUIRE(object != nullptr);
  void* const addresses[] = {static_cast<char*>(dlsym(object, "leak")) + 2};
  const std::vector<Frame> frames = Stacktrace(addresses).frames();
  dlclose(object);
  REQUIRE_FALSE(frames.empty());
  CHECK(frames.back().function == "leak");
  CHECK(frames.back().lineno == 1);
  for (const Frame& frame : frames) CHECK(frame.src == "");
}

TEST_CASE("Another user's run shows that user no more of root's files than before") {
  CODEWAKE_REQUIRE_TWO_USERS();
  const LeakingModule leaking;
  if (!leaking.works) CODEWAKE_SKIP("g++ does not work here");
  give_to(leaking.file, kOtherUser);
  const ChildResult result = as_other_user([&] {
    const Frame frame = leaking.frame(Trust::own_run);
    require(frame.function == "leak" && frame.lineno == 1, "the owner does not see its own module");
    require(frame.src.empty(), "the owner sees what it may not read");
  });
  CHECK(result.err == "");
  CHECK(result.exit_code == 0);
}

TEST_CASE("What was read as root is forgotten in a process that becomes another user") {
  CODEWAKE_REQUIRE_TWO_USERS();
  const LeakingModule leaking;
  if (!leaking.works) CODEWAKE_SKIP("g++ does not work here");
  internal::Symbolizer symbolizer({.trust = Trust::own_run});
  void* const addresses[] = {reinterpret_cast<void*>(leaking.address + 1)};
  REQUIRE(symbolizer.resolve(addresses, {leaking.module()}).back().src == kSecret);
  const ChildResult result = as_other_user([&] {
    const Frame frame = symbolizer.resolve(addresses, {leaking.module()}).back();
    require(frame.lineno == 1 && frame.src.empty(), "another user sees what was read as root");
  });
  CHECK(result.err == "");
  CHECK(result.exit_code == 0);
}

TEST_CASE("A source file of root's module is not read where another user decides what its path leads to") {
  CODEWAKE_REQUIRE_TWO_USERS();
  const LeakingModule leaking;
  if (!leaking.works) CODEWAKE_SKIP("g++ does not work here");
  // The module was built where another user has the folder, who puts a link, or another name, there now.
  const fs::path hidden = leaking.folder / "hidden";
  fs::rename(leaking.secret, hidden);
  give_to(leaking.folder.path(), kOtherUser);
  fs::create_symlink(hidden, leaking.secret);
  CHECK(leaking.frame(Trust::own_run).lineno == 1);
  CHECK(leaking.frame(Trust::own_run).src == "");
  fs::remove(leaking.secret);
  fs::create_hard_link(hidden, leaking.secret);
  CHECK(leaking.frame(Trust::own_process).src == "");
  give_to(leaking.folder.path(), 0);
  CHECK(leaking.frame(Trust::own_process).src == kSecret);
}

TEST_CASE("Frames of a store have source lines of files below the given folders alone") {
  const LeakingModule leaking;
  if (!leaking.works) CODEWAKE_SKIP("g++ does not work here");
  const std::string here = leaking.folder.path().string();
  CHECK(leaking.frame(Trust::stored).lineno == 1);
  CHECK(leaking.frame(Trust::stored).filename == leaking.secret.string());
  CHECK(leaking.frame(Trust::stored).src == "");
  CHECK(leaking.frame(Trust::stored, {here}).src == kSecret);
  for (const std::string& folder : {here + "/source", here + "/sec", here + "/secret", here + "/missing",
                                    std::string("relative"), std::string()}) {
    CAPTURE(folder);
    CHECK(leaking.frame(Trust::stored, {folder}).src == "");
  }
}

namespace {

/// Resolves again and again while a process of `writer` cuts the module off and writes it again.
void check_cut_off(const LeakingModule& leaking, uid_t writer) {
  constexpr int kRounds = 300;
  const std::string content = read_file(leaking.file);
  give_to(leaking.file, writer);
  const pid_t child = start_child([&] {
    if (writer != 0) become_other_user();
    alarm(kMostSeconds);  // it has no end
    for (;;) std::ofstream(leaking.file, std::ios::binary) << content;
  });
  const ChildResult result = in_child([&] {
    alarm(kMostSeconds);
    internal::Symbolizer kept({.trust = Trust::own_process});
    for (int round = 0; round < kRounds; ++round) {
      internal::Symbolizer fresh({.trust = Trust::own_process});
      for (internal::Symbolizer* symbolizer : {&kept, &fresh}) {
        void* const addresses[] = {reinterpret_cast<void*>(leaking.address + static_cast<unsigned>(round))};
        require(!symbolizer->resolve(addresses, {leaking.module()}).empty(), "no frame");
      }
    }
  });
  kill(child, SIGKILL);
  CHECK(wait_for(child) == -SIGKILL);
  CHECK(result.err == "");
  CHECK(result.signal == 0);
  CHECK(result.exit_code == 0);
}

}  // namespace

TEST_CASE("While another user, or our own, cuts a module off and writes it again, its stacks do no harm") {
  CODEWAKE_REQUIRE_TWO_USERS();
  // A large one is mapped where it may be.
  const std::string large = "-gdwarf-5 -DCODEWAKE_LARGE";
  for (const std::string& flags : {std::string("-gdwarf-5"), large}) {
    CAPTURE(flags);
    const LeakingModule leaking(flags);
    if (!leaking.works) CODEWAKE_SKIP("g++ does not work here");
    CHECK(leaking.frame(Trust::own_process).lineno == 1);
    for (const uid_t writer : {kOtherUser, uid_t{0}}) {
      CAPTURE(writer);
      check_cut_off(leaking, writer);
    }
  }
}

TEST_CASE(
    "A large module that another user can write is copied, without debug information if that is too much") {
  CODEWAKE_REQUIRE_TWO_USERS();
  struct {
    std::string flag;
    bool has_lines;
  } const cases[] = {{"LARGE", true}, {"SYMBOLS", true}, {"HUGE", false}};
  for (const auto& [flag, has_lines] : cases) {
    CAPTURE(flag);
    const LeakingModule leaking("-gdwarf-5 -DCODEWAKE_" + flag);
    if (!leaking.works) CODEWAKE_SKIP("g++ does not work here");
    REQUIRE(fs::file_size(leaking.file) > internal::ElfFile::kMaxCopiedBytes);
    CHECK(leaking.frame(Trust::own_process).lineno == 1);
    give_to(leaking.file, kOtherUser);
    CHECK(leaking.frame(Trust::own_process).function == "leak");
    CHECK(leaking.frame(Trust::own_process).lineno == (has_lines ? 1 : 0));
  }
}

namespace {

/// Runs `body` in a process that ends by SIGALRM if it hangs.
void check_ends(const std::function<void()>& body) {
  const ChildResult result = in_child([&] {
    alarm(kMostSeconds);
    body();
  });
  CHECK(result.err == "");
  CHECK(result.signal == 0);
  CHECK(result.exit_code == 0);
}

}  // namespace

TEST_CASE("A pipe in the place of a module, a debug file or a source file is not waited for") {
  const LeakingModule leaking("-gdwarf-5 -gsplit-dwarf");
  if (!leaking.works) CODEWAKE_SKIP("g++ does not work here");
  const auto resolve = [&] {
    for (const Trust trust : {Trust::own_run, Trust::own_process, Trust::stored})
      require(!leaking.frames(trust, {leaking.folder.path().string()}).empty(), "no frame");
  };
  SUBCASE("source file") {
    make_pipe(leaking.secret);
    CHECK(leaking.frame(Trust::own_run).lineno == 1);
  }
  SUBCASE("split debug file") {
    REQUIRE(leaking.frames(Trust::own_run).size() == 2);
    std::vector<fs::path> split;
    for (const auto& entry : fs::directory_iterator(leaking.folder / "build")) {
      if (entry.path().extension() == ".dwo") split.push_back(entry.path());
    }
    REQUIRE(split.size() == 1);
    make_pipe(split.front());
  }
  SUBCASE("module") {
    make_pipe(leaking.file);
  }
  check_ends(resolve);
}

TEST_CASE("A pipe in the place of a separate debug file is not waited for") {
  const Stripped stripped("program.debug");
  if (!stripped.works) CODEWAKE_SKIP("objcopy does not work here");
  SUBCASE("by its link") {
    make_pipe(stripped.folder / "program.debug");
  }
  SUBCASE("by its build-id") {
    const std::string& id = stripped.build_id;
    fs::create_directories(stripped.folder / ("root/.build-id/" + id.substr(0, 2)));
    make_pipe(stripped.folder / ("root/.build-id/" + id.substr(0, 2) + "/" + id.substr(2) + ".debug"));
  }
  check_ends([&] {
    for (const Place& place : stripped.places)
      require(!frames_at(module_of(stripped.program, stripped.build_id), place.address, stripped.options())
                   .empty(),
              "no frame");
  });
}

TEST_CASE("A pipe in the place of the file that debug files share is not waited for") {
  const TemporaryFolder folder;
  const fs::path pipe = folder / "shared.debug";
  // A function at 0x1000 whose name is in that file.
  const fs::path assembly = folder.write(
      "alternative.s",
      ".section .debug_abbrev,\"\"\n.uleb128 1,0x11\n.byte 1\n.uleb128 0x11,1,0x12,7,0,0\n"
      ".uleb128 2,0x2e\n.byte 0\n.uleb128 3,0x1f21,0x11,1,0x12,7,0,0,0\n"
      ".section .debug_info,\"\"\n.long end-begin\nbegin: .short 4\n.long 0\n.byte 8\n"
      ".uleb128 1\n.quad 0x1000,0x1000\n.uleb128 2\n.long 0\n.quad 0x1000,0x1000\n.byte 0\nend:\n"
      ".section .gnu_debugaltlink,\"\"\n.asciz \"" +
          pipe.string() + "\"\n.fill 20,1,7\n");
  const fs::path object = folder / "object";
  if (!run_quietly("as " + assembly.string() + " -o " + object.string()))
    CODEWAKE_SKIP("as does not work here");
  make_pipe(pipe);
  check_ends([&] { require(frames_at(module_of(object, ""), 0x1800).size() == 1, "no frame"); });
}

TEST_CASE("A split debug file that another user can exchange is not opened") {
  CODEWAKE_REQUIRE_TWO_USERS();
  const LeakingModule leaking("-gdwarf-5 -gsplit-dwarf");
  if (!leaking.works) CODEWAKE_SKIP("g++ does not work here");
  REQUIRE(leaking.frames(Trust::own_process).size() == 2);  // one is inlined
  give_to(leaking.folder / "build", kOtherUser);
  CHECK(leaking.frames(Trust::own_process).size() == 1);
  CHECK(leaking.frame(Trust::own_process).function == "leak");
}

}  // namespace codewake::testing
